"""Decide a job's next state from the outcome of its attempt. Pure."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from app.domain import codes
from app.domain.codes import cap_of
from app.domain.jobs import transition as become
from app.domain.jobs.backoff import Random, RetryPolicy, UnconfirmedInit
from app.domain.jobs.job import (
    AttemptRecord,
    Delivery,
    ErrorClass,
    FailureReason,
    Job,
    LastError,
)
from app.domain.jobs.outcome import (
    Abandoned,
    AuthLost,
    Fault,
    HandedOn,
    InInbox,
    Missed,
    Outcome,
    Processing,
    Published,
    PutOff,
    RateLimited,
    Rejected,
    Transient,
    Unconfirmed,
)
from app.domain.jobs.transition import Transition

STILL_PROCESSING: Final = Fault(
    error_class=ErrorClass.TRANSIENT,
    code="poll_deadline",
    message="TikTok has the video and had not finished with it in time",
)
ABANDONED: Final = Fault(
    error_class=ErrorClass.TRANSIENT,
    code="claim_abandoned",
    message="the worker that ran this attempt went away",
)
DEADLINE_PASSED: Final = Fault(
    error_class=ErrorClass.PERMANENT,
    code=codes.MISSED,
    message="its last moment passed before it could be sent",
)
OUTCOME_UNKNOWN: Final = Fault(
    error_class=ErrorClass.TRANSIENT,
    code="outcome_unknown",
    message="it cannot be known whether TikTok took the post",
)


class _Context(Struct, frozen=True, kw_only=True):
    job: Job
    now: datetime
    policy: RetryPolicy
    random: Random


def decide(
    job: Job, outcome: Outcome, *, now: datetime, policy: RetryPolicy, random: Random
) -> Transition:
    """Return the transition of a claimed job after an attempt.

    Covers every outcome. A failure counts as an attempt; a success does not, nor does
    being put off or handed on.
    """
    context = _Context(job=job, now=now, policy=policy, random=random)
    match outcome:
        case PutOff() | HandedOn():
            return _given_back(context, outcome)
        case Published() | InInbox():
            change, fault = _succeed(context, outcome), None
        case Unconfirmed(fault=fault):
            change = _unconfirmed(context, fault)
        case Abandoned():
            change, fault = _abandoned(context), ABANDONED
        case Processing():
            change, fault = _still_processing(context, outcome)
        case Missed():
            change, fault = _missed(context), DEADLINE_PASSED
        case RateLimited(fault=fault) if _waits_for_cap(job, outcome):
            return _put_off_for_cap(context, fault)
        case RateLimited(fault=fault) | Transient(fault=fault):
            change = _retry(context, fault, in_flight=outcome.in_flight)
        case Rejected(fault=fault) | AuthLost(fault=fault):
            reason = _FINAL[type(outcome)]
            change = _fail(context, reason, fault, in_flight=outcome.in_flight)
        case _:
            assert_never(outcome)
    return become.with_entry(change, _entry(context, outcome, fault, change))


_FINAL: Final[dict[type, FailureReason]] = {
    Rejected: FailureReason.PERMANENT,
    AuthLost: FailureReason.AUTH,
}


def _given_back(context: _Context, outcome: PutOff | HandedOn) -> Transition:
    job = context.job
    match outcome:
        case PutOff(until=until, waiting_for=waiting_for):
            at = _in_time(context, until, in_flight=job.in_flight)
            return become.given_back(job, at=at, waiting_for=waiting_for)
        case HandedOn(resume_at=resume_at, polling_since=since):
            return become.given_back(job, at=resume_at, polling_since=since)


def _waits_for_cap(job: Job, outcome: RateLimited) -> bool:
    """Tell whether a daily cap only puts the job off."""
    capped = cap_of(outcome.fault.code) is not None
    return capped and job.publish_by is not None and not outcome.in_flight


def _put_off_for_cap(context: _Context, fault: Fault) -> Transition:
    """Try again now and then until the cap is lifted; that counts no attempt.

    Nothing is in flight: TikTok took no init, or its publish has failed.
    """
    closed = replace(context.job, init_sent_at=None)
    wait = context.policy.cap_delay(
        random=context.random, retry_after=fault.retry_after
    )
    at = _in_time(context, context.now + wait, in_flight=False)
    change = become.given_back(closed, at=at, waiting_for=cap_of(fault.code))
    return replace(change, last_error=fault.to_error(context.now))


def _missed(context: _Context) -> Transition:
    return become.ended_unsent(
        context.job,
        reason=FailureReason.MISSED,
        error=DEADLINE_PASSED.to_error(context.now),
    )


def _in_time(context: _Context, at: datetime, *, in_flight: bool) -> datetime:
    """Return when the job is tried again, at the latest at its ``publish_by``."""
    by = context.job.publish_by
    return at if by is None or in_flight else min(at, max(by, context.now))


def _succeed(context: _Context, outcome: Published | InInbox) -> Transition:
    match outcome:
        case Published():
            return become.posted(
                context.job,
                delivery=Delivery.PUBLISHED,
                publish_id=outcome.publish_id,
                post_ids=outcome.ids,
                post_id=outcome.post_id,
                post_url=outcome.post_url,
                now=context.now,
            )
        case InInbox():
            return become.posted(
                context.job,
                delivery=Delivery.INBOX,
                publish_id=outcome.publish_id,
                now=context.now,
            )


def _still_processing(
    context: _Context, outcome: Processing
) -> tuple[Transition, Fault]:
    """Poll the same publish_id later; the row may not have it yet.

    TikTok has the video, so whatever the last poll met, only waiting helps.
    """
    fault = replace(outcome.fault or STILL_PROCESSING, error_class=ErrorClass.TRANSIENT)
    named = replace(context, job=replace(context.job, publish_id=outcome.publish_id))
    return _retry(named, fault, in_flight=True), fault


def _retry(
    context: _Context,
    fault: Fault,
    *,
    in_flight: bool,
    again: Callable[[LastError], Transition] | None = None,
) -> Transition:
    """Schedule another attempt, unless this was the last."""
    job = context.job
    if job.attempts + 1 >= job.max_attempts:
        return _fail(context, FailureReason.MAX_ATTEMPTS, fault, in_flight=in_flight)
    error = fault.to_error(context.now)
    if again is not None:
        return again(error)
    at = _in_time(context, context.now + _wait(context, fault), in_flight=in_flight)
    return become.retrying(job, at=at, error=error, in_flight=in_flight)


def _wait(context: _Context, fault: Fault) -> timedelta:
    limited = fault.error_class is ErrorClass.RATE_LIMIT
    return context.policy.delay(
        context.job.attempts,
        random=context.random,
        # Only a rate limit's Retry-After may shorten the schedule.
        retry_after=fault.retry_after if limited else None,
    )


def _fail(
    context: _Context, reason: FailureReason, fault: Fault, *, in_flight: bool
) -> Transition:
    return become.failed(
        context.job,
        reason=reason,
        error=fault.to_error(context.now),
        in_flight=in_flight,
    )


def _unconfirmed(context: _Context, fault: Fault) -> Transition:
    """End an unknown init for a person to decide, or retry it if so configured."""
    if context.policy.unconfirmed is UnconfirmedInit.RETRY:
        return _retry(context, fault, in_flight=False)
    return _fail(context, FailureReason.UNCONFIRMED, fault, in_flight=True)


def _abandoned(context: _Context) -> Transition:
    """Continue a job whose worker went away.

    An init that TikTok may have taken is not sent again. If its video came from our
    own gateway, the next attempt can find out whether TikTok took it.
    """
    job, now = context.job, context.now
    resend = context.policy.unconfirmed is UnconfirmedInit.RETRY
    if job.ambiguous and not resend:
        last = job.attempts + 1 >= job.max_attempts
        if job.media_token is None or last:
            return _fail(
                context, FailureReason.UNCONFIRMED, OUTCOME_UNKNOWN, in_flight=True
            )
    in_flight = job.in_flight and not (job.ambiguous and resend)
    return _retry(
        context,
        ABANDONED,
        in_flight=in_flight,
        again=lambda error: become.reclaimed(
            job, now=now, error=error, in_flight=in_flight
        ),
    )


_OUTCOME_NAMES: Final[dict[type, str]] = {
    Published: "published",
    InInbox: "in_inbox",
    Processing: "processing",
    RateLimited: "rate_limited",
    Transient: "transient",
    Rejected: "rejected",
    AuthLost: "auth_lost",
    Unconfirmed: "unconfirmed",
    Abandoned: "abandoned",
    Missed: "missed",
}


def _entry(
    context: _Context, outcome: Outcome, fault: Fault | None, change: Transition
) -> AttemptRecord:
    job = context.job
    entry = AttemptRecord(
        number=job.attempt_number + 1,
        started_at=job.attempt_started_at or context.now,
        finished_at=context.now,
        outcome=_OUTCOME_NAMES[type(outcome)],
        decision=_decision(change),
        publish_id=change.publish_id,
        next_attempt_at=None if change.keeps_claim else change.next_attempt_at,
        log_id=getattr(outcome, "log_id", None),
        http_status=getattr(outcome, "http_status", None),
        worker=outcome.worker if isinstance(outcome, Abandoned) else job.claimed_by,
    )
    if fault is None:
        return entry
    return replace(
        entry,
        error_class=fault.error_class,
        error_code=fault.code,
        message=fault.message,
        http_status=fault.http_status,
        log_id=fault.log_id,
    )


def _decision(change: Transition) -> str:
    if change.failure_reason is not None:
        return f"{change.to}:{change.failure_reason}"
    return str(change.to)
