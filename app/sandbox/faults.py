"""Faults that can be scripted; each kind says what it does to a call."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from app.sandbox.settings import Camel
from app.sandbox.upload_faults import Cut, SlowRead, UploadAnswer, UploadExpired

Seconds = Annotated[float, Field(ge=0, le=86_400)]
ToldBy = Literal["both", "status", "webhook", "nobody"]
"""How the app comes to know an id: status calls, webhooks, both, or not at all."""
RetryAfter = Annotated[int, Field(ge=0)] | str


class Error(Camel):
    """Answer an error code in the endpoint's own shape."""

    kind: Literal["error"]
    code: str = Field(min_length=1)
    http_status: int | None = Field(default=None, ge=200, le=599)
    message: str | None = None
    retry_after: RetryAfter | None = None
    log_id_in: Literal["both", "header", "none"] = "both"
    """Where the log id stands: body and header, header alone, or nowhere."""
    taken: bool = False


class RateLimit(Camel):
    """Answer 429, with Retry-After in seconds, as an HTTP date, or not at all."""

    kind: Literal["rate_limit"]
    retry_after: RetryAfter | None = None

    @property
    def taken(self) -> bool:
        """Say no: a call over the limit never takes effect."""
        return False


class InvalidGrant(Camel):
    """Answer a token call as if the refresh token or code were dead."""

    kind: Literal["invalid_grant"]
    http_status: Literal[200, 400] | None = None

    @property
    def taken(self) -> bool:
        """Say no: no token pair is issued."""
        return False


class Hang(Camel):
    """Never answer; the connection stays open until the caller gives up."""

    kind: Literal["hang"]
    taken: bool = False


class Reset(Camel):
    """Reset the connection (RST), before or after the call took effect."""

    kind: Literal["reset"]
    taken: bool = False


class Close(Camel):
    """Close the connection politely (FIN) without a word."""

    kind: Literal["close"]
    taken: bool = False


class Truncate(Camel):
    """Send half of an answer under its full Content-Length, then close."""

    kind: Literal["truncate"]
    taken: bool = True


class Empty(Camel):
    """Answer a status and no body."""

    kind: Literal["empty"]
    http_status: int = Field(default=200, ge=200, le=599)
    taken: bool = False


class Gateway(Camel):
    """Answer a gateway's HTML page, without TikTok's envelope."""

    kind: Literal["gateway"]
    http_status: int = Field(default=502, ge=200, le=599)
    taken: bool = False


class OkWithoutPublishId(Camel):
    """Answer ok with nothing in it."""

    kind: Literal["ok_without_publish_id"]
    taken: bool = False


class Garbage(Camel):
    """Answer bytes that are no HTTP, then close."""

    kind: Literal["garbage"]
    taken: bool = False


class Drip(Camel):
    """Send the true answer byte by byte."""

    kind: Literal["drip"]
    seconds_per_byte: Seconds

    @property
    def taken(self) -> bool:
        """Say yes: the answer is true, only slow."""
        return True


class Reshape(Camel):
    """Change the payload of the true answer: members left out, replaced or nested.

    The payload is `data`, or the whole body where there is no envelope (OAuth).
    """

    kind: Literal["reshape"]
    omit: tuple[str, ...] = ()
    change: dict[str, JsonValue] = Field(default={})
    nested: bool = False
    """Put what OAuth answers into a member `data`."""

    @property
    def taken(self) -> bool:
        """Say yes: the call takes effect."""
        return True


class CancelIgnored(Camel):
    """Answer a cancel with ok, and publish all the same."""

    kind: Literal["cancel_ignored"]

    @property
    def taken(self) -> bool:
        """Say no: nothing is cancelled."""
        return False


class DateHeader(Camel):
    """Tell another time in the Date header; then go on as usual."""

    kind: Literal["date"]
    shift_seconds: float = 0
    value: str | None = None
    """Written as it is, sense or nonsense."""
    omit: bool = False


class Slow(Camel):
    """Wait before the call is carried out; then go on as usual."""

    kind: Literal["slow"]
    seconds: Seconds


class TokenDeath(Camel):
    """End the account's access token; then go on as usual."""

    kind: Literal["token_death"]


class Processing(Camel):
    """Shape how the post of this init goes on."""

    kind: Literal["processing"]
    seconds: Seconds | None = None
    stuck: bool = False
    fail_reason: str | None = Field(default=None, min_length=1)
    post_id_late: Seconds | None = None
    """Seconds from PUBLISH_COMPLETE until a public post gets its id."""
    post_id_never: bool = False
    post_ids: int = Field(default=1, ge=1, le=10)
    """How many ids a public post gets."""
    id_told_by: ToldBy = "both"
    shown_status: str | None = Field(default=None, min_length=1)
    """What status says instead of PROCESSING_*, such as plain PROCESSING."""
    shown_reason: str | None = Field(default=None, min_length=1)
    """A fail_reason that status shows while the post is still in progress."""
    download_stuck: bool = False
    """Never finish pulling: unlike a stuck post, this one can be cancelled."""
    download_bytes_per_second: int | None = Field(default=None, ge=1)
    """Pull so slowly; downloaded_bytes grows meanwhile."""
    download_bytes: int | None = Field(default=None, ge=0)
    """Pull nothing, but let downloaded_bytes grow up to this at that rate."""


class WebhookFault(Camel):
    """Shape how the events that come of this call are delivered."""

    kind: Literal["webhook"]
    events: tuple[str, ...] | None = None
    """The events meant; without them all. Delaying one reorders them."""
    duplicate: bool = False
    delay_seconds: Seconds = 0
    stale: bool = False
    drop: bool = False

    def shapes(self, event: str) -> bool:
        """Tell whether it is about this event."""
        return self.events is None or event in self.events


AnswerFault = (
    Error
    | RateLimit
    | InvalidGrant
    | Hang
    | Reset
    | Close
    | Truncate
    | Empty
    | Gateway
    | OkWithoutPublishId
    | Garbage
    | Drip
    | Reshape
    | CancelIgnored
    | Cut
    | UploadAnswer
    | UploadExpired
)
Shaping = Slow | SlowRead | TokenDeath | Processing | WebhookFault | DateHeader
"""What lets the call go on as usual, and can meet another fault in one call."""

Fault = AnswerFault | Shaping
