"""Decide what a late word from TikTok makes of a job that is over. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from app.domain import transition as become
from app.domain.confirmation import lacks_post_id, next_confirmation, was_public
from app.domain.job import (
    Delivery,
    ErrorClass,
    FailureReason,
    Job,
    JobStatus,
)
from app.domain.outcome import Fault, InInbox, Published
from app.domain.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedForGood:
    """TikTok gave the publish up; no post can come of it any more."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class NoWord:
    """TikTok cannot say yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAsked:
    """The account's quota lets nobody ask before a time."""

    until: datetime


Truth = Published | InInbox | FailedForGood | NoWord | NotAsked


def decide_late(job: Job, truth: Truth, *, now: datetime) -> Transition:
    """Say what becomes of a posted or failed job.

    TikTok's "complete" turns a failure into posted. Nothing turns posted into failed
    but TikTok's own failure of that publish before the post was seen.
    """
    match truth:
        case Published():
            if job.status is JobStatus.POSTED and truth.post_id is None:
                # Seen by all only after moderation; what is private never gets an id.
                return _ask_again(job, now) if lacks_post_id(job, None) else _done(job)
            return become.confirmed_late(
                job,
                delivery=job.delivery or Delivery.PUBLISHED,
                publish_id=truth.publish_id or None,
                post_id=truth.post_id,
                post_url=truth.post_url,
                now=now,
            )
        case InInbox():
            return become.confirmed_late(
                job, delivery=Delivery.INBOX, publish_id=truth.publish_id, now=now
            )
        case FailedForGood(fault=fault):
            if job.status is JobStatus.POSTED and was_public(job):
                return _ask_again(job, now)
            return become.failed_late(
                job, reason=_reason(fault), error=fault.to_error(now)
            )
        case NoWord():
            return _ask_again(job, now)
        case NotAsked(until=until):
            change = become.still_unknown(job, confirm_at=until)
            return replace(change, confirm_tries=job.confirm_tries)
        case _:
            assert_never(truth)


def _ask_again(job: Job, now: datetime) -> Transition:
    return become.still_unknown(
        job, confirm_at=next_confirmation(job.confirm_tries + 1, now)
    )


def _done(job: Job) -> Transition:
    return become.still_unknown(job, confirm_at=None)


def _reason(fault: Fault) -> FailureReason:
    """Name the end; every attempt is over, so what might work later is used up."""
    match fault.error_class:
        case ErrorClass.AUTH:
            return FailureReason.AUTH
        case ErrorClass.PERMANENT:
            return FailureReason.PERMANENT
        case ErrorClass.RATE_LIMIT | ErrorClass.TRANSIENT:
            return FailureReason.MAX_ATTEMPTS
        case _:
            assert_never(fault.error_class)
