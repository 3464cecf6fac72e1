"""When a job is due again whose time was written by a clock that was ahead. Pure."""

from datetime import datetime, timedelta

from msgspec import Struct


class Bounds(Struct, frozen=True, kw_only=True):
    """How far ahead a right clock dates a job."""

    lease: timedelta  # how long a claim lasts
    longest: timedelta  # the longest wait that is not a person's wish
    slack: timedelta  # how far two clocks may be apart


class Dated(Struct, frozen=True, kw_only=True):
    """What of a job's row tells whether it waits too long; every time is aware UTC."""

    id: str
    next_attempt_at: datetime
    updated_at: datetime
    scheduled_for: datetime
    post_now: bool
    is_claimed: bool


def redated(job: Dated, *, now: datetime, bounds: Bounds) -> datetime | None:
    """Return when it is due by a right clock, None if that is what its row says.

    A row that was written "tomorrow" waits as long as it was meant to, from now on.
    Whatever it says, no claim and no wait lasts longer than the longest. The time that
    a person chose stays; Post Now has none.
    """
    at = job.next_attempt_at
    if job.is_claimed:
        right = min(at, now + bounds.lease)
    elif at == job.scheduled_for:
        right = now if job.post_now else at
    else:
        written = job.updated_at
        wait = at - (written if written > now + bounds.slack else now)
        right = now + max(min(wait, bounds.longest), timedelta(0))
    return right if at - right > bounds.slack else None
