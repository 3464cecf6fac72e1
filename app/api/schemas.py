"""What goes in and out of the job routes."""

from typing import Annotated, Any, Literal, Self

from pydantic import MISSING, Field

from app.api.fields import Answer, Moment, Name, Request, Text, Timestamp
from app.domain.asset_url import MAX_URL_LENGTH
from app.domain.edit import JobChange
from app.domain.job import (
    AttemptRecord,
    Delivery,
    ErrorClass,
    FailureReason,
    Job,
    JobStatus,
    LastError,
    NewJob,
)
from app.domain.post import MAX_TITLE_UNITS, Post, PostMode, PrivacyLevel
from app.service.words import user_message

Title = Annotated[
    Text,
    Field(
        description=f"The caption; at most {MAX_TITLE_UNITS} UTF-16 code units",
        json_schema_extra={"maxLength": MAX_TITLE_UNITS},
    ),
]
AssetUrl = Annotated[
    Text,
    Field(
        description="Where TikTok fetches the video: public, https, no redirects",
        examples=["https://cdn.example.com/v.mp4"],
        json_schema_extra={"maxLength": MAX_URL_LENGTH, "format": "uri"},
    ),
]
# JSON has no enums: their values are strings, which strict types would refuse.
Mode = Annotated[PostMode, Field(strict=False)]
Privacy = Annotated[PrivacyLevel, Field(strict=False)]
Milliseconds = Annotated[int, Field(ge=0, le=2**31 - 1)]
Attempts = Annotated[int, Field(ge=1, le=100)]


class PostRequest(Request):
    """The person's choices for a post."""

    mode: Mode = Field(
        PostMode.DIRECT,
        description="direct: published. inbox: a draft, finished in TikTok's app",
    )
    title: Title = ""
    privacy_level: Privacy | None = Field(
        None, description="Required for direct posts; it has no default"
    )
    disable_comment: bool = False
    disable_duet: bool = False
    disable_stitch: bool = False
    video_cover_timestamp_ms: Milliseconds | None = None
    brand_content_toggle: bool = Field(False, description="A paid partnership")
    brand_organic_toggle: bool = Field(False, description="The creator's own business")
    is_aigc: bool = Field(False, description="Made with AI")


class JobRequest(Request):
    """A job to be scheduled."""

    project_id: Name
    platform: Literal["tiktok"] = "tiktok"
    asset_id: Name
    asset_url: AssetUrl
    scheduled_for: Moment | None = Field(
        None, description="When it goes live; left out or null: Post Now"
    )
    post: PostRequest
    max_attempts: Attempts | None = Field(
        None, description="Left out or null: the service's default"
    )

    def to_domain(self, *, default_max_attempts: int) -> NewJob:
        """Return the job as the service takes it."""
        return NewJob(
            project_id=self.project_id,
            platform=self.platform,
            asset_id=self.asset_id,
            asset_url=self.asset_url,
            post=Post(**dict(self.post)),
            scheduled_for=self.scheduled_for,
            max_attempts=self.max_attempts or default_max_attempts,
        )


class PostPatch(Request):
    """The choices that change; the others stay."""

    mode: Mode | MISSING = MISSING
    title: Title | MISSING = MISSING
    privacy_level: Privacy | MISSING | None = MISSING
    disable_comment: bool | MISSING = MISSING
    disable_duet: bool | MISSING = MISSING
    disable_stitch: bool | MISSING = MISSING
    video_cover_timestamp_ms: Milliseconds | MISSING | None = MISSING
    brand_content_toggle: bool | MISSING = MISSING
    brand_organic_toggle: bool | MISSING = MISSING
    is_aigc: bool | MISSING = MISSING


class JobPatch(Request):
    """The fields that change; the others stay."""

    scheduled_for: Moment | MISSING | None = Field(
        MISSING, description="null makes it Post Now"
    )
    asset_url: AssetUrl | MISSING = MISSING
    post: PostPatch | MISSING = MISSING
    max_attempts: Attempts | MISSING = MISSING

    def to_domain(self) -> JobChange:
        """Return the change as the service takes it."""
        return JobChange(**self.model_dump())


class RetryRequest(Request):
    """How a failed job is started again."""

    accept_duplicate_risk: bool = Field(
        False, description="Send it again although TikTok may have it already"
    )


class PostAnswer(Answer):
    """The person's choices, as stored."""

    mode: PostMode
    title: str
    privacy_level: PrivacyLevel | None
    disable_comment: bool
    disable_duet: bool
    disable_stitch: bool
    video_cover_timestamp_ms: int | None
    brand_content_toggle: bool
    brand_organic_toggle: bool
    is_aigc: bool


class ErrorAnswer(Answer):
    """The newest error of a job."""

    error_class: ErrorClass = Field(alias="class")
    code: str = Field(description="TikTok's own word where there is one")
    message: str
    user_message: str = Field(description="For the person: what happened, what to do")
    log_id: str | None = Field(description="What TikTok's support asks for")
    at: Timestamp

    @classmethod
    def of(cls, error: LastError) -> Self:
        """Show an error."""
        return cls(**_fields(error), user_message=user_message(error))


class JobAnswer(Answer):
    """A job as it stands."""

    id: str
    project_id: str
    platform: str
    asset_id: str
    asset_url: str
    post: PostAnswer
    status: JobStatus
    scheduled_for: Timestamp
    post_now: bool
    idempotency_key: str
    attempts: int = Field(description="Failed ones since it was last scheduled")
    max_attempts: int
    next_attempt_at: Timestamp | None
    claimed_at: Timestamp | None
    failure_reason: FailureReason | None
    last_error: ErrorAnswer | None
    publish_id: str | None
    delivery: Delivery | None
    post_id: str | None
    post_url: str | None
    posted_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp
    notice: str | None = Field(description="What the person should know right now")

    @classmethod
    def of(cls, job: Job, *, notice: str | None) -> Self:
        """Show a job."""
        shown = _fields(job) | {
            "post": PostAnswer(**_fields(job.post)),
            "last_error": ErrorAnswer.of(job.last_error) if job.last_error else None,
            "notice": notice,
        }
        return cls(**{name: shown[name] for name in cls.model_fields})


class JobsAnswer(Answer):
    """A page of jobs, newest first."""

    items: list[JobAnswer]
    next_cursor: str | None = Field(description="null on the last page")


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

    @classmethod
    def of(cls, attempt: AttemptRecord) -> Self:
        """Show an attempt."""
        return cls(**_fields(attempt))


class AttemptsAnswer(Answer):
    """A job's ledger, oldest first."""

    items: list[AttemptAnswer]


def _fields(value: Any) -> dict[str, Any]:  # noqa: ANN401  any slotted dataclass
    return {name: getattr(value, name) for name in value.__slots__}
