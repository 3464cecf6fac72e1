"""decide(): inits whose fate is not known, and workers that went away."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from app.domain.jobs.backoff import RetryPolicy
from app.domain.jobs.job import (
    FailureReason,
    Job,
    JobStatus,
)
from app.domain.jobs.outcome import (
    Abandoned,
    AuthLost,
    Outcome,
    Rejected,
    Unconfirmed,
)
from tests.domain.jobs.sample import (
    A_FAULT,
    NOW,
    RETRY,
    a_job,
    applied,
    decided,
    in_flight,
)


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


def test_an_unknown_init_of_our_own_gateway_is_looked_into_first() -> None:
    """While an attempt is left, the next one asks; the init stays open meanwhile."""
    job = in_flight(a_job(attempts=3, media_token="media-1"), publish_id=None)
    change = decided(job, Abandoned(worker="worker-0"))
    assert (change.to, change.init_sent_at) == (JobStatus.PROCESSING, NOW)
    last = decided(replace(job, attempts=4), Abandoned(worker="worker-0"))
    assert last.failure_reason is FailureReason.UNCONFIRMED
    assert last.init_sent_at == NOW


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
    assert change.publish_id == job.publish_id
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


@pytest.mark.parametrize("kind", [Rejected, AuthLost])
def test_only_a_failure_in_doubt_is_looked_at_again(
    kind: type[Rejected | AuthLost],
) -> None:
    """A minute later TikTok is asked about the open init; a closed one is settled."""
    job = in_flight(a_job())
    open_ = decided(job, kind(fault=A_FAULT, in_flight=True))
    assert open_.confirm_at == NOW + timedelta(minutes=1)
    assert decided(job, kind(fault=A_FAULT)).confirm_at is None
