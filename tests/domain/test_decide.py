"""decide(): what becomes of a claimed job after every kind of attempt."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given

from app.domain.backoff import RetryPolicy, UnconfirmedInit
from app.domain.job import (
    Delivery,
    ErrorClass,
    FailureReason,
    Job,
    JobStatus,
    WaitingFor,
)
from app.domain.lifecycle import decide
from app.domain.outcome import (
    Abandoned,
    AuthLost,
    HandedOn,
    InInbox,
    Outcome,
    Processing,
    Published,
    PutOff,
    RateLimited,
    Rejected,
    Transient,
    Unconfirmed,
)
from app.domain.transition import TRANSITIONS, Transition
from tests.domain.jobs import (
    A_CAP,
    A_FAULT,
    AN_ERROR,
    NOW,
    a_job,
    applied,
    chance,
    claimed_jobs,
    deferrals,
    failures,
    in_flight,
    outcomes,
    policies,
    successes,
)

RETRY = RetryPolicy(unconfirmed=UnconfirmedInit.RETRY)
MICROSECOND = timedelta(microseconds=1)


def decided(
    job: Job,
    outcome: Outcome,
    policy: RetryPolicy | None = None,
    random: float = 0.0,
) -> Transition:
    """Decide at NOW, by the default policy unless told otherwise."""
    return decide(
        job, outcome, now=NOW, policy=policy or RetryPolicy(), random=lambda: random
    )


def end_of(job: Job, outcome: Outcome, policy: RetryPolicy) -> FailureReason | None:
    """Say in the promise's own words how a failed attempt ends its job, if it does."""
    hold = policy.unconfirmed is UnconfirmedInit.HOLD
    if isinstance(outcome, Rejected):
        return FailureReason.PERMANENT
    if isinstance(outcome, AuthLost):
        return FailureReason.AUTH
    if hold and isinstance(outcome, Unconfirmed):
        return FailureReason.UNCONFIRMED
    unknown = job.init_sent_at is not None and job.publish_id is None
    if hold and unknown and isinstance(outcome, Abandoned):
        return FailureReason.UNCONFIRMED
    return FailureReason.MAX_ATTEMPTS if job.attempts + 1 >= job.max_attempts else None


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


# Daily caps


def test_a_daily_cap_at_the_last_attempt_holds_the_post_back() -> None:
    """What passes within a day fails no post: it rests, at no attempt's cost."""
    job = replace(in_flight(a_job(attempts=4)), last_error=AN_ERROR)
    change = decided(job, RateLimited(fault=A_CAP))
    assert (change.to, change.attempts) == (JobStatus.RETRYING, 4)
    assert change.waiting_for is WaitingFor.ACCOUNT_CAP
    assert change.next_attempt_at == NOW + timedelta(seconds=3600)
    assert change.init_sent_at is None
    assert change.last_error is not None
    assert change.last_error.code == "spam_risk_too_many_posts"
    assert change.entry is not None


def test_a_daily_cap_before_the_last_attempt_is_a_failure_like_any() -> None:
    """Attempts that are left are used on the schedule."""
    change = decided(a_job(attempts=3), RateLimited(fault=A_CAP))
    assert (change.to, change.attempts) == (JobStatus.RETRYING, 4)


@pytest.mark.parametrize("days", [2.99, 3.0])
def test_a_cap_holds_a_post_back_for_three_days_at_most(days: float) -> None:
    """A post that a cap would hold for ever fails, and says of what."""
    job = a_job(attempts=4, scheduled_for=NOW - timedelta(days=days))
    change = decided(job, RateLimited(fault=A_CAP))
    over = days >= 3
    assert change.failure_reason == (FailureReason.MAX_ATTEMPTS if over else None)


@pytest.mark.parametrize(
    ("job", "to"),
    [
        (a_job(max_attempts=1), JobStatus.SCHEDULED),
        (in_flight(a_job(max_attempts=1)), JobStatus.PROCESSING),
    ],
)
def test_a_resting_job_stands_where_it_stood(job: Job, to: JobStatus) -> None:
    """It waits as if put off; what is in flight stays so."""
    change = decided(job, RateLimited(fault=A_CAP, in_flight=job.in_flight))
    assert (change.to, change.attempts) == (to, 0)
    assert change.init_sent_at == job.init_sent_at


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


# The ledger


@given(job=claimed_jobs(), outcome=deferrals, policy=policies)
def test_what_is_no_attempt_leaves_no_ledger_row(
    job: Job, outcome: Outcome, policy: RetryPolicy
) -> None:
    """Waiting is not told as an attempt, and the error before it stays shown."""
    change = decided(job, outcome, policy)
    assert change.entry is None
    assert change.last_error == job.last_error
    assert not change.keeps_claim


@given(job=claimed_jobs(), outcome=failures | successes, policy=policies)
def test_every_attempt_leaves_one_ledger_row(
    job: Job, outcome: Outcome, policy: RetryPolicy
) -> None:
    """The row carries the next number, both times and what was decided."""
    change = decided(job, outcome, policy)
    entry = change.entry
    assert entry is not None
    assert entry.number == job.attempt_number + 1
    assert entry.started_at == (job.attempt_started_at or NOW)
    assert entry.finished_at == NOW
    assert entry.publish_id == change.publish_id
    reason = f":{change.failure_reason}" if change.failure_reason else ""
    assert entry.decision == f"{change.to}{reason}"
    waits = change.to is JobStatus.RETRYING
    assert entry.next_attempt_at == (change.next_attempt_at if waits else None)
    gone = isinstance(outcome, Abandoned)
    assert entry.worker == (getattr(outcome, "worker", None) if gone else "worker-1")


@given(job=claimed_jobs(), outcome=failures, policy=policies)
def test_a_failures_row_and_the_job_tell_the_same_error(
    job: Job, outcome: Outcome, policy: RetryPolicy
) -> None:
    """The ledger and lastError agree, and keep TikTok's own words."""
    change = decided(job, outcome, policy)
    entry, error = change.entry, change.last_error
    assert entry is not None
    assert error is not None
    assert error.at == NOW
    assert error.error_class == entry.error_class
    if isinstance(outcome, Abandoned):
        assert entry.error_code == "claim_abandoned"
        lost = change.failure_reason is FailureReason.UNCONFIRMED
        assert error.code == ("outcome_unknown" if lost else "claim_abandoned")
        return
    assert (error.code, error.message) == (entry.error_code, entry.message)
    assert error.log_id == entry.log_id
    fault = getattr(outcome, "fault", None)
    if fault is not None:
        assert (error.code, error.message) == (fault.code, fault.message)
        assert (entry.log_id, entry.http_status) == (fault.log_id, fault.http_status)
        polled = isinstance(outcome, Processing)
        assert error.error_class == ("transient" if polled else fault.error_class)


@pytest.mark.parametrize(
    ("outcome", "name", "code"),
    [
        (Published(publish_id="pub-1"), "published", None),
        (InInbox(publish_id="pub-1"), "in_inbox", None),
        (Processing(publish_id="pub-1"), "processing", "poll_deadline"),
        (RateLimited(fault=A_FAULT), "rate_limited", "internal_error"),
        (Transient(fault=A_FAULT), "transient", "internal_error"),
        (Rejected(fault=A_FAULT), "rejected", "internal_error"),
        (AuthLost(fault=A_FAULT), "auth_lost", "internal_error"),
        (Unconfirmed(fault=A_FAULT), "unconfirmed", "internal_error"),
        (Abandoned(worker="worker-0"), "abandoned", "claim_abandoned"),
    ],
)
def test_the_ledger_names_the_outcome(
    outcome: Outcome, name: str, code: str | None
) -> None:
    """Each outcome has one name in the ledger, which callers may rely on."""
    entry = decided(in_flight(a_job()), outcome).entry
    assert entry is not None
    assert (entry.outcome, entry.error_code) == (name, code)
    assert (entry.message is None) == (code is None)


# Success


def test_a_published_post_keeps_all_tiktok_said() -> None:
    """The job ends posted with its ids, its time and no error left."""
    outcome = Published(
        publish_id="pub-1",
        post_id="7602",
        post_url="https://tiktok/7602",
        log_id="log-2",
    )
    change = decided(in_flight(a_job(attempts=4, last_error=AN_ERROR)), outcome)
    assert change.to is JobStatus.POSTED
    assert change.delivery is Delivery.PUBLISHED
    assert (change.publish_id, change.post_id) == ("pub-1", "7602")
    assert change.post_url == "https://tiktok/7602"
    assert (change.posted_at, change.last_error) == (NOW, None)
    assert change.entry is not None
    assert change.entry.log_id == "log-2"
    assert change.entry.error_class is None


def test_a_draft_is_posted_to_the_inbox() -> None:
    """A draft that arrived is told apart from a published post."""
    change = decided(in_flight(a_job()), InInbox(publish_id="pub-2", log_id="log-2"))
    assert change.to is JobStatus.POSTED
    assert change.delivery is Delivery.INBOX
    assert (change.publish_id, change.post_id) == ("pub-2", None)
    assert change.posted_at == NOW


# Waiting


@pytest.mark.parametrize(
    ("job", "to"),
    [
        (a_job(), JobStatus.SCHEDULED),
        (a_job(attempts=1), JobStatus.RETRYING),
        (in_flight(a_job()), JobStatus.PROCESSING),
        (in_flight(a_job(attempts=1)), JobStatus.PROCESSING),
        (in_flight(a_job(), publish_id=None), JobStatus.PROCESSING),
    ],
)
def test_a_job_given_back_stands_where_it_stood(job: Job, to: JobStatus) -> None:
    """Without an open init it is as before the claim, else it is under way."""
    later = NOW + timedelta(seconds=9)
    started = NOW if job.init_sent_at else None
    off = decided(job, PutOff(until=later, waiting_for=WaitingFor.QUOTA))
    on = decided(job, HandedOn(resume_at=later))
    assert off.to is on.to is to
    assert off.next_attempt_at == on.next_attempt_at == later
    assert off.publish_id == on.publish_id == job.publish_id
    assert off.init_sent_at == on.init_sent_at == job.init_sent_at
    assert off.attempt_started_at == on.attempt_started_at == started
    assert off.waiting_for is WaitingFor.QUOTA
    assert on.waiting_for is (WaitingFor.TIKTOK if job.init_sent_at else None)


def test_a_poll_deadline_waits_for_tiktok() -> None:
    """The next attempt polls the same publish_id; the job says whom it waits for."""
    change = decided(in_flight(a_job()), Processing(publish_id="pub-1"))
    assert change.to is JobStatus.RETRYING
    assert change.waiting_for is WaitingFor.TIKTOK
    assert (change.publish_id, change.init_sent_at) == ("pub-1", NOW)


def test_a_limit_met_by_polls_does_not_hurry_the_next_attempt() -> None:
    """A poll deadline is transient whatever the last status call answered."""
    limited = replace(
        A_FAULT,
        error_class=ErrorClass.RATE_LIMIT,
        code="rate_limit_exceeded",
        retry_after=1.0,
    )
    change = decided(in_flight(a_job()), Processing(publish_id="pub-1", fault=limited))
    assert change.next_attempt_at == NOW + timedelta(seconds=30)
    assert change.last_error is not None
    assert change.last_error.error_class == "transient"
    assert change.last_error.code == "rate_limit_exceeded"


def test_a_retry_with_nothing_in_flight_waits_for_nobody() -> None:
    """A publish_id left by a closed init is not mistaken for a post under way."""
    job = in_flight(a_job())
    assert decided(job, Transient(fault=A_FAULT)).waiting_for is None
    unknown = in_flight(a_job(), publish_id=None)
    change = decided(unknown, Transient(fault=A_FAULT, in_flight=True))
    assert change.waiting_for is None


# An unknown init


@pytest.mark.parametrize(
    "outcome", [Unconfirmed(fault=A_FAULT), Abandoned(worker=None)]
)
@pytest.mark.parametrize("attempts", [0, 4])
def test_an_unknown_init_is_held_for_a_person(outcome: Outcome, attempts: int) -> None:
    """It ends unconfirmed, says so, and keeps the open init as a guard."""
    job = in_flight(a_job(attempts=attempts), publish_id=None)
    change = decided(job, outcome)
    assert change.failure_reason is FailureReason.UNCONFIRMED
    assert change.init_sent_at == NOW
    assert change.last_error is not None
    if isinstance(outcome, Abandoned):
        assert change.last_error.code == "outcome_unknown"


def test_an_unknown_init_is_sent_again_only_where_that_was_chosen() -> None:
    """UNCONFIRMED_INIT=retry closes the open init and goes on as after any failure."""
    job = in_flight(a_job(), publish_id=None)
    answered = decided(job, Unconfirmed(fault=A_FAULT), RETRY)
    abandoned = decided(job, Abandoned(worker=None), RETRY)
    assert answered.to is JobStatus.RETRYING
    assert abandoned.to is JobStatus.PROCESSING
    assert answered.init_sent_at is abandoned.init_sent_at is None


# An abandoned claim


@pytest.mark.parametrize("policy", [RetryPolicy(), RETRY])
@pytest.mark.parametrize("job", [a_job(), in_flight(a_job())])
def test_an_abandoned_job_goes_on_under_the_new_claim(
    job: Job, policy: RetryPolicy
) -> None:
    """The lost attempt is counted and the next begins at once, in flight or not."""
    change = decided(job, Abandoned(worker="worker-0"), policy)
    assert change.to is JobStatus.PROCESSING
    assert change.keeps_claim
    assert change.next_attempt_at == job.next_attempt_at
    assert change.attempt_started_at == NOW
    assert change.init_sent_at == job.init_sent_at
    after = applied(job, change)
    assert (after.claim_token, after.attempts) == (job.claim_token, 1)


def test_the_last_claim_abandoned_ends_the_job() -> None:
    """A job that kills every worker is not claimed for ever, and keeps its guard."""
    change = decided(in_flight(a_job(attempts=4)), Abandoned(worker="worker-0"))
    assert change.failure_reason is FailureReason.MAX_ATTEMPTS
    assert not change.keeps_claim
    assert change.init_sent_at == NOW


@pytest.mark.parametrize("kind", [Rejected, AuthLost])
def test_a_job_that_fails_in_flight_keeps_its_guard(
    kind: type[Rejected | AuthLost],
) -> None:
    """A lost grant does not make TikTok forget the video it already has."""
    job = in_flight(a_job())
    assert decided(job, kind(fault=A_FAULT, in_flight=True)).init_sent_at == NOW
    assert decided(job, kind(fault=A_FAULT)).init_sent_at is None
