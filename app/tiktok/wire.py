"""Endpoints, requests and answers as values, without I/O."""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from app.domain.jobs.outcome import Fault


class ApiRequest(Struct, frozen=True, kw_only=True, gc=False):
    """A call, ready to send; its repr shows nothing secret."""

    method: str
    path: str  # below the API's base, query included, trailing slash kept
    headers: Mapping[str, str]
    content: bytes = b""
    secrets: tuple[str, ...] = ()  # a refusal may quote them
    # A repeat would post twice or waste a single-use code, so it must not use a
    # connection that the peer may be about to close.
    once: bool = False

    def __repr__(self) -> str:
        """Show the call alone."""
        return f"ApiRequest({self.method} {self.path})"


class ApiAnswer(Struct, frozen=True, kw_only=True, gc=False):
    """A complete HTTP answer; its repr shows nothing secret."""

    status: int
    body: bytes
    retry_after: float | None = None  # seconds
    said_at: datetime | None = None  # by the server's clock, in whole seconds
    secrets: tuple[str, ...] = ()  # as in the request
    log_id: str | None = None  # from the header, where TikTok's edge puts it

    def __repr__(self) -> str:
        """Show the status alone."""
        return f"ApiAnswer({self.status})"

    @property
    def is_success(self) -> bool:
        """Tell whether the HTTP status is a 2xx, which alone is no success."""
        return 200 <= self.status < 300


class Endpoint(StrEnum):
    """The calls that the service makes, as metrics and traces name them."""

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
