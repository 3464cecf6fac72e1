"""A frontend's webhook endpoint, its secrets and its retry schedule. Pure.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from hmac import digest
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from app.domain.events import EventStatus, EventType
from app.domain.guarded import Guarded, Hidden
from app.domain.posts.asset_url import problem_with_url

PREFIX: Final = "whsec_"
"""The prefix of every secret, so that a leaked one can be recognised."""

SECRET_BYTES: Final = 32
"""The length in bytes of a secret that we make."""

ALLOWED_BYTES: Final = range(24, 65)
"""The allowed lengths of others' secrets, from the specification."""

FORMER_SECRET_SIGNS: Final = timedelta(hours=24)
"""How long a replaced secret also signs, so that receivers can change over."""

DISABLED_AFTER: Final = timedelta(days=5)
"""How long an endpoint may fail before it is disabled."""

HTTPS_PORT: Final = 443
GONE: Final = 410
"""The status by which a receiver asks never to be called again."""


class EndpointStatus(StrEnum):
    """Whether an endpoint is called."""

    ACTIVE = "active"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why an endpoint was disabled."""

    GONE = "gone"  # it answered 410
    FAILING = "failing"  # it failed for days


class WebhookEndpoint(Guarded, frozen=True, kw_only=True):
    """Where one project receives its events."""

    project_id: str
    url: Hidden[str]  # its query may hold a secret of the receiver's
    secrets: Hidden[tuple[str, ...]]  # newest first; all of them sign
    status: EndpointStatus
    disabled_reason: DisabledReason | None
    disabled_at: datetime | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


class EventRecord(Struct, frozen=True, kw_only=True):
    """One event and its delivery, without its body."""

    id: str
    project_id: str
    job_id: str | None
    type: EventType
    created_at: datetime
    status: EventStatus
    attempts: int
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None


class DeliveryResult(Struct, frozen=True, kw_only=True):
    """The result of one try to send an event."""

    at: datetime
    status: int | None  # of HTTP; None: there was no answer
    error: str | None  # None: delivered
    retry_after: float | None = None  # seconds that the receiver asked for
    lacks_resources: bool = False  # this machine does: the receiver was not asked


def problem_with_endpoint(url: str, *, allow_private: bool = False) -> str | None:
    """Return why a URL is not accepted, None if it is.

    ``allow_private`` accepts http, IP addresses and every port, for tests and the demo.
    """
    if not url.isascii():
        return "must be ASCII: write the host in punycode and the rest in %-escapes"
    if problem := problem_with_url(url, allow_private=allow_private):
        return problem
    if not allow_private and urlsplit(url).port not in {None, HTTPS_PORT}:
        return f"must use port {HTTPS_PORT}"
    return None


def problem_with_secret(text: str) -> str | None:
    """Return why a secret is not accepted, None if it is; quotes nothing of it."""
    try:
        length = len(_key(text))
    except ValueError:
        return "must be base64, with or without whsec_ before it"
    if length not in ALLOWED_BYTES:
        least, most = ALLOWED_BYTES[0], ALLOWED_BYTES[-1]
        return f"must be base64 of {least} to {most} bytes"
    return None


def secret_text(key: bytes) -> str:
    """Write a secret in the form that receivers' libraries expect."""
    return PREFIX + b64encode(key).decode("ascii")


def plain_secret(text: str) -> str:
    """Convert a given secret to that form; raises ValueError."""
    return secret_text(_key(text))


def signatures(
    body: bytes, *, event_id: str, timestamp: int, secrets: tuple[str, ...]
) -> str:
    """Return the signature header's value: one signature for each secret."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    made = (digest(_key(secret), signed, sha256) for secret in secrets)
    return " ".join(f"v1,{b64encode(each).decode('ascii')}" for each in made)


def next_try(
    attempts: int,
    *,
    now: datetime,
    steps: tuple[float, ...],
    retry_after: float | None = None,
) -> datetime | None:
    """Return when an event is tried again after so many tries, None if never.

    Not before the receiver's Retry-After, up to the longest step of the schedule; both
    are in seconds.
    """
    if attempts > len(steps):
        return None
    asked = min(retry_after or 0.0, max(steps))
    return now + timedelta(seconds=max(steps[attempts - 1], asked))


def _key(text: str) -> bytes:
    encoded = text.removeprefix(PREFIX).rstrip("=")
    if len(encoded) % 4 == 1:
        raise ValueError("no base64")
    return b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
