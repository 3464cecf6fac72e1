"""The Content Posting API's answers."""

from typing import Any

import pytest

from tests.sandbox.support import CREATOR, INBOX, INIT, STATUS, TikTok, code_of


async def test_creator_info_tells_what_the_creator_may_choose(tiktok: TikTok) -> None:
    """A public account may post to everyone, to friends, or to itself."""
    answer = await tiktok.post(CREATOR)
    assert answer.status_code == 200
    assert answer.json()["error"] == {
        "code": "ok",
        "message": "",
        "log_id": answer.json()["error"]["log_id"],
    }
    assert answer.json()["data"] == {
        "creator_avatar_url": "https://p16.tiktokcdn.com/sandbox_user.webp",
        "creator_username": "sandbox_user",
        "creator_nickname": "Sandbox User",
        "privacy_level_options": [
            "PUBLIC_TO_EVERYONE",
            "MUTUAL_FOLLOW_FRIENDS",
            "SELF_ONLY",
        ],
        "comment_disabled": False,
        "duet_disabled": False,
        "stitch_disabled": False,
        "max_video_post_duration_sec": 600,
    }


async def test_a_public_post_ends_with_an_id_no_float_can_hold(tiktok: TikTok) -> None:
    """The id is an int64 of 19 digits in a list with TikTok's own misspelling."""
    publish_id = await tiktok.taken()
    assert publish_id.startswith("v_pub_url~v2.")
    await tiktok.settled()
    status = await tiktok.status(publish_id)
    (post_id,) = status.pop("publicaly_available_post_id")
    assert status == {"status": "PUBLISH_COMPLETE", "downloaded_bytes": 4096}
    assert isinstance(post_id, int)
    assert len(str(post_id)) == 19


async def test_a_post_is_in_progress_until_its_time_has_come(tiktok: TikTok) -> None:
    """Polling sees PROCESSING_DOWNLOAD, and no id, before the end."""
    await tiktok.fault("init", "processing", stuck=True)
    publish_id = await tiktok.taken()
    await tiktok.settled()
    assert await tiktok.status(publish_id) == {
        "status": "PROCESSING_DOWNLOAD",
        "downloaded_bytes": 4096,
    }


async def test_a_private_post_has_no_public_id(tiktok: TikTok) -> None:
    """SELF_ONLY completes with an empty list."""
    publish_id = await tiktok.taken(privacy_level="SELF_ONLY")
    await tiktok.settled()
    status = await tiktok.status(publish_id)
    assert status["status"] == "PUBLISH_COMPLETE"
    assert status["publicaly_available_post_id"] == []


async def test_a_draft_ends_in_the_inbox(tiktok: TikTok) -> None:
    """An inbox init takes source_info alone and is never published by itself."""
    body = {"source_info": tiktok.direct()["source_info"]}
    answer = await tiktok.post(INBOX, body)
    publish_id = answer.json()["data"]["publish_id"]
    assert publish_id.startswith("v_inbox_url~v2.")
    await tiktok.settled()
    assert (await tiktok.status(publish_id))["status"] == "SEND_TO_USER_INBOX"


async def test_two_posts_never_share_an_id(tiktok: TikTok) -> None:
    """Neither publish_ids nor post ids repeat, even within one instant."""
    for _ in range(3):
        await tiktok.taken()
    await tiktok.settled()
    posts = await tiktok.read("posts")
    numbers = {post["publishId"].split(".")[-1] for post in posts}
    assert len(numbers | {post["postId"] for post in posts}) == 6


@pytest.mark.parametrize(
    ("info", "complaint"),
    [
        ({"privacy_level": None}, "privacy_level"),
        ({"privacy_level": "EVERYBODY"}, "privacy_level"),
        ({"privacy_level": ["SELF_ONLY"]}, "privacy_level"),
        ({"title": 7}, "title"),
        ({"title": "x" * 2201}, "title"),
        ({"title": "\N{CAT FACE}" * 1101}, "title"),
        ({"disable_duet": "no"}, "disable_duet"),
        ({"video_cover_timestamp_ms": "0"}, "video_cover_timestamp_ms"),
        ({"video_cover_timestamp_ms": True}, "video_cover_timestamp_ms"),
        ({"video_url": "ftp://example.com/v.mp4"}, "video_url"),
        ({"video_url": None}, "video_url"),
    ],
)
async def test_a_malformed_init_is_refused(
    tiktok: TikTok, info: dict[str, Any], complaint: str
) -> None:
    """400 invalid_params names the field, and no post comes of it."""
    answer = await tiktok.init(**info)
    assert (answer.status_code, code_of(answer)) == (400, "invalid_params")
    assert complaint in answer.json()["error"]["message"]
    assert await tiktok.read("posts") == []


@pytest.mark.parametrize("title", ["", "x" * 2200, "\N{CAT FACE}" * 1100])
async def test_a_caption_may_have_2200_utf16_units(tiktok: TikTok, title: str) -> None:
    """TikTok counts UTF-16 code units: an emoji is two."""
    assert code_of(await tiktok.init(title=title)) == "ok"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"post_info": []},
        {"post_info": {"privacy_level": "SELF_ONLY"}},
        {
            "post_info": {"privacy_level": "SELF_ONLY"},
            "source_info": {"source": "FILE_UPLOAD"},
        },
        [],
    ],
)
async def test_a_part_that_is_missing_is_refused(tiktok: TikTok, body: object) -> None:
    """post_info and source_info are both required, and only URLs are pulled."""
    assert code_of(await tiktok.post(INIT, body)) == "invalid_params"


async def test_a_body_that_is_no_json_is_refused(tiktok: TikTok) -> None:
    """An unreadable body is invalid_params too, not a crash."""
    headers = {"Authorization": "Bearer act.sandbox"}
    answer = await tiktok.http.post(INIT, content=b"\xff{", headers=headers)
    assert code_of(answer) == "invalid_params"


async def test_a_level_the_creator_does_not_offer_is_a_mismatch(
    tiktok: TikTok,
) -> None:
    """A known level outside creator_info's options is 403, not 400."""
    answer = await tiktok.init(privacy_level="FOLLOWER_OF_CREATOR")
    assert answer.status_code == 403
    assert code_of(answer) == "privacy_level_option_mismatch"


async def test_the_status_of_an_unknown_id_is_refused(tiktok: TikTok) -> None:
    """400 invalid_publish_id; without any id it is invalid_params."""
    answer = await tiktok.post(STATUS, {"publish_id": "v_pub_url~v2.1"})
    assert (answer.status_code, code_of(answer)) == (400, "invalid_publish_id")
    assert code_of(await tiktok.post(STATUS, {})) == "invalid_params"


async def test_the_status_of_anothers_post_is_refused(tiktok: TikTok) -> None:
    """A publish_id belongs to the account that posted it."""
    await tiktok.account(openId="other", accessToken="act.other")
    publish_id = await tiktok.taken()
    answer = await tiktok.post(STATUS, {"publish_id": publish_id}, token="act.other")
    assert answer.status_code == 400
    assert code_of(answer) == "token_not_authorized_for_specified_publish_id"


async def test_a_path_without_its_slash_is_unknown(tiktok: TikTok) -> None:
    """TikTok's paths end with a slash, and nobody redirects there."""
    assert (await tiktok.post(INIT.rstrip("/"))).status_code == 404


async def test_every_answer_carries_a_log_id_of_its_own(tiktok: TikTok) -> None:
    """Success and error alike can be told apart by log_id."""
    answers = [await tiktok.post(CREATOR), await tiktok.post(STATUS, {})]
    log_ids = {answer.json()["error"]["log_id"] for answer in answers}
    assert len(log_ids) == 2
    assert all(len(log_id) == 34 for log_id in log_ids)
