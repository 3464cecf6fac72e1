"""Which methods a path has."""

import pytest

from tests.api.serving import Api


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/jobs/batch", "POST"),
        ("/v1/jobs/validate", "POST"),
        ("/v1/jobs/stream", "GET"),
        ("/v1/jobs/0196a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", "GET, PATCH, DELETE"),
    ],
)
async def test_a_path_that_is_written_out_is_no_parameter(
    edge: Api, path: str, allowed: str
) -> None:
    """/v1/jobs/batch is no job, so it has none of a job's methods."""
    refused = await edge.client.options(path)
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
