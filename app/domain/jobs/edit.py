"""What a person may change about a job, and when."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from app.domain.codes import PUBLISH_CANCELLED
from app.domain.errors import (
    FieldError,
    InvalidInput,
    JobNotCancellable,
    JobNotDeletable,
    JobNotEditable,
    JobNotRetryable,
    OutcomeUnknown,
    TooLate,
)
from app.domain.jobs.idempotency_keys import idempotency_key, to_millis
from app.domain.jobs.job import FailureReason, Job, JobStatus, Transfer
from app.domain.jobs.readiness import (
    PreflightTimes,
    Readiness,
    first_preflight,
    preflight_after_change,
    url_problems,
)
from app.domain.posts.asset_url import MAX_URL_LENGTH
from app.domain.posts.post import MediaType, Post, problems_of, problems_with_photos

_source = attrgetter("asset_url", "asset_urls", "transfer")


class Unset(Enum):
    """The type of a field that a request leaves alone."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


class JobChange(Struct, frozen=True, kw_only=True):
    """The fields of a job that a request changes."""

    scheduled_for: datetime | Unset | None = UNSET  # None: Post Now
    asset_url: str | Unset = UNSET
    asset_urls: Sequence[str] | Unset = UNSET
    transfer: Transfer | Unset = UNSET
    post: Mapping[str, Any] | Unset = UNSET  # the changed fields of Post alone
    max_attempts: int | Unset = UNSET
    publish_by: datetime | Unset | None = UNSET  # None: however late
    external_id: str | Unset | None = UNSET
    metadata: Mapping[str, str] | Unset | None = UNSET

    @property
    def is_label(self) -> bool:
        """Tell whether only the caller's own data changes."""
        labels = {"external_id", "metadata"}
        changed = {
            name for name in self.__struct_fields__ if getattr(self, name) is not UNSET
        }
        return bool(changed) and changed <= labels


def edited(
    job: Job,
    change: JobChange,
    *,
    now: datetime,
    preflights: PreflightTimes = (),
    longest_pulled: int = MAX_URL_LENGTH,
) -> Job:
    """Return the changed job, to be checked again ``ahead`` of its time.

    ``longest_pulled`` is how long a URL may be that is not pushed. Raises
    JobNotEditable once TikTok may have the post, InvalidInput for a post that TikTok
    would refuse.
    """
    job = _labelled(job, change)
    if change.is_label:  # no worker reads labels, so they may change at any time
        return replace(job, updated_at=now)
    _check_editable(job)
    before = job
    job = _changed(job, change, now=now)
    if problems := problems_with_content(job.post, job.asset_url, job.asset_urls):
        raise InvalidInput(*problems)
    if problem := problem_with_transfer(job.transfer, job.post):
        raise InvalidInput(problem)
    if problem := problem_with_deadline(job.publish_by, job.scheduled_for):
        raise InvalidInput(problem)
    if _source(job) != _source(before):
        _check_lengths(job, longest_pulled)
    if _looks_different(job, before):
        look = _look(job, before, now=now, preflights=preflights)
        job = replace(job, readiness=_found(job, now=now), readiness_at=look)
    return replace(job, updated_at=now)


def check_deletable(job: Job) -> None:
    """Raise JobNotDeletable for a row that is needed to prevent a second post."""
    if job.status in {JobStatus.PROCESSING, JobStatus.POSTED}:
        raise JobNotDeletable(f"the job is {job.status}; its row guards the post")
    if job.in_flight:
        raise JobNotDeletable("TikTok may have this post; its row guards it")
    if job.failure_reason is FailureReason.UNCONFIRMED:  # as after a restore
        raise JobNotDeletable("it may have been posted; its row guards the post")


def check_cancellable(job: Job) -> bool:
    """Tell whether a job is to be cancelled; False if it is cancelled already.

    Raises JobNotCancellable if the job is over or TikTok may have the post.
    """
    if job.failure_reason is FailureReason.CANCELLED:
        return False
    if job.status is JobStatus.POSTED or (
        job.status is JobStatus.FAILED and not job.in_flight
    ):
        raise JobNotCancellable(f"the job is {job.status}; there is nothing to cancel")
    if job.in_flight:
        raise JobNotCancellable("TikTok has this post, or may have it")
    return True


def was_cancelled_at_tiktok(job: Job) -> bool:
    """Tell whether a job failed because TikTok gave its publish up for somebody."""
    error = job.last_error
    failed = job.status is JobStatus.FAILED and not job.in_flight
    return failed and error is not None and error.code == PUBLISH_CANCELLED


def check_retryable(job: Job, *, accept_duplicate_risk: bool, now: datetime) -> None:
    """Raise JobNotRetryable, TooLate or OutcomeUnknown unless it may start again."""
    if job.status is not JobStatus.FAILED:
        raise JobNotRetryable(f"the job is {job.status}; only a failed job is retried")
    missed = job.failure_reason is FailureReason.MISSED
    if missed and job.publish_by is not None and job.publish_by <= now:
        raise TooLate
    # A job may fail for another reason while its init's fate is unknown.
    unknown = job.ambiguous or job.failure_reason is FailureReason.UNCONFIRMED
    if unknown and not accept_duplicate_risk:
        raise OutcomeUnknown


def problems_with_content(
    post: Post, asset_url: str, asset_urls: Sequence[str]
) -> tuple[FieldError, ...]:
    """List what is wrong with a post and with the number of its assets."""
    photo = post.media_type is MediaType.PHOTO
    found = [*problems_of(post), *problems_with_photos(post, len(asset_urls))]
    if photo and asset_url:
        found.append(FieldError("/assetUrl", "photos have assetUrls instead"))
    if not photo and not asset_url and not asset_urls:
        found.append(FieldError("/assetUrl", "a video needs assetUrl"))
    return tuple(found)


def problem_with_transfer(transfer: Transfer | None, post: Post) -> FieldError | None:
    """Return what is wrong with a transfer, None if nothing is.

    https://developers.tiktok.com/doc/content-posting-api-reference-photo-post
    """
    if transfer is Transfer.PUSH and post.media_type is MediaType.PHOTO:
        return FieldError("/transfer", "TikTok takes photos by pull only")
    return None


def problem_with_deadline(
    publish_by: datetime | None, scheduled_for: datetime
) -> FieldError | None:
    """Return what is wrong with a ``publishBy``, None if nothing is."""
    if publish_by is None or to_millis(publish_by) > to_millis(scheduled_for):
        return None
    return FieldError("/publishBy", "must be later than scheduledFor")


def _check_editable(job: Job) -> None:
    if job.status in {JobStatus.PROCESSING, JobStatus.POSTED}:
        raise JobNotEditable(f"the job is {job.status}; it can no longer be changed")
    if job.in_flight:
        raise JobNotEditable("TikTok may have this post already")


def _check_lengths(job: Job, longest_pulled: int) -> None:
    """Check what depends on the way that the job takes after the change."""
    if job.transfer is Transfer.PUSH:  # the longest of all, which the service allows
        return
    named = {"/assetUrl": job.asset_url} | {
        f"/assetUrls/{place}": url for place, url in enumerate(job.asset_urls)
    }
    text = f"must have at most {longest_pulled} characters"
    if long := [at for at, url in named.items() if len(url) > longest_pulled]:
        raise InvalidInput(*(FieldError(at, text) for at in long))


def _changed(job: Job, change: JobChange, *, now: datetime) -> Job:
    if change.max_attempts is not UNSET:
        job = _with_max_attempts(job, change.max_attempts)
    if change.asset_url is not UNSET:
        job = replace(job, asset_url=change.asset_url, asset_urls=())
    if change.asset_urls is not UNSET:
        job = replace(job, asset_url="", asset_urls=tuple(change.asset_urls))
    if change.transfer is not UNSET:
        job = replace(job, transfer=change.transfer)
    if change.post is not UNSET:
        job = replace(job, post=replace(job.post, **change.post))
    if change.scheduled_for is not UNSET:
        job = _moved(job, change.scheduled_for, now=now)
    if change.publish_by is not UNSET:
        by = change.publish_by
        job = replace(job, publish_by=None if by is None else to_millis(by))
    return job


def _labelled(job: Job, change: JobChange) -> Job:
    if change.external_id is not UNSET:
        job = replace(job, external_id=change.external_id)
    if change.metadata is not UNSET:
        job = replace(job, metadata=change.metadata)
    return job


def _looks_different(job: Job, before: Job) -> bool:
    """Tell whether an earlier readiness check may no longer be right."""
    moved = job.scheduled_for != before.scheduled_for or job.post_now
    other = _source(job) != _source(before) or job.post != before.post
    return moved or other


def _found(job: Job, *, now: datetime) -> Readiness | None:
    """Say what the job's links alone tell of a changed job that waits."""
    if job.status is not JobStatus.SCHEDULED:
        return None
    wrong = tuple(url_problems(job.asset_url, job.asset_urls, at=job.scheduled_for))
    return Readiness(now, wrong) if wrong else None


def _look(
    job: Job, before: Job, *, now: datetime, preflights: PreflightTimes
) -> datetime | None:
    if job.post_now or job.status is not JobStatus.SCHEDULED:
        return None
    moved = job.scheduled_for != before.scheduled_for
    find = first_preflight if moved else preflight_after_change
    return find(job.scheduled_for, now=now, preflights=preflights)


def _with_max_attempts(job: Job, max_attempts: int) -> Job:
    if max_attempts <= job.attempts:
        message = f"the job has had {job.attempts} attempts already"
        raise InvalidInput(FieldError("/maxAttempts", message))
    return replace(job, max_attempts=max_attempts)


def _moved(job: Job, scheduled_for: datetime | None, *, now: datetime) -> Job:
    at = to_millis(scheduled_for or now)
    key = idempotency_key(
        project_id=job.project_id,
        platform=job.platform,
        asset_id=job.asset_id,
        scheduled_for=at,
    )
    return replace(
        job,
        scheduled_for=at,
        post_now=scheduled_for is None,
        idempotency_key=key,
        # A failed job stays failed until it is retried.
        next_attempt_at=None if job.status is JobStatus.FAILED else at,
        waiting_for=None,
    )
