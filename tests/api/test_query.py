"""Unknown query parameters are refused under /v1, and nowhere else."""

import re

from tests.api.serving import Api


async def test_no_route_takes_a_parameter_that_it_does_not_name(edge: Api) -> None:
    """Each route of the document, with a parameter that nobody knows."""
    document = (await edge.client.get("/openapi.json")).json()
    asked = 0
    for path, operations in document["paths"].items():
        if not path.startswith("/v1"):
            continue
        place = re.sub(r"\{[^}]+\}", "proj_1", path)
        for method in operations.keys() & {"get", "put", "post", "patch", "delete"}:
            body: dict[str, str] | None = None if method in {"get", "delete"} else {}
            answer = await edge.client.request(
                method, place, params={"nobodyKnows": "1"}, json=body
            )
            assert answer.status_code == 422, (method, path, answer.text)
            asked += 1
            if body is None:
                wrong = answer.json()["errors"]
                assert [each["pointer"] for each in wrong] == ["/nobodyKnows"]
    assert asked > 30


async def test_probes_and_callbacks_take_any(edge: Api) -> None:
    """These routes accept any parameters."""
    for place in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"):
        answer = await edge.client.get(place, params={"t": "1"})
        assert answer.status_code == 200, place


async def test_a_pointer_is_spelt_as_the_standard_says(edge: Api) -> None:
    """A name with a slash or a tilde in it is still one name. RFC 6901, 3"""
    answer = await edge.client.get("/v1/jobs", params={"a/b~c": "1"})
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/a~1b~0c"]
