"""Read TikTok's answers, one function per endpoint.

Reading is lenient: unknown fields are ignored, and a missing field that is not needed
is empty. No answer raises.
"""

from typing import Final

from app.domain.accounts.account import CreatorInfo
from app.domain.codes import class_of_fail_reason
from app.domain.jobs.outcome import Fault
from app.tiktok import fields
from app.tiktok.envelope import (
    OK,
    accepted,
    bad_answer,
    read_envelope,
    read_flat,
    refusal,
)
from app.tiktok.text import clean
from app.tiktok.values import (
    InitTaken,
    PublishState,
    PublishStatus,
    TokenGrant,
    UploadTaken,
    UserInfo,
    Video,
    VideoPage,
)
from app.tiktok.wire import ApiAnswer

WAITS_FOR_UPLOAD: Final = "PROCESSING_UPLOAD"
ACCESS_LIVES: Final = 2 * 3600
REFRESH_LIVES: Final = 180 * 24 * 3600
"""The least lifetimes of tokens in seconds, from TikTok's documentation.

https://developers.tiktok.com/doc/oauth-user-access-token-management
"""

_MAX_CODE_LENGTH: Final = 100

STATES: Final[dict[str, PublishState]] = {
    WAITS_FOR_UPLOAD: PublishState.PROCESSING,
    "PROCESSING_DOWNLOAD": PublishState.PROCESSING,
    "SEND_TO_USER_INBOX": PublishState.IN_INBOX,
    "PUBLISH_COMPLETE": PublishState.COMPLETE,
    "FAILED": PublishState.FAILED,
}


def creator_info(answer: ApiAnswer) -> CreatorInfo | Fault:
    """Read what the creator may choose."""
    envelope = accepted(answer)
    if isinstance(envelope, Fault):
        return envelope
    data = envelope.data
    options = data.get("privacy_level_options")
    if not isinstance(options, list):
        # Read as an empty list, it would reject every post.
        return bad_answer(answer, "privacy_level_options", log_id=envelope.log_id)
    return CreatorInfo(
        username=fields.text(data.get("creator_username")),
        nickname=fields.text(data.get("creator_nickname")),
        avatar_url=fields.text(data.get("creator_avatar_url")),
        privacy_options=tuple(fields.text(option) for option in options),
        comment_disabled=data.get("comment_disabled") is True,
        duet_disabled=data.get("duet_disabled") is True,
        stitch_disabled=data.get("stitch_disabled") is True,
        max_video_seconds=fields.integer(data.get("max_video_post_duration_sec")),
        said_at=answer.said_at,
    )


def init(answer: ApiAnswer) -> InitTaken | Fault:
    """Read whether TikTok took an init."""
    envelope = read_envelope(answer)
    if isinstance(envelope, Fault):
        return envelope
    publish_id = fields.identifier(envelope.data.get("publish_id"))
    if envelope.code == OK and publish_id is not None:
        return InitTaken(publish_id=publish_id, log_id=envelope.log_id)
    if envelope.code == OK:
        return bad_answer(answer, "publish_id", log_id=envelope.log_id)
    if envelope.data.get("publish_id"):
        # A refusal that names a publish_id contradicts itself: it may have been taken.
        return bad_answer(answer, "verdict", log_id=envelope.log_id)
    return refusal(answer, envelope)


def upload_init(answer: ApiAnswer) -> UploadTaken | Fault:
    """Read whether TikTok took an init, and where it wants the bytes."""
    taken = init(answer)
    if isinstance(taken, Fault):
        return taken
    envelope = read_envelope(answer)
    data = {} if isinstance(envelope, Fault) else envelope.data
    upload_url = fields.text(data.get("upload_url"))
    if not upload_url:
        return bad_answer(answer, "upload_url", log_id=taken.log_id)
    return UploadTaken(
        publish_id=taken.publish_id, upload_url=upload_url, log_id=taken.log_id
    )


def cancelled(answer: ApiAnswer) -> Fault | None:
    """Read whether TikTok agreed to cancel; only a later FAILED proves it."""
    envelope = accepted(answer)
    return envelope if isinstance(envelope, Fault) else None


def status(answer: ApiAnswer) -> PublishStatus | Fault:
    """Read how far a publish has got."""
    envelope = accepted(answer)
    if isinstance(envelope, Fault):
        return envelope
    data = envelope.data
    raw_status = fields.text(data.get("status"))
    if not raw_status:
        return bad_answer(answer, "status", log_id=envelope.log_id)
    return PublishStatus(
        state=STATES.get(raw_status, PublishState.PROCESSING),
        waits_for_upload=raw_status == WAITS_FOR_UPLOAD,
        uploaded_bytes=fields.integer(data.get("uploaded_bytes")),
        downloaded_bytes=fields.integer(data.get("downloaded_bytes")),
        fail_reason=fields.text(data.get("fail_reason")) or None,
        # TikTok's misspelling first, then the correct one in case it is mended.
        post_ids=fields.post_identifiers(data.get("publicaly_available_post_id"))
        or fields.post_identifiers(data.get("publicly_available_post_id")),
        log_id=envelope.log_id,
        http_status=answer.status,
        raw_status=raw_status,
    )


def fault_of_fail_reason(reason: str | None, log_id: str | None) -> Fault:
    """Turn the fail_reason of a publish that ended FAILED into a fault."""
    code = clean(reason or "", limit=_MAX_CODE_LENGTH) or "no_fail_reason"
    return Fault(
        error_class=class_of_fail_reason(code),
        code=code,
        message=f"TikTok could not publish the video: {code}",
        log_id=log_id,
    )


def user_info(answer: ApiAnswer) -> UserInfo | Fault:
    """Read who the account is."""
    envelope = accepted(answer)
    if isinstance(envelope, Fault):
        return envelope
    user = envelope.data.get("user")
    if not isinstance(user, dict):
        return bad_answer(answer, "user", log_id=envelope.log_id)
    return UserInfo(
        open_id=fields.text(user.get("open_id")),
        display_name=fields.text(user.get("display_name")),
        avatar_url=fields.text(user.get("avatar_url")),
        username=fields.text(user.get("username")) or None,
    )


def list_videos(answer: ApiAnswer) -> VideoPage | Fault:
    """Read a page of videos; those without id or time are left out."""
    envelope = accepted(answer)
    if isinstance(envelope, Fault):
        return envelope
    data = envelope.data
    rows = data.get("videos")
    if not isinstance(rows, list):
        # Read as an empty list, it would prove that a video does not exist.
        return bad_answer(answer, "videos", log_id=envelope.log_id)
    videos = (_video(row) for row in rows if isinstance(row, dict))
    return VideoPage(
        videos=tuple(video for video in videos if video is not None),
        cursor=fields.integer(data.get("cursor")),
        has_more=data.get("has_more") is True,
    )


def refreshed(answer: ApiAnswer, *, refresh_token: str) -> TokenGrant | Fault:
    """Read a refresh; the old refresh token stays if the answer has none."""
    return _grant(answer, open_id="", refresh_token=refresh_token)


def exchanged(answer: ApiAnswer) -> TokenGrant | Fault:
    """Read the answer to an authorization code."""
    return _grant(answer)


def revoked(answer: ApiAnswer) -> Fault | None:
    """Read whether a grant was revoked: TikTok then sends an empty answer."""
    if answer.is_success and not answer.body.strip():
        return None
    body = read_flat(answer)
    return body if isinstance(body, Fault) else None


def _grant(
    answer: ApiAnswer, *, open_id: str | None = None, refresh_token: str | None = None
) -> TokenGrant | Fault:
    body = read_flat(answer)
    if isinstance(body, Fault):
        return body
    nested = body.get("data")
    if "access_token" not in body and isinstance(nested, dict):
        body = nested
    access_token = fields.text(body.get("access_token"))
    refresh_token = fields.text(body.get("refresh_token")) or refresh_token
    open_id = fields.text(body.get("open_id")) or open_id
    # A pair without lifetimes is accepted: TikTok has ended the previous one.
    lives = fields.seconds(body.get("expires_in")) or ACCESS_LIVES
    refresh_lives = fields.seconds(body.get("refresh_expires_in")) or REFRESH_LIVES
    if not access_token or not refresh_token or open_id is None:
        return bad_answer(answer, "tokens")
    return TokenGrant(
        open_id=open_id,
        access_token=access_token,
        refresh_token=refresh_token,
        expires_in=lives,
        refresh_expires_in=refresh_lives,
        scopes=fields.names(body.get("scope")),
    )


def _video(row: fields.Json) -> Video | None:
    video_id = fields.identifier(row.get("id"))
    create_time = fields.moment(row.get("create_time"))
    if video_id is None or create_time is None:
        return None
    return Video(
        id=video_id,
        title=fields.text(row.get("title")),
        description=fields.text(row.get("video_description")),
        create_time=create_time,
        share_url=fields.text(row.get("share_url")),
    )
