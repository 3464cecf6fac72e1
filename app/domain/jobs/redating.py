"""Correct a due time that was written by a clock that was ahead. Pure."""

from datetime import datetime, timedelta

from msgspec import Struct


class Bounds(Struct, frozen=True, kw_only=True):
    """How far ahead a correct clock can set a job's due time."""

    lease: timedelta  # how long a claim lasts
    longest: timedelta  # the longest wait that no person chose
    delivery: timedelta  # the longest wait between two tries of a webhook
    slack: timedelta  # how far two clocks may differ


class Dated(Struct, frozen=True, kw_only=True):
    """The columns that tell whether a job waits too long; every time is aware UTC."""

    id: str
    next_attempt_at: datetime
    updated_at: datetime
    scheduled_for: datetime
    post_now: bool
    is_claimed: bool


def redated(job: Dated, *, now: datetime, bounds: Bounds) -> datetime | None:
    """Return when a job is due by a correct clock, None if its row is right.

    A row written "tomorrow" waits its intended time from now on. No claim and no wait
    lasts longer than the bounds. A time that a person chose stays; Post Now has none.
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
