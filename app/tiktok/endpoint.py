"""TikTok's endpoints by the names that metrics and traces know them by."""

from collections.abc import Callable
from enum import StrEnum

from app.domain.jobs.outcome import Fault


class Endpoint(StrEnum):
    """One of the calls that are made."""

    CREATOR_INFO = "creator_info"
    INIT = "init"
    INBOX_INIT = "inbox_init"
    PHOTO_INIT = "photo_init"
    UPLOAD = "upload"
    CANCEL = "cancel"
    STATUS = "status"
    USER_INFO = "user_info"
    LIST_VIDEOS = "list_videos"
    REFRESH = "refresh"
    EXCHANGE_CODE = "exchange_code"
    REVOKE = "revoke"


OnCall = Callable[[Endpoint, Fault | None, float], None]
"""Told of each call that ended: its endpoint, its fault if any, its seconds."""


def nobody_listens(_endpoint: Endpoint, _fault: Fault | None, _seconds: float) -> None:
    """Tell nobody."""
