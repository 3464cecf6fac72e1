"""Errors that tell how to mend them."""

from typing import Any

import pytest

from tests.api.serving import Api, job_body

JSON = {"Content-Type": "application/json"}


async def wrong(api: Api, body: dict[str, Any]) -> dict[str, str]:
    """Send a body and return what is wrong with each place."""
    refused = await api.client.post("/v1/jobs", json=body)
    assert refused.status_code == 422, refused.text
    return {each["pointer"]: each["detail"] for each in refused.json()["errors"]}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"a": }', "line 1, column 7"),
        (b'{\n  "a": 1,\n}', "line 3, column 1"),
        (b"{", "line 1, column 2"),
        ('{\n"ü": ü}'.encode(), "line 2, column 6"),
    ],
)
async def test_what_is_no_json_says_where(edge: Api, body: bytes, where: str) -> None:
    """Line and column as an editor counts them, and nothing of what was sent."""
    refused = await edge.client.post("/v1/jobs", content=body, headers=JSON)
    assert refused.status_code == 400
    assert where in refused.json()["detail"]


async def test_an_empty_body_is_called_so(edge: Api) -> None:
    """Most often a client that forgot to send it."""
    for headers in (JSON, {}):
        refused = await edge.client.post("/v1/jobs", headers=headers)
        assert refused.status_code == 422
        assert "empty" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("project_id", "projectId"),
        ("projectid", "projectId"),
        ("ProjectID", "projectId"),
        ("asset-url", "assetUrl"),
        ("schedulFor", "scheduledFor"),
    ],
)
async def test_an_unknown_field_names_the_one_that_was_meant(
    edge: Api, name: str, meant: str
) -> None:
    """Another spelling, or a typing error."""
    found = await wrong(edge, job_body(**{name: "x"}))
    assert found == {f"/{name}": f"is not known here; did you mean {meant}?"}


async def test_a_field_within_a_field_is_told_by_its_own_names(edge: Api) -> None:
    """Each object has names of its own; what is like none gets no advice."""
    post = {"privacy_level": "SELF_ONLY", "privacyLevel": "SELF_ONLY", "xyz": 1}
    assert await wrong(edge, job_body(post=post)) == {
        "/post/privacy_level": "is not known here; did you mean privacyLevel?",
        "/post/xyz": "is not known here",
    }


async def test_a_parameter_is_told_likewise(edge: Api) -> None:
    """A filter with a typing error would show too much."""
    refused = await edge.client.get("/v1/jobs?project_id=proj_1")
    (error,) = refused.json()["errors"]
    assert error["detail"] == "is not known here; did you mean projectId?"


async def test_advice_hides_no_other_error(edge: Api) -> None:
    """All that is wrong is told at once, each with its own words."""
    found = await wrong(edge, job_body(project_id="x", maxAttempts=0, assetId="a|b"))
    assert set(found) == {"/project_id", "/maxAttempts", "/assetId"}
    assert "did you mean" not in found["/maxAttempts"] + found["/assetId"]


async def test_a_wrong_method_names_the_right_ones(edge: Api) -> None:
    """In the text, too: not everybody looks at headers."""
    refused = await edge.client.put("/v1/jobs")
    assert refused.status_code == 405
    assert "GET, POST" in refused.json()["detail"]


async def test_a_text_that_is_too_long_says_how_long_it_is(edge: Api) -> None:
    """Counted as TikTok counts."""
    post = {"mode": "direct", "title": "🌷" * 1500, "privacyLevel": "SELF_ONLY"}
    assert "3,000" in (await wrong(edge, job_body(post=post)))["/post/title"]


async def test_a_tick_without_its_secret_says_which(edge: Api) -> None:
    """CRON_SECRET, not one of the API keys."""
    refused = await edge.stranger().post("/cron/tick")
    assert refused.status_code == 401
    assert "CRON_SECRET" in refused.json()["detail"]
