"""The key by which a repeated request finds the first one's job."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, Self

from msgspec import Struct

SEPARATOR: Final = "|"
KEY_LENGTH: Final = 32


class RequestKey(Struct, frozen=True):
    """A caller's own key for a request, and a digest of the request."""

    value: str  # the header Idempotency-Key; unique within its project
    digest: str  # of the body, as parsed JSON

    @classmethod
    def of(cls, value: str, body: object) -> Self:
        """Make the key of a request with this JSON body, whatever its formatting."""
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
        return cls(value, sha256(canonical.encode()).hexdigest())


def to_millis(moment: datetime) -> datetime:
    """Cut a time to the millisecond, the precision that is stored and shown."""
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def iso_millis(moment: datetime) -> str:
    """Write a time as JavaScript's ``toISOString`` does."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{utc.isoformat(timespec='milliseconds')[:-6]}Z"  # cuts, and has no offset


def idempotency_key(
    *, project_id: str, platform: str, asset_id: str, scheduled_for: datetime
) -> str:
    """Return 32 hex digits, always the same for the same four parts.

    Raises ValueError if a part contains the separator: two different requests could
    then share a key.
    """
    parts = (project_id, platform, asset_id, iso_millis(scheduled_for))
    if any(SEPARATOR in part for part in parts):
        raise ValueError(f"a part of the idempotency key contains {SEPARATOR!r}")
    return sha256(SEPARATOR.join(parts).encode()).hexdigest()[:KEY_LENGTH]
