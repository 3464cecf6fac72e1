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


@pytest.mark.parametrize(
    ("wrong_field", "pointer", "words"),
    [
        (
            {"externalId": "x" * 256},
            "/externalId",
            "must have at most 255 characters; this has 256",
        ),
        (
            {"metadata": {"k": "v" * 513}},
            "/metadata/k",
            "must have at most 512 characters; this has 513",
        ),
        (
            {"metadata": {"a/b" * 30: "v"}},
            "/metadata/" + "a~1b" * 30,
            "must have at most 64 characters; this has 90",
        ),
        (
            {"metadata": {f"k{n}": "v" for n in range(17)}},
            "/metadata",
            "must have at most 16 items",
        ),
        (
            {
                "assetUrl": None,
                "assetUrls": ["https://a.example/p.jpg"] * 36,
                "post": {"mediaType": "photo", "privacyLevel": "SELF_ONLY"},
            },
            "/assetUrls",
            "must have at most 35 items; this has 36",
        ),
    ],
)
async def test_a_length_is_told_in_what_it_counts(
    edge: Api, wrong_field: dict[str, Any], pointer: str, words: str
) -> None:
    """Characters are no items, and the pointer is one into the body."""
    assert (await wrong(edge, job_body(**wrong_field)))[pointer] == words


async def test_a_key_with_a_space_is_told_what_it_may_hold(edge: Api) -> None:
    """Not by a regular expression."""
    headers = {"Idempotency-Key": "a b"}
    refused = await edge.client.post("/v1/jobs", json=job_body(), headers=headers)
    (error,) = refused.json()["errors"]
    assert error["pointer"] == "/Idempotency-Key"
    assert error["detail"] == "must be visible ASCII characters, without spaces"


async def test_a_tick_without_its_secret_says_which(edge: Api) -> None:
    """CRON_SECRET, not one of the API keys."""
    refused = await edge.stranger().post("/cron/tick")
    assert refused.status_code == 401
    assert "CRON_SECRET" in refused.json()["detail"]
