"""The names of TikTok's endpoints in metrics and traces."""

from collections.abc import Callable
from enum import StrEnum

from app.domain.jobs.outcome import Fault


class Endpoint(StrEnum):
    """The calls that the service makes."""

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
"""Called after each call: its endpoint, its fault if any, its seconds."""


def nobody_listens(_endpoint: Endpoint, _fault: Fault | None, _seconds: float) -> None:
    """Ignore the call."""
