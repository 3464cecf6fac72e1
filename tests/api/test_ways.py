"""Which way a post takes to TikTok, and photos, as callers ask for them."""

from typing import Any, Final

import pytest

from tests.api.serving import Api, job_body, serving

URLS: Final = [f"https://cdn.example.com/{place}.jpg" for place in range(3)]
PHOTOS: Final[dict[str, Any]] = {
    "mediaType": "photo",
    "title": "Title",
    "description": "Words",
    "privacyLevel": "SELF_ONLY",
    "photoCoverIndex": 2,
    "autoAddMusic": True,
}


def photo_body(**changes: object) -> dict[str, Any]:
    """Return a request for photos; the post's changes stand under ``post``."""
    body = job_body(assetUrls=URLS, post=PHOTOS)
    del body["assetUrl"]
    return body | changes


async def refused(api: Api, body: dict[str, Any]) -> list[str]:
    """Return what a request is refused for."""
    answer = await api.client.post("/v1/jobs", json=body)
    assert answer.status_code == 422, answer.text
    return [each["pointer"] for each in answer.json()["errors"]]


async def test_photos_are_stored_and_shown(api: Api) -> None:
    """Photos are stored with their addresses in order."""
    answer = await api.client.post("/v1/jobs", json=photo_body())
    assert answer.status_code == 201, answer.text
    job = answer.json()
    assert (job["assetUrl"], job["assetUrls"], job["transfer"]) == (None, URLS, "pull")
    assert PHOTOS.items() <= job["post"].items()
    again = (await api.client.get(answer.headers["location"])).json()
    assert again == job


@pytest.mark.parametrize(
    ("body", "change"),
    [
        (photo_body(post=PHOTOS | {"photoCoverIndex": 0}), {"assetUrls": URLS[:2]}),
        (job_body(), {"transfer": "push"}),
    ],
)
async def test_the_story_tells_of_other_assets_and_another_way(
    api: Api, body: dict[str, Any], change: dict[str, Any]
) -> None:
    """Whatever a PATCH changes is named in the job's history."""
    made = await api.client.post("/v1/jobs", json=body)
    url = made.headers["location"]
    assert (await api.client.patch(url, json=change)).status_code == 200
    items = (await api.client.get(f"{url}/history")).json()["items"]
    assert [(item["kind"], item.get("data")) for item in items[1:]] == [
        ("edited", {"fields": list(change)})
    ]


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"assetUrls": []}, ["/assetUrls"]),
        ({"assetUrls": [URLS[0]] * 36}, ["/assetUrls"]),
        ({"assetUrls": None}, ["/assetUrls"]),
        ({"assetUrl": URLS[0]}, ["/assetUrl"]),
        ({"assetUrls": [URLS[0], "http://x.example/1.jpg", URLS[2]]}, ["/assetUrls/1"]),
        ({"transfer": "push"}, ["/transfer"]),
        ({"transfer": "carry"}, ["/transfer"]),
        ({"post": PHOTOS | {"photoCoverIndex": 3}}, ["/post/photoCoverIndex"]),
        ({"post": PHOTOS | {"disableDuet": True}}, ["/post/disableDuet"]),
        ({"post": PHOTOS | {"title": "x" * 91}}, ["/post/title"]),
        ({"post": {"privacyLevel": "SELF_ONLY"}}, ["/assetUrls"]),
        (
            {"assetUrls": None, "post": {"privacyLevel": "SELF_ONLY"}},
            ["/assetUrl"],
        ),
    ],
)
async def test_what_photos_cannot_have_is_refused(
    edge: Api, changes: dict[str, Any], pointers: list[str]
) -> None:
    """Fields that photos cannot have are refused with a pointer."""
    assert await refused(edge, photo_body(**changes)) == pointers


@pytest.mark.parametrize("default", ["pull", "push"])
async def test_the_service_chooses_for_who_does_not(
    sqlite_url: str, default: str
) -> None:
    """TRANSFER is the default; photos are pulled all the same."""
    async with serving(sqlite_url, transfer=default) as api:
        assert (await api.job(assetId="a"))["transfer"] == default
        for way in ("pull", "push"):
            assert (await api.job(assetId=way, transfer=way))["transfer"] == way
        photos = await api.client.post("/v1/jobs", json=photo_body())
        assert photos.json()["transfer"] == "pull"


async def test_a_job_may_be_given_another_way_and_other_media(edge: Api) -> None:
    """What does not fit together is refused as when it is made."""
    job = await edge.job(assetId="edited")
    url = f"/v1/jobs/{job['id']}"
    pushed = await edge.client.patch(url, json={"transfer": "push"})
    assert pushed.json()["transfer"] == "push"
    photo = {"mediaType": "photo", "title": "x"}
    alone = await edge.client.patch(url, json={"post": photo})
    assert alone.status_code == 422
    both = {"transfer": "pull", "assetUrls": URLS, "post": photo}
    changed = await edge.client.patch(url, json=both)
    assert changed.status_code == 200, changed.text
    assert changed.json()["assetUrls"] == URLS
    assert changed.json()["assetUrl"] is None
    bad = await edge.client.patch(url, json={"assetUrls": [URLS[0], "ftp://x"]})
    assert [each["pointer"] for each in bad.json()["errors"]] == ["/assetUrls/1"]


async def test_a_url_may_be_longer_where_tiktok_never_sees_it(edge: Api) -> None:
    """Signed URLs of storage services are long; TikTok's limit is not ours."""
    base = "https://cdn.example.com/v.mp4?s="
    for way, longest in (("pull", 2048), ("push", 8192)):
        for length, status in ((longest, 201), (longest + 1, 422)):
            url = base + "x" * (length - len(base))
            answer = await edge.post_job(
                assetUrl=url, transfer=way, assetId=f"{way} {length}"
            )
            assert answer.status_code == status, (way, length)


async def test_the_length_of_a_url_goes_by_the_way_after_a_change(api: Api) -> None:
    """A pushed job's URL may stay long, and a long one is never left to a pull."""
    long = "https://cdn.example.com/v.mp4?s=" + "x" * 4000
    pushed = await api.job(assetId="pushed", assetUrl=long, transfer="push")
    pulled = await api.job(assetId="pulled")
    for job, change, status in (
        (pushed, {"assetUrl": f"{long}y"}, 200),
        (pushed, {"transfer": "pull"}, 422),
        (
            pushed,
            {"transfer": "pull", "assetUrl": "https://cdn.example.com/v.mp4"},
            200,
        ),
        (pulled, {"assetUrl": long}, 422),
        (pulled, {"assetUrl": long, "transfer": "push"}, 200),
        (pulled, {"transfer": "pull"}, 422),
        (pulled, {"maxAttempts": 7}, 200),
    ):
        answer = await api.client.patch(f"/v1/jobs/{job['id']}", json=change)
        assert answer.status_code == status, (change, answer.text)
        if status == 422:
            assert [each["pointer"] for each in answer.json()["errors"]] == [
                "/assetUrl"
            ]
