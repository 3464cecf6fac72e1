"""A frontend's endpoint, its secret, and when it is tried again. Pure.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from hmac import digest
from typing import Final
from urllib.parse import urlsplit

from app.domain.events import EventStatus, EventType
from app.domain.posts.asset_url import problem_with_url

PREFIX: Final = "whsec_"
"""What every secret starts with, so that a leaked one can be recognised."""

SECRET_BYTES: Final = 32
"""How long a secret is that we make up."""

ALLOWED_BYTES: Final = range(24, 65)
"""How long one may be that others made up, as the specification says."""

FORMER_SECRET_SIGNS: Final = timedelta(hours=24)
"""How long a replaced secret signs along, so that receivers can change over."""

DISABLED_AFTER: Final = timedelta(days=5)
"""After so long with nothing but failures an endpoint is left alone."""

HTTPS_PORT: Final = 443
GONE: Final = 410
"""With this status a receiver asks never to be called again."""


class EndpointStatus(StrEnum):
    """Whether an endpoint is called."""

    ACTIVE = "active"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why an endpoint is called no more."""

    GONE = "gone"  # it answered 410
    FAILING = "failing"  # nothing but failures for days


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """Where one project wants to be told."""

    project_id: str
    url: str = field(repr=False)  # its query may hold a secret of the receiver's
    secrets: tuple[str, ...] = field(repr=False)  # the newest first; all of them sign
    status: EndpointStatus
    disabled_reason: DisabledReason | None
    disabled_at: datetime | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One event and how far it got, without what it carries."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryResult:
    """What one try to send an event came to."""

    at: datetime
    status: int | None  # of HTTP; None: there was no answer
    error: str | None  # None: delivered
    retry_after: float | None = None  # seconds that the receiver asked for


def problem_with_endpoint(url: str, *, allow_private: bool = False) -> str | None:
    """Say why a URL cannot be called, None if it can.

    ``allow_private`` lets http, addresses and every port pass, for tests and the demo.
    """
    if not url.isascii():
        return "must be ASCII: write the host in punycode and the rest in %-escapes"
    if problem := problem_with_url(url, allow_private=allow_private):
        return problem
    if not allow_private and urlsplit(url).port not in {None, HTTPS_PORT}:
        return f"must use port {HTTPS_PORT}"
    return None


def problem_with_secret(text: str) -> str | None:
    """Say why a secret cannot be taken, None if it can; quotes nothing of it."""
    try:
        length = len(_key(text))
    except ValueError:
        return "must be base64, with or without whsec_ before it"
    if length not in ALLOWED_BYTES:
        least, most = ALLOWED_BYTES[0], ALLOWED_BYTES[-1]
        return f"must be base64 of {least} to {most} bytes"
    return None


def secret_text(key: bytes) -> str:
    """Write a secret in the form that receivers' libraries take."""
    return PREFIX + b64encode(key).decode("ascii")


def plain_secret(text: str) -> str:
    """Write a given secret in that form too; raises ValueError."""
    return secret_text(_key(text))


def signatures(
    body: bytes, *, event_id: str, timestamp: int, secrets: tuple[str, ...]
) -> str:
    """Sign what is sent, once for each secret; the header's value."""
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
    """Return when an event is tried again after so many tries; None: never.

    Not before the receiver wants it, but for a wish longer than the longest step.
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
