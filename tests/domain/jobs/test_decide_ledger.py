"""decide(): what is written down of an attempt, and of a success."""

import pytest
from hypothesis import given

from app.domain.jobs.backoff import RetryPolicy
from app.domain.jobs.job import (
    Delivery,
    FailureReason,
    Job,
    JobStatus,
)
from app.domain.jobs.outcome import (
    Abandoned,
    AuthLost,
    InInbox,
    Outcome,
    Processing,
    Published,
    RateLimited,
    Rejected,
    Transient,
    Unconfirmed,
)
from tests.domain.jobs.sample import (
    A_FAULT,
    AN_ERROR,
    NOW,
    a_job,
    claimed_jobs,
    decided,
    deferrals,
    failures,
    in_flight,
    policies,
    successes,
)


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
        http_status=200,
    )
    change = decided(in_flight(a_job(attempts=4, last_error=AN_ERROR)), outcome)
    assert change.to is JobStatus.POSTED
    assert change.delivery is Delivery.PUBLISHED
    assert (change.publish_id, change.post_id) == ("pub-1", "7602")
    assert change.post_url == "https://tiktok/7602"
    assert (change.posted_at, change.last_error) == (NOW, None)
    assert change.entry is not None
    assert (change.entry.log_id, change.entry.http_status) == ("log-2", 200)
    assert change.entry.error_class is None


def test_a_draft_is_posted_to_the_inbox() -> None:
    """A draft that arrived is told apart from a published post."""
    outcome = InInbox(publish_id="pub-2", log_id="log-2", http_status=200)
    change = decided(in_flight(a_job()), outcome)
    assert change.entry is not None
    assert (change.entry.log_id, change.entry.http_status) == ("log-2", 200)
    assert change.to is JobStatus.POSTED
    assert change.delivery is Delivery.INBOX
    assert (change.publish_id, change.post_id) == ("pub-2", None)
    assert change.posted_at == NOW
