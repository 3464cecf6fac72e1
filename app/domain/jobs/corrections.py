"""Correct a job that is over by what TikTok says later. Pure."""

from datetime import datetime
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from app.domain.jobs import transition as become
from app.domain.jobs.backoff import next_confirmation
from app.domain.jobs.job import (
    Delivery,
    ErrorClass,
    FailureReason,
    Job,
    JobStatus,
)
from app.domain.jobs.outcome import Fault, InInbox, Published
from app.domain.jobs.transition import Transition, lacks_post_id


class FailedForGood(Struct, frozen=True, kw_only=True):
    """TikTok gave up the publish; no post can come of it any more."""

    fault: Fault


class Withdrawn(Struct, frozen=True):
    """TikTok says that the post is not public any more."""


class NoWord(Struct, frozen=True):
    """TikTok cannot say yet."""


class NotAsked(Struct, frozen=True, kw_only=True):
    """The account's quota allows no call before a time."""

    until: datetime


Truth = Published | InInbox | Withdrawn | FailedForGood | NoWord | NotAsked


def decide_late(job: Job, truth: Truth, *, now: datetime) -> Transition:
    """Return the correction of a posted or failed job.

    TikTok's "complete" turns a failed job into posted. A posted job turns into failed
    only if TikTok itself fails that publish before the post was seen.
    """
    match truth:
        case Published():
            return _published(job, truth, now)
        case Withdrawn():
            return become.withdrawn(job)
        case InInbox():
            return _in_inbox(job, truth, now)
        case FailedForGood(fault=fault):
            if job.status is JobStatus.POSTED and job.post_id is None:
                if job.delivery is Delivery.INBOX:
                    return become.discarded(job, now=now)
            elif job.status is JobStatus.POSTED:
                return _done(job)
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


def _in_inbox(job: Job, truth: InInbox, now: datetime) -> Transition:
    if job.status is JobStatus.POSTED:
        return _done(job)
    return become.confirmed_late(
        job, delivery=Delivery.INBOX, publish_id=truth.publish_id, now=now
    )


def _published(job: Job, truth: Published, now: datetime) -> Transition:
    """Add what is new about a publish that TikTok calls complete.

    A public post gets its id only after moderation, a private one never.
    """
    change = become.confirmed_late(
        job,
        delivery=Delivery.PUBLISHED,
        publish_id=truth.publish_id or None,
        post_ids=truth.ids,
        post_url=truth.post_url,
        now=now,
    )
    if job.status is not JobStatus.POSTED or is_news(job, change):
        return change
    return _ask_again(job, now) if lacks_post_id(job, job.post_id) else _done(job)


def is_news(job: Job, change: Transition) -> bool:
    """Tell whether a posted job's record says more than before."""
    after = change.delivery, change.post_ids, change.post_url
    before = job.post_ids or ((job.post_id,) if job.post_id else ())
    return after != (job.delivery, before, job.post_url)


def _ask_again(job: Job, now: datetime) -> Transition:
    return become.still_unknown(
        job, confirm_at=next_confirmation(job.confirm_tries + 1, now)
    )


def _done(job: Job) -> Transition:
    return become.still_unknown(job, confirm_at=None)


def _reason(fault: Fault) -> FailureReason:
    """Return the failure's reason; no attempt is left for a transient error."""
    match fault.error_class:
        case ErrorClass.AUTH:
            return FailureReason.AUTH
        case ErrorClass.PERMANENT:
            return FailureReason.PERMANENT
        case ErrorClass.RATE_LIMIT | ErrorClass.TRANSIENT:
            return FailureReason.MAX_ATTEMPTS
        case _:
            assert_never(fault.error_class)
