"""POST /v1/jobs/validate looks at the media, too."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.sandbox.server import RunningSandbox
from tests.api.serving import Api, job_body
from tests.api.test_accounts import BODY, URL, serving_with, tiktok

__all__ = ["tiktok"]


@pytest.fixture
async def api(tiktok: RunningSandbox, sqlite_url: str) -> AsyncIterator[Api]:
    """Serve with an account that the simulator knows."""
    async with serving_with(tiktok, sqlite_url, allow_private_urls=True) as api:
        await api.client.put(URL, json=BODY)
        yield api


async def validate(api: Api, **changes: object) -> dict[str, Any]:
    """Ask what would become of a body."""
    asked = job_body(**{"scheduledFor": "2026-05-01T12:00:00.000Z"} | changes)
    answer = await api.client.post("/v1/jobs/validate", json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_sound_video_is_shown_as_measured(
    api: Api, tiktok: RunningSandbox
) -> None:
    """The measurements of a sound video are shown."""
    query = "duration=12.5&width=576&height=1024&fps=30"
    url = f"{tiktok.url}/_sandbox/video.mp4?{query}"
    found = await validate(api, assetUrl=url)
    assert found["ok"], found
    media = found["media"]
    assert media.pop("bytes") > 0
    assert media == {
        "container": "mp4",
        "durationSeconds": pytest.approx(12.5, abs=0.1),
        "width": 576,
        "height": 1024,
        "frameRate": 30.0,
        "codec": "avc1",
    }


async def test_a_certain_breach_is_an_error(api: Api, tiktok: RunningSandbox) -> None:
    """A certain breach is an error with the number found and the limit."""
    url = f"{tiktok.url}/_sandbox/video.mp4?duration=700"
    found = await validate(api, assetUrl=url)
    assert not found["ok"]
    (problem,) = found["problems"]
    assert (problem["code"], problem["pointer"], problem["severity"]) == (
        "video_too_long",
        "/assetUrl",
        "error",
    )
    assert "700" in problem["message"]
    assert "600" in problem["message"]


async def test_what_is_not_there_yet_is_a_warning(
    api: Api, tiktok: RunningSandbox
) -> None:
    """A missing asset is a warning: it may be there in time."""
    url = f"{tiktok.url}/_sandbox/video.mp4?status=404"
    found = await validate(api, assetUrl=url)
    assert (found["ok"], found["media"]) == (True, None)
    assert [each["severity"] for each in found["problems"]] == ["warning"]


async def test_an_empty_file_is_named(api: Api, tiktok: RunningSandbox) -> None:
    """It may be there in time: a warning, with the code that an attempt has."""
    url = f"{tiktok.url}/_sandbox/video.mp4?bytes=0"
    found = await validate(api, assetUrl=url)
    assert found["ok"]
    told = [(each["code"], each["severity"]) for each in found["problems"]]
    assert told == [("asset_empty", "warning")]


async def test_photos_are_measured_each(api: Api, tiktok: RunningSandbox) -> None:
    """Each photo is measured, and a pointer names the one that is wrong."""
    base = f"{tiktok.url}/_sandbox"
    urls = [f"{base}/photo.jpg?width=800&height=600", f"{base}/photo.png"]
    found = await validate(
        api,
        assetUrl=...,
        assetUrls=urls,
        post={"mediaType": "photo", "privacyLevel": "SELF_ONLY"},
    )
    assert [each["pointer"] for each in found["problems"]] == ["/assetUrls/1"]
    first, second = found["media"]["photos"]
    assert (first["type"], first["width"], first["height"]) == ("jpeg", 800, 600)
    assert second["type"] == "png"
