"""What a person may change about a job, and when."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.errors import (
    InvalidInput,
    JobNotDeletable,
    JobNotEditable,
    JobNotRetryable,
    OutcomeUnknown,
)
from app.domain.jobs.edit import JobChange, check_deletable, check_retryable, edited
from app.domain.jobs.idempotency_keys import idempotency_key, to_millis
from app.domain.jobs.job import FailureReason, Job, JobStatus, WaitingFor
from app.domain.posts.post import Post, PrivacyLevel
from tests.domain.jobs.sample import NOW, a_job, in_flight

LATER = NOW + timedelta(days=1, microseconds=1_999)
NO_CLAIM: dict[str, Any] = {"claim_token": None, "claimed_by": None, "claimed_at": None}


def resting(status: JobStatus = JobStatus.SCHEDULED, **changes: Any) -> Job:  # noqa: ANN401  as replace() takes them
    """Make a job that no worker holds."""
    return a_job(status=status, **NO_CLAIM, **changes)


def _key(job: Job) -> str:
    return idempotency_key(
        project_id=job.project_id,
        platform=job.platform,
        asset_id=job.asset_id,
        scheduled_for=job.scheduled_for,
    )


def test_a_change_of_nothing_changes_nothing() -> None:
    """Fields that a request leaves out stay, down to the next time."""
    job = resting(waiting_for=WaitingFor.QUOTA)
    assert edited(job, JobChange(), now=NOW) == job


def test_each_given_field_is_changed_alone() -> None:
    """The post is merged field by field; what is not named keeps its value."""
    job = resting()
    change = JobChange(
        asset_url="https://cdn.example.com/w.mp4",
        post={"title": "new"},
        max_attempts=9,
    )
    after = edited(job, change, now=LATER)
    assert after.asset_url == "https://cdn.example.com/w.mp4"
    assert after.post == Post(title="new", privacy_level=PrivacyLevel.SELF_ONLY)
    assert (after.max_attempts, after.updated_at) == (9, LATER)
    assert after.next_attempt_at == job.next_attempt_at
    assert after.idempotency_key == job.idempotency_key


@pytest.mark.parametrize("post_now", [False, True])
def test_a_moved_job_has_its_new_time_everywhere(post_now: bool) -> None:
    """Claim, key and shown time follow, or the old time would still post."""
    job = resting(JobStatus.RETRYING, attempts=1, waiting_for=WaitingFor.ACCOUNT_CAP)
    change = JobChange(scheduled_for=None if post_now else LATER)
    after = edited(job, change, now=NOW if not post_now else LATER)
    assert after.scheduled_for == after.next_attempt_at == to_millis(LATER)
    assert after.idempotency_key == _key(after) != job.idempotency_key
    assert after.post_now is post_now
    assert after.waiting_for is None


@pytest.mark.parametrize(
    "job",
    [
        a_job(),
        resting(JobStatus.POSTED),
        in_flight(resting(JobStatus.FAILED)),
        in_flight(resting(JobStatus.RETRYING, attempts=1)),
        in_flight(resting(JobStatus.SCHEDULED)),
    ],
)
def test_a_job_that_tiktok_may_have_is_not_changed(job: Job) -> None:
    """Only a job that waits, with nothing in flight, can still become another."""
    waits = job.status not in {JobStatus.PROCESSING, JobStatus.POSTED}
    why = "TikTok may have this post" if waits else f"the job is {job.status};"
    with pytest.raises(JobNotEditable, match=why):
        edited(job, JobChange(max_attempts=9), now=NOW)


@pytest.mark.parametrize("limit", [1, 2])
def test_attempts_that_were_made_cannot_be_taken_back(limit: int) -> None:
    """There is always one attempt left to a job that is not over."""
    job = resting(JobStatus.RETRYING, attempts=2)
    with pytest.raises(InvalidInput) as refused:
        edited(job, JobChange(max_attempts=limit), now=NOW)
    (error,) = refused.value.errors
    assert error.pointer == "/maxAttempts"
    assert error.message == "the job has had 2 attempts already"
    assert edited(job, JobChange(max_attempts=3), now=NOW).max_attempts == 3


def test_a_post_that_tiktok_would_refuse_is_refused() -> None:
    """The merged post is checked, not the changed fields alone."""
    with pytest.raises(InvalidInput) as refused:
        edited(resting(), JobChange(post={"brand_content_toggle": True}), now=NOW)
    assert refused.value.errors[0].pointer == "/post/brandContentToggle"


@pytest.mark.parametrize(
    ("job", "deletable"),
    [
        (resting(), True),
        (resting(JobStatus.RETRYING), True),
        (resting(JobStatus.FAILED), True),
        (a_job(), False),
        (resting(JobStatus.POSTED), False),
        (in_flight(resting(JobStatus.RETRYING)), False),
        (in_flight(resting(JobStatus.FAILED), publish_id=None), False),
        (in_flight(resting(JobStatus.SCHEDULED)), False),
    ],
)
def test_a_row_that_guards_a_post_is_never_removed(job: Job, deletable: bool) -> None:
    """Without the row, the same request would post a second time."""
    if deletable:
        check_deletable(job)
        return
    over = job.status in {JobStatus.PROCESSING, JobStatus.POSTED}
    why = f"the job is {job.status};" if over else "TikTok may have this post"
    with pytest.raises(JobNotDeletable, match=why):
        check_deletable(job)


@pytest.mark.parametrize("status", [s for s in JobStatus if s != "failed"])
def test_only_a_failed_job_is_retried(status: JobStatus) -> None:
    """What still runs or went well needs no second start."""
    with pytest.raises(JobNotRetryable, match=f"the job is {status};"):
        check_retryable(a_job(status=status), accept_duplicate_risk=True, now=NOW)


@pytest.mark.parametrize("reason", FailureReason)
def test_an_unknown_init_is_retried_only_by_who_accepts_the_risk(
    reason: FailureReason,
) -> None:
    """Whatever the job failed of in the end, an unanswered init may be a post."""
    job = in_flight(resting(JobStatus.FAILED, failure_reason=reason), publish_id=None)
    with pytest.raises(OutcomeUnknown):
        check_retryable(job, accept_duplicate_risk=False, now=NOW)
    check_retryable(job, accept_duplicate_risk=True, now=NOW)


def test_a_known_failure_is_retried_freely() -> None:
    """What TikTok named or refused holds no risk; unconfirmed always does."""
    failed = resting(JobStatus.FAILED, failure_reason=FailureReason.AUTH)
    check_retryable(failed, accept_duplicate_risk=False, now=NOW)
    check_retryable(in_flight(failed), accept_duplicate_risk=False, now=NOW)
    unconfirmed = resting(JobStatus.FAILED, failure_reason=FailureReason.UNCONFIRMED)
    with pytest.raises(OutcomeUnknown):
        check_retryable(unconfirmed, accept_duplicate_risk=False, now=NOW)
