"""Requests of the job routes."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    MISSING,
    AfterValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from app.domain.errors import InvalidInput
from app.domain.jobs.edit import JobChange
from app.domain.jobs.idempotency_keys import to_millis
from app.domain.jobs.job import FailureReason, Job, JobStatus, NewJob, Transfer
from app.domain.naming import (
    MAX_EXTERNAL_ID,
    MAX_METADATA_KEY,
    MAX_METADATA_KEYS,
    MAX_METADATA_VALUE,
)
from app.domain.posts.asset_url import MAX_UNSEEN_URL_LENGTH, MAX_URL_LENGTH, ascii_url
from app.domain.posts.post import MAX_PHOTOS, Post
from app.schemas.fields import Moment, Name, Request, Text
from app.schemas.invalid import field_error
from app.schemas.posts import PostPatch, PostRequest
from app.service.jobs.jobs import JobFilter, JobOrder, JobSort

AssetUrl = Annotated[
    Text,
    AfterValidator(ascii_url),
    Field(
        description="Where the video is fetched: public, https, no redirects."
        f" At most {MAX_URL_LENGTH} characters where TikTok fetches it itself",
        examples=["https://cdn.example.com/v.mp4"],
        json_schema_extra={"maxLength": MAX_UNSEEN_URL_LENGTH, "format": "uri"},
    ),
]
AssetUrls = Annotated[
    list[AssetUrl],
    Field(
        min_length=1,
        max_length=MAX_PHOTOS,
        description="Photos in order, instead of assetUrl; the same rules",
        examples=[["https://cdn.example.com/1.jpg", "https://cdn.example.com/2.jpg"]],
    ),
]
# In JSON an enum's value is a string, which strict types would refuse.
TransferName = Annotated[Transfer, Field(strict=False)]
Attempts = Annotated[int, Field(ge=1, le=100)]


ExternalId = Annotated[Text, Field(min_length=1, max_length=MAX_EXTERNAL_ID)]
Metadata = Annotated[
    dict[
        Annotated[Text, Field(min_length=1, max_length=MAX_METADATA_KEY)],
        Annotated[Text, Field(max_length=MAX_METADATA_VALUE)],
    ],
    Field(max_length=MAX_METADATA_KEYS),
]


_OF_POST: Final = {
    name: f"belongs in post: post.{name}"
    for name in map(to_camel, PostPatch.model_fields)
}
_FIXED: Final = dict.fromkeys(
    ("projectId", "platform", "assetId"),
    "cannot be changed; delete the job and make another",
)


class JobRequest(Request):
    """A job to be scheduled."""

    elsewhere = _OF_POST

    project_id: Name
    platform: Literal["tiktok"] = "tiktok"
    asset_id: Name
    asset_url: AssetUrl | None = Field(None, description="Required for a video")
    asset_urls: AssetUrls | None = None
    transfer: TransferName | None = Field(
        None,
        description="pull: TikTok fetches the video. push: we fetch and upload it."
        " Left out or null: the service's default. Photos are always pulled",
    )
    scheduled_for: Moment | None = Field(
        None, description="When it is posted; left out or null: Post Now"
    )
    post: PostRequest
    max_attempts: Attempts | None = Field(
        None, description="Left out or null: the service's default"
    )
    publish_by: Moment | None = Field(
        None,
        description="If it has not begun by then, it is not posted. Must be after"
        " scheduledFor",
    )
    external_id: ExternalId | None = Field(None, description="What you call this post")
    metadata: Metadata | None = Field(
        None, description="Your own data: stored, shown, in every event"
    )

    def to_domain(self, *, default_max_attempts: int) -> NewJob:
        """Return the job as a domain value."""
        return NewJob(
            project_id=self.project_id,
            platform=self.platform,
            asset_id=self.asset_id,
            asset_url=self.asset_url or "",
            asset_urls=tuple(self.asset_urls or ()),
            transfer=self.transfer,
            post=Post(**vars(self.post)),
            scheduled_for=self.scheduled_for,
            max_attempts=self.max_attempts or default_max_attempts,
            publish_by=self.publish_by,
            external_id=self.external_id,
            metadata=self.metadata,
        )

    def differing(self, job: Job) -> list[str]:
        """Return JSON pointers of the fields in which it differs from the job."""
        job_fields = [f"/{to_camel(name)}" for name in self._differing_fields(job)]
        post_fields = [
            f"/post/{to_camel(name)}"
            for name, wish in self.post
            if wish != getattr(job.post, name)
        ]
        return job_fields + post_fields

    def _differing_fields(self, job: Job) -> Iterator[str]:
        if (self.asset_url or "") != job.asset_url:
            yield "asset_url"
        if tuple(self.asset_urls or ()) != job.asset_urls:
            yield "asset_urls"
        if self.transfer not in {None, job.transfer}:
            yield "transfer"
        for name in ("external_id", "metadata"):
            if getattr(self, name) != getattr(job, name):
                yield name
        if self.max_attempts not in {None, job.max_attempts}:
            yield "max_attempts"
        if _millis(self.publish_by) != job.publish_by:
            yield "publish_by"
        if _millis(self.scheduled_for) != (None if job.post_now else job.scheduled_for):
            yield "scheduled_for"


def _millis(moment: datetime | None) -> datetime | None:
    return None if moment is None else to_millis(moment)


MAX_BATCH: Final = 100

# Each is validated separately, so that a wrong one fails no other.
BatchItem = Annotated[Any, WithJsonSchema({"$ref": "#/components/schemas/JobRequest"})]


class BatchRequest(Request):
    """Jobs to be scheduled, each as in a request of its own."""

    items: list[BatchItem] = Field(min_length=1, max_length=MAX_BATCH)


def read_job(body: object) -> JobRequest:
    """Read a job's request; raises InvalidInput."""
    try:
        return JobRequest.model_validate(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise InvalidInput(*map(field_error, found)) from None


class JobPatch(Request):
    """The fields that change; the others stay."""

    elsewhere = _OF_POST | _FIXED

    scheduled_for: Moment | MISSING | None = Field(
        MISSING, description="null makes it Post Now"
    )
    asset_url: AssetUrl | MISSING = MISSING
    asset_urls: AssetUrls | MISSING = MISSING
    transfer: TransferName | MISSING = MISSING
    post: PostPatch | MISSING = MISSING
    max_attempts: Attempts | MISSING = MISSING
    publish_by: Moment | MISSING | None = Field(
        MISSING, description="null: no deadline"
    )
    external_id: ExternalId | MISSING | None = Field(
        MISSING, description="May be changed in every state"
    )
    metadata: Metadata | MISSING | None = Field(
        MISSING, description="Replaces all of it; in every state"
    )

    def to_domain(self) -> JobChange:
        """Return the change as a domain value."""
        return JobChange(**self.model_dump())


class RetryRequest(Request):
    """How a failed job is started again."""

    accept_duplicate_risk: bool = Field(
        False, description="Send it again although TikTok may have it already"
    )


class JobQuery(Request):
    """Which jobs a list shows, and which page of them.

    Unknown parameters are refused like unknown fields: a filter with a typing error
    would show too much.
    """

    # In a query every value is text.
    model_config = ConfigDict(strict=False)

    project_id: Name | None = None
    status: Annotated[list[JobStatus], Field(max_length=len(JobStatus))] = Field(
        [], description="May be given several times"
    )
    failure_reason: Annotated[
        list[FailureReason], Field(max_length=len(FailureReason))
    ] = Field([], description="May be given several times; for failed jobs only")
    platform: Name | None = Field(None, description="There is one: tiktok")
    asset_id: Name | None = None
    external_id: ExternalId | None = None
    scheduled_from: Moment | None = Field(None, description="Inclusive")
    scheduled_to: Moment | None = Field(None, description="Exclusive")
    sort: JobSort | None = Field(
        None, description="createdAt if left out; a cursor keeps its own order"
    )
    order: Literal["asc", "desc"] | None = Field(None, description="desc if left out")
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, description="nextCursor of the page before")

    @property
    def wanted_order(self) -> JobOrder | None:
        """Return the requested order, None if there is none."""
        if self.sort is None and self.order is None:
            return None
        return JobOrder(
            sort=self.sort or JobSort.CREATED_AT, descending=self.order != "asc"
        )

    def to_domain(self) -> JobFilter:
        """Return the filter as a domain value."""
        return JobFilter(
            project_id=self.project_id,
            statuses=frozenset(self.status),
            failure_reasons=frozenset(self.failure_reason),
            platform=self.platform,
            asset_id=self.asset_id,
            external_id=self.external_id,
            scheduled_from=self.scheduled_from,
            scheduled_to=self.scheduled_to,
        )
