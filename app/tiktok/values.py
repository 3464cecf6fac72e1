"""The values of TikTok's answers; every id is an exact string."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from app.domain.accounts.account import TokenPair
from app.domain.guarded import Guarded, Hidden


class PublishState(StrEnum):
    """How far a publish has got.

    https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
    """

    PROCESSING = "processing"  # also any unknown status
    IN_INBOX = "in_inbox"  # the end of a draft's publish
    COMPLETE = "complete"
    FAILED = "failed"


class InitTaken(Struct, frozen=True, kw_only=True, gc=False):
    """TikTok took the init and will pull the video."""

    publish_id: str
    log_id: str | None = None


class UploadTaken(Guarded, frozen=True, kw_only=True):
    """TikTok took the init and waits for the video's bytes at a URL.

    Whoever has the URL can publish. Before the last byte arrives nothing is posted.
    https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
    """

    publish_id: str
    upload_url: Hidden[str]
    log_id: str | None = None


class PublishStatus(Struct, frozen=True, kw_only=True, gc=False):
    """The status of a publish."""

    state: PublishState
    waits_for_upload: bool = False  # TikTok waits for more bytes
    uploaded_bytes: int | None = None
    downloaded_bytes: int | None = None
    fail_reason: str | None = None
    post_ids: tuple[str, ...] = ()  # public posts only; a draft may become several
    log_id: str | None = None
    http_status: int | None = None
    raw_status: str = ""


class TokenGrant(TokenPair, frozen=True, kw_only=True):
    """A pair of tokens; the refresh token that it replaces has ended."""

    open_id: str  # may be empty after a refresh


class UserInfo(Struct, frozen=True, kw_only=True):
    """The person behind an account."""

    open_id: str  # empty if not stated
    display_name: str
    avatar_url: str
    username: str | None = None  # only with the scope user.info.profile


class Video(Struct, frozen=True, kw_only=True):
    """A public video of an account."""

    id: str
    title: str
    description: str  # the caption
    create_time: datetime  # aware UTC, whole seconds
    share_url: str


class VideoPage(Struct, frozen=True, kw_only=True):
    """A page of an account's public videos, newest first."""

    videos: tuple[Video, ...]
    cursor: int | None = None  # of the next page
    has_more: bool = False
