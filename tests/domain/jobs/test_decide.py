"""decide(): what becomes of a claimed job after every kind of attempt."""

from datetime import timedelta

import pytest
from hypothesis import given
from msgspec.structs import replace

from app.domain.jobs.backoff import RetryPolicy, UnconfirmedInit
from app.domain.jobs.job import (
    ErrorClass,
    FailureReason,
    Job,
    JobStatus,
)
from app.domain.jobs.outcome import (
    Abandoned,
    AuthLost,
    Outcome,
    Processing,
    RateLimited,
    Rejected,
    Transient,
    Unconfirmed,
)
from app.domain.jobs.transition import TRANSITIONS
from tests.domain.jobs.sample import (
    A_FAULT,
    NOW,
    a_job,
    applied,
    chance,
    claimed_jobs,
    decided,
    deferrals,
    failures,
    outcomes,
    policies,
    successes,
)

MICROSECOND = timedelta(microseconds=1)


def end_of(job: Job, outcome: Outcome, policy: RetryPolicy) -> FailureReason | None:
    """Say in the promise's own words how a failed attempt ends its job, if it does."""
    hold = policy.unconfirmed is UnconfirmedInit.HOLD
    if isinstance(outcome, Rejected):
        return FailureReason.PERMANENT
    if isinstance(outcome, AuthLost):
        return FailureReason.AUTH
    if hold and isinstance(outcome, Unconfirmed):
        return FailureReason.UNCONFIRMED
    last = job.attempts + 1 >= job.max_attempts
    unknown = job.init_sent_at is not None and job.publish_id is None
    if hold and unknown and isinstance(outcome, Abandoned):
        # Our own gateway can tell, as long as there is an attempt left to ask it.
        return FailureReason.UNCONFIRMED if last or not job.media_token else None
    return FailureReason.MAX_ATTEMPTS if last else None


@given(job=claimed_jobs(), outcome=outcomes, policy=policies)
def test_every_outcome_leads_to_a_row_that_holds_together(
    job: Job, outcome: Outcome, policy: RetryPolicy
) -> None:
    """Whatever happens, the job takes an allowed way to a state that is whole."""
    change = decided(job, outcome, policy)
    assert change.to in TRANSITIONS[job.status]
    after = applied(job, change)
    over = after.status in {JobStatus.POSTED, JobStatus.FAILED}
    assert over == (after.next_attempt_at is None)
    assert (after.status is JobStatus.FAILED) == (after.failure_reason is not None)
    assert (after.status is JobStatus.POSTED) == (after.posted_at is not None)
    assert (after.status is JobStatus.POSTED) == (after.delivery is not None)
    assert after.claim_token is None or after.status is JobStatus.PROCESSING
    assert after.confirm_at is None or over
    if after.status is JobStatus.PROCESSING:
        assert after.claim_token is not None or after.init_sent_at is not None


@given(job=claimed_jobs(), outcome=outcomes, policy=policies)
def test_an_open_init_is_closed_only_by_what_proves_it_over(
    job: Job, outcome: Outcome, policy: RetryPolicy
) -> None:
    """Only an outcome that says so, or the choice to risk it, lets a new init out."""
    change = decided(job, outcome, policy)
    resend = policy.unconfirmed is UnconfirmedInit.RETRY
    unknown = isinstance(outcome, Unconfirmed) or (
        isinstance(outcome, Abandoned) and job.publish_id is None
    )
    closed = not getattr(outcome, "in_flight", True) or (unknown and resend)
    assert change.init_sent_at == (None if closed else job.init_sent_at)


@given(job=claimed_jobs(), outcome=failures | deferrals, policy=policies)
def test_the_publish_id_is_never_lost(
    job: Job, outcome: Outcome, policy: RetryPolicy
) -> None:
    """What TikTok once named stays known until the next init replaces it."""
    named = outcome.publish_id if isinstance(outcome, Processing) else job.publish_id
    assert decided(job, outcome, policy).publish_id == named


# Attempts


@given(job=claimed_jobs(), outcome=failures, policy=policies)
def test_every_failure_counts_one_attempt(
    job: Job, outcome: Outcome, policy: RetryPolicy
) -> None:
    """A failed or abandoned attempt adds one, and never one too many."""
    change = decided(job, outcome, policy)
    assert change.attempts == job.attempts + 1
    assert change.attempts <= job.max_attempts


@given(job=claimed_jobs(), outcome=successes | deferrals, policy=policies)
def test_success_and_waiting_count_none(
    job: Job, outcome: Outcome, policy: RetryPolicy
) -> None:
    """Being posted, put off or handed on is no failed attempt."""
    assert decided(job, outcome, policy).attempts == job.attempts


@given(job=claimed_jobs(), outcome=failures, policy=policies)
def test_a_failure_ends_the_job_for_its_reason_or_at_the_last_attempt(
    job: Job, outcome: Outcome, policy: RetryPolicy
) -> None:
    """A job fails exactly for its outcome's reason or when attempts + 1 >= max."""
    change = decided(job, outcome, policy)
    assert change.failure_reason == end_of(job, outcome, policy)
    assert (change.to is JobStatus.FAILED) == (change.failure_reason is not None)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_job_gets_exactly_its_attempts(limit: int) -> None:
    """The attempt numbered maxAttempts is the last, whatever the limit."""
    job = a_job(max_attempts=limit)
    for _ in range(limit - 1):
        job = applied(job, decided(job, Transient(fault=A_FAULT)))
        assert job.status is JobStatus.RETRYING
    job = applied(job, decided(job, Transient(fault=A_FAULT)))
    assert job.failure_reason is FailureReason.MAX_ATTEMPTS
    assert job.attempts == limit


# Delays


@given(job=claimed_jobs(), outcome=failures, policy=policies, random=chance)
def test_a_retry_is_never_early_and_at_most_a_tenth_late(
    job: Job, outcome: Outcome, policy: RetryPolicy, random: float
) -> None:
    """The schedule gives the time of a retry; a limit's Retry-After replaces it."""
    change = decided(job, outcome, policy, random)
    if change.to is not JobStatus.RETRYING:
        return
    assert change.next_attempt_at is not None
    step = policy.steps[min(job.attempts, len(policy.steps) - 1)]
    asked = outcome.fault.retry_after if isinstance(outcome, RateLimited) else None
    if asked is not None:
        step = max(asked, 0.0)
    base = min(step, policy.cap)
    wait = change.next_attempt_at - NOW
    assert timedelta(seconds=base) <= wait
    assert wait <= timedelta(seconds=base * 1.1) + MICROSECOND


def test_the_first_failure_waits_the_first_step() -> None:
    """The schedule starts at its first step, not its second."""
    waits = [
        decided(a_job(attempts=n), Transient(fault=A_FAULT)).next_attempt_at
        for n in range(3)
    ]
    assert waits == [NOW + timedelta(seconds=s) for s in (30, 120, 600)]


@pytest.mark.parametrize(("asked", "waits"), [(None, 30), (5.0, 5), (1e6, 3600)])
def test_only_a_limits_wish_replaces_the_schedule(
    asked: float | None, waits: float
) -> None:
    """A limit knows when it ends; whatever else fails keeps to the schedule."""
    broken = replace(A_FAULT, retry_after=asked)
    limited = replace(broken, error_class=ErrorClass.RATE_LIMIT)
    limit = decided(a_job(), RateLimited(fault=limited))
    failure = decided(a_job(), Transient(fault=broken))
    assert limit.next_attempt_at == NOW + timedelta(seconds=waits)
    assert failure.next_attempt_at == NOW + timedelta(seconds=30)
