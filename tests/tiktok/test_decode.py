"""What TikTok's answers on publishing come to, in whichever of its spellings."""

from datetime import UTC, datetime

import pytest

from app.domain.accounts.account import CreatorInfo
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Verdict
from app.tiktok import decode
from app.tiktok.values import (
    InitTaken,
    PublishState,
    PublishStatus,
    UploadTaken,
    UserInfo,
    Video,
    VideoPage,
)
from tests.tiktok.answers import answer, fault, ok, refused


def test_creator_info() -> None:
    """The options come as they are, those that are new too."""
    data = {
        "creator_username": "me",
        "creator_nickname": "Me \U0001f600",
        "creator_avatar_url": "https://p.example.com/a.jpg",
        "privacy_level_options": ["SELF_ONLY", "SOMETHING_NEW"],
        "comment_disabled": True,
        "duet_disabled": False,
        "stitch_disabled": True,
        "max_video_post_duration_sec": 600,
        "something_new": {"deep": [1]},
    }
    assert decode.creator_info(ok(data)) == CreatorInfo(
        username="me",
        nickname="Me \U0001f600",
        avatar_url="https://p.example.com/a.jpg",
        privacy_options=("SELF_ONLY", "SOMETHING_NEW"),
        comment_disabled=True,
        stitch_disabled=True,
        max_video_seconds=600,
    )


def test_creator_info_refuses_with_200() -> None:
    """The code is the verdict, not the HTTP status."""
    result = fault(decode.creator_info(refused("reached_active_user_cap", status=200)))
    assert result.error_class is ErrorClass.RATE_LIMIT
    assert (result.verdict, result.http_status) == (Verdict.ANSWERED, 200)


@pytest.mark.parametrize("options", [None, "SELF_ONLY", {}])
def test_creator_info_without_options(options: object) -> None:
    """Missing options are a bad answer; taken for none, they would reject the post."""
    result = fault(decode.creator_info(ok({"privacy_level_options": options})))
    assert result.code == "bad_answer"
    assert result.error_class is ErrorClass.TRANSIENT


@pytest.mark.parametrize(
    ("publish_id", "expected"),
    [
        ("v_pub_url~v2.123", "v_pub_url~v2.123"),
        (7602997517160123666, "7602997517160123666"),
    ],
)
def test_init(publish_id: object, expected: str) -> None:
    """A publish_id is opaque text and the proof that the init was taken."""
    assert decode.init(ok({"publish_id": publish_id})) == InitTaken(
        publish_id=expected, log_id="log-1"
    )


@pytest.mark.parametrize(
    "publish_id", [None, "", 0, True, 1.5, [], {}, "\ud800", "a\0b", "x" * 1000]
)
def test_init_with_an_id_that_is_none(publish_id: object) -> None:
    """Without an id that can be asked for, nobody knows what became of the init."""
    result = fault(decode.init(ok({"publish_id": publish_id})))
    assert (result.verdict, result.code) == (Verdict.UNKNOWN, "bad_answer")
    assert result.log_id == "log-1"


def test_init_taken_with_an_odd_status() -> None:
    """An id is proof enough, whatever the HTTP status says."""
    body = {"data": {"publish_id": "v"}, "error": {"code": "ok"}}
    assert decode.init(answer(body, status=500)) == InitTaken(publish_id="v")


@pytest.mark.parametrize("error", [None, {}, {"message": ""}])
def test_init_taken_without_a_word_of_error(error: object) -> None:
    """An id in a 2xx is proof enough, if no error is named."""
    body = {"data": {"publish_id": "v"}, "error": error}
    assert decode.init(answer(body)) == InitTaken(publish_id="v")


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("PROCESSING_UPLOAD", PublishState.PROCESSING),
        ("PROCESSING_DOWNLOAD", PublishState.PROCESSING),
        ("PROCESSING", PublishState.PROCESSING),
        ("SOMETHING_NEW", PublishState.PROCESSING),
        ("SEND_TO_USER_INBOX", PublishState.IN_INBOX),
        ("PUBLISH_COMPLETE", PublishState.COMPLETE),
        ("FAILED", PublishState.FAILED),
    ],
)
def test_status(raw: str, state: PublishState) -> None:
    """Only TikTok's own words end a publish; a new word is no end."""
    assert decode.status(ok({"status": raw})) == PublishStatus(
        state=state,
        waits_for_upload=raw == "PROCESSING_UPLOAD",
        log_id="log-1",
        http_status=200,
        raw_status=raw,
    )


@pytest.mark.parametrize(
    ("value", "count"), [(0, 0), (12, 12), ("12", 12), (None, None), (-1, None)]
)
def test_status_tells_how_much_there_is(value: object, count: int | None) -> None:
    """Of an upload the bytes that TikTok has, of a pull those it has fetched."""
    data = {"status": "X", "uploaded_bytes": value, "downloaded_bytes": value}
    result = decode.status(ok(data))
    assert isinstance(result, PublishStatus)
    assert (result.uploaded_bytes, result.downloaded_bytes) == (count, count)


def test_an_upload_has_an_address() -> None:
    """It is a secret: who has it can publish."""
    data = {
        "publish_id": "v_pub_file~v2-1.1",
        "upload_url": "https://u/?upload_token=T",
    }
    taken = decode.upload_init(ok(data))
    assert taken == UploadTaken(
        publish_id="v_pub_file~v2-1.1",
        upload_url="https://u/?upload_token=T",
        log_id="log-1",
    )
    assert "upload_token" not in repr(taken)


def test_an_upload_without_an_address_is_no_upload() -> None:
    """Nothing can be sent, so nothing can come of it."""
    data = {"publish_id": "v_pub_file~v2-1.1"}
    assert fault(decode.upload_init(ok(data))).verdict is Verdict.UNKNOWN
    assert fault(decode.upload_init(refused("spam_risk"))).code == "spam_risk"


def test_a_cancel_is_agreed_to_or_refused() -> None:
    """With TikTok's code where it is not."""
    assert decode.cancelled(ok({})) is None
    code = "publish_not_cancellable"
    assert fault(decode.cancelled(refused(code))).code == code


@pytest.mark.parametrize(
    "name", ["publicaly_available_post_id", "publicly_available_post_id"]
)
@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ([7602997517160123666], ("7602997517160123666",)),
        (["7602997517160123666"], ("7602997517160123666",)),
        ([9223372036854775807, 2], ("9223372036854775807", "2")),
        (7602997517160123666, ("7602997517160123666",)),
        ([], ()),
        (None, ()),
        ([0, -1, "", None, 1.5, True, {}, "\ud800"], ()),
    ],
)
def test_post_ids(name: str, value: object, ids: tuple[str, ...]) -> None:
    """Ids of 19 digits stay exact, under TikTok's spelling and the right one."""
    result = decode.status(ok({"status": "PUBLISH_COMPLETE", name: value}))
    assert isinstance(result, PublishStatus)
    assert result.post_ids == ids


def test_failed_status() -> None:
    """A failed publish says why."""
    result = decode.status(ok({"status": "FAILED", "fail_reason": "spam_risk_text"}))
    assert isinstance(result, PublishStatus)
    assert result.fail_reason == "spam_risk_text"


@pytest.mark.parametrize("data", [{}, {"status": None}, {"status": 3}, None, []])
def test_status_without_a_status(data: object) -> None:
    """An answer that says nothing changes nothing."""
    assert fault(decode.status(ok(data))).code == "bad_answer"


def test_user_info() -> None:
    """The name and picture, and the username only where it was asked for."""
    user = {"display_name": "Me", "avatar_url": "https://p.example.com/a.jpg"}
    plain = UserInfo(
        open_id="", display_name="Me", avatar_url="https://p.example.com/a.jpg"
    )
    assert decode.user_info(ok({"user": user})) == plain
    named = decode.user_info(ok({"user": user | {"username": "me"}}))
    assert isinstance(named, UserInfo)
    assert named.username == "me"
    assert fault(decode.user_info(ok({}))).code == "bad_answer"


def test_list_videos() -> None:
    """Videos carry what a post can be recognised by; broken ones are left out."""
    row = {
        "id": 7602997517160123666,
        "title": "Short",
        "video_description": "Long\nwith a second line",
        "create_time": 1775736000,
        "share_url": "https://www.tiktok.com/@me/video/1",
    }
    broken = [{}, row | {"id": None}, row | {"create_time": 10**18}, "x", None]
    data = {"videos": [row, *broken], "cursor": 1775736000000, "has_more": True}
    video = Video(
        id="7602997517160123666",
        title="Short",
        description="Long\nwith a second line",
        create_time=datetime(2026, 4, 9, 12, 0, tzinfo=UTC),
        share_url="https://www.tiktok.com/@me/video/1",
    )
    assert decode.list_videos(ok(data)) == VideoPage(
        videos=(video,), cursor=1775736000000, has_more=True
    )


def test_no_videos() -> None:
    """An empty page is an answer, a missing one is not."""
    assert decode.list_videos(ok({"videos": []})) == VideoPage(videos=())
    assert fault(decode.list_videos(ok({}))).code == "bad_answer"
