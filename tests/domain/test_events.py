"""Which changes of a job are news; attempts' ends are tested with the outbox."""

import pytest

from app.domain.events import EventType, events_of, puts_at_risk
from app.domain.jobs.job import Delivery, FailureReason, Job, JobStatus
from app.domain.jobs.readiness import REFUSED, UNREACHABLE, Readiness, ReadinessProblem
from app.domain.jobs.transition import (
    Transition,
    confirmed_late,
    discarded,
    failed_late,
    rescheduled,
    still_unknown,
    withdrawn,
)
from tests.domain.jobs.sample import AN_ERROR, NOW, a_job

UNCONFIRMED = a_job(
    status=JobStatus.FAILED, failure_reason=FailureReason.UNCONFIRMED, attempts=1
)
POSTED = a_job(status=JobStatus.POSTED, delivery=Delivery.PUBLISHED, posted_at=NOW)
PERMANENT, GONE = FailureReason.PERMANENT, FailureReason.UNCONFIRMED


def late_post(job: Job) -> Transition:
    """Let TikTok say late that it was posted."""
    return confirmed_late(
        job, delivery=Delivery.PUBLISHED, publish_id="pub_1", post_ids=("1",), now=NOW
    )


def late_failure(job: Job, reason: FailureReason) -> Transition:
    """Let TikTok say late that it failed for good."""
    return failed_late(job, reason=reason, error=AN_ERROR)


@pytest.mark.parametrize(
    ("job", "change", "news"),
    [
        (UNCONFIRMED, late_post(UNCONFIRMED), (EventType.JOB_POSTED,)),
        (UNCONFIRMED, late_failure(UNCONFIRMED, PERMANENT), (EventType.JOB_FAILED,)),
        (UNCONFIRMED, late_failure(UNCONFIRMED, GONE), ()),
        (UNCONFIRMED, still_unknown(UNCONFIRMED, confirm_at=NOW), ()),
        (UNCONFIRMED, rescheduled(UNCONFIRMED, now=NOW), ()),
        (POSTED, late_post(POSTED), (EventType.JOB_POST_AVAILABLE,)),
        (POSTED, withdrawn(POSTED), (EventType.JOB_POST_WITHDRAWN,)),
        (POSTED, discarded(POSTED, now=NOW), ()),
        (POSTED, late_failure(POSTED, PERMANENT), (EventType.JOB_FAILED,)),
    ],
)
def test_a_late_word_is_news_if_it_changes_the_verdict(
    job: Job, change: Transition, news: tuple[EventType, ...]
) -> None:
    """Another status or another reason; a record that is completed is none."""
    assert events_of(job, change) == news


@pytest.mark.parametrize(
    ("before", "found", "news"),
    [
        (None, (), False),
        (None, (REFUSED,), True),
        ((), (REFUSED,), True),
        ((REFUSED,), (REFUSED,), False),
        ((REFUSED, UNREACHABLE), (REFUSED,), False),
        ((REFUSED,), (UNREACHABLE,), True),
    ],
)
def test_a_look_ahead_is_news_if_it_finds_something_new(
    before: tuple[ReadinessProblem, ...] | None,
    found: tuple[ReadinessProblem, ...],
    *,
    news: bool,
) -> None:
    """What was told once is not told again, and what got better neither."""
    last = None if before is None else Readiness(NOW, before)
    assert puts_at_risk(Readiness(NOW, found), last) is news
