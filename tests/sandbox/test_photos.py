"""Sets of photos: what content/init takes, and how a set ends."""

import hashlib
from typing import Any

import pytest

from tests.sandbox.support import CONTENT, VIDEOS, TikTok, code_of

LONG = "\N{CAT FACE}"  # two UTF-16 units


async def taken(
    tiktok: TikTok, *urls: str, mode: str = "DIRECT_POST", **more: object
) -> str:
    """Send a content init that is taken, and give its publish_id."""
    answer = await tiktok.post(CONTENT, tiktok.photos(*urls, mode=mode, **more))
    assert code_of(answer) == "ok", answer.text
    publish_id: str = answer.json()["data"]["publish_id"]
    return publish_id


def photo(tiktok: TikTok, query: str = "", kind: str = "jpg") -> str:
    """Name a photo of the simulator's own."""
    return f"{tiktok.url}/_sandbox/photo.{kind}?{query}"


async def test_every_photo_is_pulled_and_the_set_is_published(tiktok: TikTok) -> None:
    """Photos are pulled in order; downloaded_bytes counts them all."""
    urls = [photo(tiktok, f"n={n}&width={100 + n}") for n in range(3)]
    publish_id = await taken(tiktok, *urls)
    assert publish_id.startswith("p_pub_url~v2.")
    await tiktok.settled()
    bodies = [(await tiktok.http.get(url)).content for url in urls]
    status = await tiktok.status(publish_id)
    assert status["status"] == "PUBLISH_COMPLETE"
    assert status["downloaded_bytes"] == sum(map(len, bodies))
    assert len(status["publicaly_available_post_id"]) == 1
    post = await tiktok.newest()
    assert (post["media"], post["mode"], post["photoUrls"]) == ("photo", "direct", urls)
    assert [item["sha256"] for item in post["photos"]] == [
        hashlib.sha256(body).hexdigest() for body in bodies
    ]


async def test_a_draft_of_photos_takes_title_and_description(tiktok: TikTok) -> None:
    """MEDIA_UPLOAD needs no privacy level and ends in the inbox."""
    info = {"title": "Cats", "description": "All of them"}
    publish_id = await taken(tiktok, mode="MEDIA_UPLOAD", post_info=info)
    await tiktok.settled()
    assert (await tiktok.status(publish_id))["status"] == "SEND_TO_USER_INBOX"
    post = await tiktok.newest()
    assert (post["mode"], post["title"], post["description"]) == (
        "inbox",
        "Cats",
        "All of them",
    )


async def test_35_photos_are_the_most(tiktok: TikTok) -> None:
    """One more is refused, and so is none."""
    await tiktok.settings(pull=False)
    urls = [photo(tiktok, f"n={n}") for n in range(36)]
    await taken(tiktok, *urls[:35])
    for wrong in (urls, []):
        body = tiktok.photos()
        body["source_info"]["photo_images"] = wrong
        assert code_of(await tiktok.post(CONTENT, body)) == "invalid_params"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"media_type": "VIDEO"}, "media_type"),
        ({"post_mode": "DIRECT POST"}, "post_mode"),
        ({"post_mode": None}, "post_mode"),
        ({"post_info": []}, "post_info"),
        ({"post_info": {}}, "privacy_level"),
        ({"post_info": {"title": "x" * 91}}, "title"),
        ({"post_info": {"title": LONG * 46}}, "title"),
        ({"post_info": {"description": "x" * 4001}}, "description"),
        ({"post_info": {"auto_add_music": "yes"}}, "auto_add_music"),
        ({"is_aigc": "yes"}, "is_aigc"),
        ({"source_info": {"source": "FILE_UPLOAD"}}, "PULL_FROM_URL"),
        ({"source_info": {"photo_images": "x"}}, "photo_images"),
        ({"source_info": {"photo_images": [7]}}, "photo_images"),
        ({"source_info": {"photo_images": ["ftp://x/y.jpg"]}}, "photo_images"),
        ({"source_info": {"photo_cover_index": 1}}, "photo_cover_index"),
        ({"source_info": {"photo_cover_index": -1}}, "photo_cover_index"),
        ({"source_info": {"photo_cover_index": "0"}}, "photo_cover_index"),
    ],
)
async def test_a_malformed_set_is_refused(
    tiktok: TikTok, change: dict[str, Any], complaint: str
) -> None:
    """400 invalid_params names what is wrong, and no post comes of it."""
    body = tiktok.photos()
    source = change.pop("source_info", {})
    body |= change
    body["source_info"] |= source
    answer = await tiktok.post(CONTENT, body)
    assert (answer.status_code, code_of(answer)) == (400, "invalid_params")
    assert complaint in answer.json()["error"]["message"]
    assert await tiktok.read("posts") == []


async def test_texts_of_photos_are_counted_in_utf16(tiktok: TikTok) -> None:
    """90 units of title, 4,000 of description."""
    info = {
        "title": LONG * 45,
        "description": LONG * 2000,
        "privacy_level": "SELF_ONLY",
        "auto_add_music": True,
        "disable_comment": True,
    }
    await taken(tiktok, post_info=info, is_aigc=True)


async def test_photos_have_the_creators_audiences_too(tiktok: TikTok) -> None:
    """A level that is not offered is a mismatch."""
    info = {"privacy_level": "FOLLOWER_OF_CREATOR"}
    answer = await tiktok.post(CONTENT, tiktok.photos(post_info=info))
    assert (answer.status_code, code_of(answer)) == (
        403,
        "privacy_level_option_mismatch",
    )


@pytest.mark.parametrize(
    ("scope", "mode"),
    [("video.publish", "MEDIA_UPLOAD"), ("video.upload", "DIRECT_POST")],
)
async def test_each_mode_wants_its_own_scope(
    tiktok: TikTok, scope: str, mode: str
) -> None:
    """video.publish for posts, video.upload for drafts."""
    await tiktok.account(openId="o", accessToken="act.o", scopes=[scope])
    answer = await tiktok.post(CONTENT, tiktok.photos(mode=mode), token="act.o")
    assert (answer.status_code, code_of(answer)) == (401, "scope_not_authorized")


async def test_content_inits_have_a_quota_of_their_own(tiktok: TikTok) -> None:
    """Six a minute, like the other inits."""
    await tiktok.settings(pull=False)
    answers = [await tiktok.post(CONTENT, tiktok.photos()) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("photo.png", "file_format_check_failed"),
        ("video.mp4", "file_format_check_failed"),
        ("photo.jpg?width=1081&height=1081", "picture_size_check_failed"),
        ("photo.webp?width=1086&height=1448", "picture_size_check_failed"),
        ("photo.jpg?bytes=20000001", "picture_size_check_failed"),
        ("photo.jpg?status=404", "photo_pull_failed"),
        ("photo.jpg?redirect=1", "photo_pull_failed"),
        ("photo.jpg?cutAfter=100", "photo_pull_failed"),
    ],
)
async def test_one_bad_photo_fails_the_whole_set(
    tiktok: TikTok, bad: str, reason: str
) -> None:
    """The reason does not say which one it was."""
    publish_id = await taken(tiktok, photo(tiktok), f"{tiktok.url}/_sandbox/{bad}")
    await tiktok.settled()
    status = await tiktok.status(publish_id)
    assert (status["status"], status["fail_reason"]) == ("FAILED", reason)


@pytest.mark.parametrize(
    "good",
    [
        "photo.jpg?width=1080&height=1920",
        "photo.webp?width=1920&height=1080",
        "photo.webp?width=1&height=1",
        "photo.jpg?bytes=20000000",
    ],
)
async def test_a_photo_within_the_limits_is_published(
    tiktok: TikTok, good: str
) -> None:
    """1080p at most, by the shorter side, and 20 MB."""
    publish_id = await taken(tiktok, f"{tiktok.url}/_sandbox/{good}")
    await tiktok.settled()
    assert (await tiktok.status(publish_id))["status"] == "PUBLISH_COMPLETE"


async def test_media_checks_can_be_switched_off(tiktok: TikTok) -> None:
    """With the checks off, anything that can be pulled is a photo."""
    await tiktok.settings(checkMedia=False)
    publish_id = await taken(tiktok, photo(tiktok, kind="png"))
    await tiktok.settled()
    assert (await tiktok.status(publish_id))["status"] == "PUBLISH_COMPLETE"


async def test_the_init_of_photos_has_its_faults(tiktok: TikTok) -> None:
    """An init of photos has the faults of every init."""
    await tiktok.fault("content_init", "error", code="app_version_check_failed")
    answer = await tiktok.post(CONTENT, tiktok.photos())
    assert (answer.status_code, code_of(answer)) == (400, "app_version_check_failed")
    await tiktok.fault("content_init", "processing", failReason="spam_risk")
    publish_id = await taken(tiktok)
    await tiktok.settled()
    assert (await tiktok.status(publish_id))["fail_reason"] == "spam_risk"
    call, _ = await tiktok.read("calls", call="content_init")
    assert (call["title"], call["taken"]) == ("Cats", False)


async def test_photos_are_not_in_the_list_of_videos(tiktok: TikTok) -> None:
    """Whether TikTok lists them is unknown, so nobody may find them there."""
    await taken(tiktok)
    await tiktok.settled()
    answer = await tiktok.post(VIDEOS + "?fields=id", {})
    assert answer.json()["data"]["videos"] == []
