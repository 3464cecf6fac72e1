"""The named constructors: the only ways a row may change."""

import inspect
from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from app.domain.jobs import transition as become
from app.domain.jobs.job import (
    Delivery,
    FailureReason,
    Job,
    JobStatus,
    WaitingFor,
)
from app.domain.jobs.transition import TRANSITIONS, Transition
from tests.domain.jobs.sample import AN_ERROR, NOW, a_job, applied, in_flight

LATER = NOW + timedelta(minutes=1)
NOTHING = (None, None, None)

A_FAILED_JOB = a_job(
    status=JobStatus.FAILED,
    attempts=5,
    attempt_number=7,
    next_attempt_at=None,
    claim_token=None,
    claimed_by=None,
    claimed_at=None,
    failure_reason=FailureReason.MAX_ATTEMPTS,
    last_error=AN_ERROR,
)

A_POSTED_JOB = replace(
    in_flight(A_FAILED_JOB),
    status=JobStatus.POSTED,
    failure_reason=None,
    last_error=None,
    delivery=Delivery.PUBLISHED,
    posted_at=NOW,
)

# One call of each constructor, with the job it is meant for.
CALLS: dict[str, tuple[Job, Callable[[Job], Transition]]] = {
    "posted": (
        in_flight(a_job()),
        lambda job: become.posted(
            job, delivery=Delivery.PUBLISHED, publish_id="pub-1", now=NOW
        ),
    ),
    "failed": (
        a_job(),
        lambda job: become.failed(
            job, reason=FailureReason.AUTH, error=AN_ERROR, in_flight=False
        ),
    ),
    "retrying": (
        a_job(),
        lambda job: become.retrying(job, at=LATER, error=AN_ERROR, in_flight=False),
    ),
    "given_back": (a_job(), lambda job: become.given_back(job, at=LATER)),
    "reclaimed": (
        a_job(),
        lambda job: become.reclaimed(job, now=NOW, error=AN_ERROR, in_flight=False),
    ),
    "rescheduled": (A_FAILED_JOB, lambda job: become.rescheduled(job, now=NOW)),
    "confirmed_late": (
        in_flight(A_FAILED_JOB),
        lambda job: become.confirmed_late(
            job, delivery=Delivery.PUBLISHED, publish_id="pub-1", now=NOW
        ),
    ),
    "ended_unsent": (
        a_job(),
        lambda job: become.ended_unsent(
            job, reason=FailureReason.MISSED, error=AN_ERROR
        ),
    ),
    "withdrawn": (A_POSTED_JOB, become.withdrawn),
    "discarded": (A_POSTED_JOB, lambda job: become.discarded(job, now=NOW)),
    "failed_late": (
        A_POSTED_JOB,
        lambda job: become.failed_late(
            job, reason=FailureReason.PERMANENT, error=AN_ERROR
        ),
    ),
    "doubted": (a_job(), lambda job: become.doubted(job, error=AN_ERROR)),
    "still_unknown": (
        in_flight(A_FAILED_JOB),
        lambda job: become.still_unknown(job, confirm_at=LATER),
    ),
}


def _constructors() -> set[str]:
    return {
        name
        for name, function in inspect.getmembers(become, inspect.isfunction)
        if inspect.signature(function).return_annotation is Transition
        and "job" in inspect.signature(function).parameters
        and not name.startswith("_")
    }


def test_every_constructor_is_tried_here() -> None:
    """A new way to change a job is tested before it is used."""
    assert set(CALLS) == _constructors()


@pytest.mark.parametrize("name", CALLS)
def test_a_constructor_keeps_to_the_allowed_ways(name: str) -> None:
    """No named change leads where TRANSITIONS does not, or it leads nowhere."""
    job, change = CALLS[name]
    stays = name in {"still_unknown", "withdrawn", "discarded"}
    assert change(job).to in ({job.status} if stays else TRANSITIONS[job.status])


def test_every_state_has_its_ways() -> None:
    """No state is a trap the table forgot, and the table cannot be changed."""
    assert set(TRANSITIONS) == set(JobStatus)
    with pytest.raises(TypeError):
        TRANSITIONS[JobStatus.POSTED] = frozenset()  # type: ignore[index]


def test_a_job_that_is_over_opens_by_named_doors_only() -> None:
    """A finished job is never claimed, and never goes to a retry by itself."""
    for over in (JobStatus.POSTED, JobStatus.FAILED):
        assert not TRANSITIONS[over] & {JobStatus.PROCESSING, JobStatus.RETRYING}


def test_only_a_take_over_keeps_the_claim() -> None:
    """Whatever else ends an attempt frees the row for the next worker."""
    keeping = {name for name, (job, change) in CALLS.items() if change(job).keeps_claim}
    assert keeping == {"reclaimed"}


# A manual retry


def test_a_retried_job_starts_from_nothing() -> None:
    """It is due at once, with all its attempts, and the old end is forgotten."""
    again = applied(A_FAILED_JOB, become.rescheduled(A_FAILED_JOB, now=LATER))
    assert (again.status, again.attempts) == (JobStatus.SCHEDULED, 0)
    assert again.next_attempt_at == LATER
    assert (again.failure_reason, again.last_error, again.waiting_for) == NOTHING
    assert again.attempt_number == 7
    assert not again.in_flight


def test_a_retried_job_that_tiktok_has_is_resumed() -> None:
    """What TikTok named is asked about again, and nothing is sent."""
    change = become.rescheduled(in_flight(A_FAILED_JOB), now=LATER)
    assert (change.init_sent_at, change.publish_id) == (NOW, "pub-1")
    assert change.waiting_for is WaitingFor.TIKTOK


def test_a_retried_unknown_init_is_given_up() -> None:
    """Who retries it accepted the risk, so the next init may go out."""
    change = become.rescheduled(in_flight(A_FAILED_JOB, publish_id=None), now=LATER)
    assert (change.init_sent_at, change.publish_id, change.waiting_for) == NOTHING


def test_a_closed_inits_id_is_not_resumed() -> None:
    """An id that TikTok failed for good is not polled again."""
    job = a_job(status=JobStatus.FAILED, publish_id="pub-1")
    change = become.rescheduled(job, now=LATER)
    assert (change.init_sent_at, change.publish_id, change.waiting_for) == NOTHING
