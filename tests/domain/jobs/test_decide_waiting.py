"""decide(): jobs that wait for their turn, for TikTok or for another day."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from app.domain.jobs.job import (
    ErrorClass,
    Job,
    JobStatus,
    WaitingFor,
)
from app.domain.jobs.outcome import (
    HandedOn,
    Processing,
    PutOff,
    RateLimited,
    Transient,
)
from tests.domain.jobs.sample import (
    A_CAP,
    A_FAULT,
    NOW,
    a_job,
    decided,
    in_flight,
)


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


# Daily caps


@pytest.mark.parametrize(("attempts", "status"), [(3, "retrying"), (4, "failed")])
def test_a_daily_cap_is_counted_like_any_limit(attempts: int, status: str) -> None:
    """What keeps a post alive is the account's rest between its attempts."""
    change = decided(a_job(attempts=attempts), RateLimited(fault=A_CAP))
    assert (change.to, change.attempts) == (status, attempts + 1)
