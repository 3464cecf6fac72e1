"""Answers of the job routes."""

from collections.abc import Callable, Iterable
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, Literal, Self

from msgspec import structs
from pydantic import Field

from app.domain.jobs.hold import WITHOUT_END
from app.domain.jobs.job import (
    Availability,
    Delivery,
    ErrorClass,
    FailureReason,
    Job,
    JobStatus,
    LastError,
    Transfer,
    UnreadableJob,
)
from app.domain.posts.post import Post
from app.schemas.fields import Answer, Timestamp
from app.schemas.invalid import Problem
from app.schemas.posts import PostAnswer
from app.service.jobs.notices import notice, user_message
from app.service.jobs.validation import Severity


def _reader(names: Iterable[str]) -> Callable[[Any], dict[str, Any]]:
    """Return a function that reads these attributes of an object."""
    keys = tuple(names)
    values = attrgetter(*keys)
    return lambda shown: dict(zip(keys, values(shown), strict=True))


_of_post = _reader(Post.__struct_fields__)
_of_error = _reader(LastError.__struct_fields__)


class ErrorAnswer(Answer):
    """The newest error of a job."""

    error_class: ErrorClass = Field(alias="class")
    code: str = Field(description="TikTok's own code if there is one")
    message: str
    user_message: str = Field(description="For the person: what happened, what to do")
    log_id: str | None = Field(description="What TikTok's support asks for")
    at: Timestamp

    @classmethod
    def of(cls, job: Job) -> Self | None:
        """Show a job's last error, with what to do unless it goes on by itself."""
        error = job.last_error
        if error is None:
            return None
        return cls(**_of_error(error), user_message=user_message(job, error))


class ProblemAnswer(Answer):
    """What would have kept the job from being posted at the time of the check."""

    code: str = Field(examples=["asset_unreachable"])
    message: str = Field(description="For the person")
    pointer: str | None = Field(
        description="At the culprit, for instance one of several photos",
        examples=["/assetUrls/7"],
    )


class ReadinessAnswer(Answer):
    """The result of the newest check before the job's time; it changes nothing."""

    checked_at: Timestamp
    ok: bool = Field(description="No problem was found")
    problems: list[ProblemAnswer]


class JobAnswer(Answer):
    """A job's current state."""

    id: str
    project_id: str
    platform: str
    asset_id: str
    asset_url: str | None = Field(description="null for photos")
    asset_urls: list[str] = Field(description="Of photos; otherwise empty")
    post: PostAnswer
    transfer: Transfer = Field(
        description="pull: TikTok fetches the video. push: we upload it"
    )
    external_id: str | None = Field(description="The caller's name for it")
    metadata: dict[str, str] = Field(description="The caller's own data")
    publish_by: Timestamp | None = Field(
        description="If it has not begun by then, it fails with the reason missed"
    )
    status: JobStatus
    scheduled_for: Timestamp
    post_now: bool
    idempotency_key: str
    attempts: int = Field(description="Failed attempts since it was last scheduled")
    max_attempts: int
    next_attempt_at: Timestamp | None
    claimed_at: Timestamp | None
    failure_reason: FailureReason | None
    last_error: ErrorAnswer | None
    open_id: str | None = Field(
        description="The TikTok account it is for; null until one is connected"
    )
    publish_id: str | None
    uploaded_bytes: int | None = Field(
        description="Bytes that TikTok has of a video that we upload"
    )
    delivery: Delivery | None
    post_id: str | None
    post_ids: list[str] = Field(description="All ids: a draft may become several posts")
    post_url: str | None
    posted_at: Timestamp | None
    availability: Availability | None = Field(
        description="Whether it is public, as far as TikTok has said"
    )
    created_at: Timestamp
    updated_at: Timestamp
    notice: str | None = Field(description="What the person should know now")
    notice_code: str | None = Field(description="A stable word for the notice")
    readiness: ReadinessAnswer | None = Field(
        description="null until a waiting job is checked before its time"
    )

    @classmethod
    def of(cls, job: Job, *, run_by_cron: bool, now: datetime) -> Self:
        """Show a job with what its owner should know right now."""
        try:
            return cls._of(job, run_by_cron=run_by_cron, now=now)
        except (ValueError, TypeError, AttributeError):
            return cls._of(_bare(job), run_by_cron=run_by_cron, now=now)

    @classmethod
    def _of(cls, job: Job, *, run_by_cron: bool, now: datetime) -> Self:
        told = notice(job, run_by_cron=run_by_cron, now=now)
        made: dict[str, Any] = {
            "asset_url": job.asset_url or None,
            "uploaded_bytes": _uploaded(job),
            "post": _of_post(job.post),  # pydantic makes a PostAnswer of it
            "last_error": ErrorAnswer.of(job),
            "metadata": dict(job.metadata or {}),
            "next_attempt_at": _next_attempt(job),
            "notice": told.text if told else None,
            "notice_code": told.code if told else None,
        }
        return cls(**_of_job(job), **made)


def _bare(job: Job) -> UnreadableJob:
    """Show a job without what may have any shape: a newer version wrote it."""
    shown = structs.asdict(job) | {
        "post": Post(),
        "asset_urls": (),
        "post_ids": (),
        "metadata": None,
        "last_error": None,
        "readiness": None,
    }
    return UnreadableJob(**shown)


def _next_attempt(job: Job) -> datetime | None:
    """Return when the job is tried next; None for a hold without an end."""
    at = job.next_attempt_at
    return None if at is None or at >= WITHOUT_END else at


def _uploaded(job: Job) -> int | None:
    """Return how many bytes TikTok has; once posted, all of them.

    A job that is pulled may still have what an earlier upload wrote.
    """
    if job.transfer is not Transfer.PUSH:
        return None
    return job.source_size if job.status is JobStatus.POSTED else job.uploaded_bytes


_MADE: Final = {
    "asset_url",
    "uploaded_bytes",
    "post",
    "next_attempt_at",
    "last_error",
    "metadata",
    "notice",
    "notice_code",
}
_of_job = _reader(name for name in JobAnswer.model_fields if name not in _MADE)


class JobsAnswer(Answer):
    """A page of jobs, newest first."""

    items: list[JobAnswer]
    next_cursor: str | None = Field(description="null on the last page")


class BatchedJob(Answer):
    """A job that was stored, or found."""

    status: Literal[200, 201] = Field(description="201: new. 200: it existed")
    job: JobAnswer


class RefusedJob(Answer):
    """A job that was not stored, and why."""

    status: int = Field(description="As POST /v1/jobs would have answered")
    problem: Problem


class BatchAnswer(Answer):
    """What became of each job, in the order of the request."""

    items: list[BatchedJob | RefusedJob]


class FoundProblem(Answer):
    """What would keep a job from being stored, or posted as asked."""

    code: str = Field(description="Stable, for programs")
    pointer: str = Field(description="JSON pointer into the body")
    severity: Severity = Field(
        description="error: it would not be stored, or would fail as things are now"
    )
    message: str


class ValidationAnswer(Answer):
    """How POST /v1/jobs would answer, and what TikTok would refuse."""

    ok: bool = Field(description="There is no error among the problems")
    problems: list[FoundProblem]
    media: dict[str, Any] | None = Field(
        description="What was found of the media; null if not checked"
    )
    existing_job_id: str | None = Field(
        description="The existing job that the request would return"
    )


class AttemptAnswer(Answer):
    """One attempt; the ledger is never rewritten."""

    number: int
    started_at: Timestamp
    finished_at: Timestamp
    outcome: str
    error_class: ErrorClass | None
    error_code: str | None
    message: str | None
    http_status: int | None
    log_id: str | None
    publish_id: str | None
    decision: str
    next_attempt_at: Timestamp | None
    worker: str | None


class AttemptsAnswer(Answer):
    """A job's ledger, oldest first."""

    items: list[AttemptAnswer]
