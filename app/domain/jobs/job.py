"""A job: one video that goes to one TikTok account once."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from app.domain.jobs.readiness import Readiness
from app.domain.posts.post import Post


class JobStatus(StrEnum):
    """A job's state; docs/lifecycle.md draws the transitions."""

    SCHEDULED = "scheduled"  # waits for its time
    PROCESSING = "processing"  # claimed by a worker, or in flight at TikTok
    RETRYING = "retrying"  # an attempt failed, the next one is scheduled
    POSTED = "posted"  # TikTok said so
    FAILED = "failed"  # over, with a reason


class FailureReason(StrEnum):
    """Why a job ended ``failed``."""

    AUTH = "auth"  # the account's grant is gone
    PERMANENT = "permanent"  # the same post would fail again
    MAX_ATTEMPTS = "max_attempts"  # every attempt was used up
    UNCONFIRMED = "unconfirmed"  # nobody knows whether TikTok took the init
    MISSED = "missed"  # it had not begun by its publish_by
    CANCELLED = "cancelled"  # a person cancelled it


class ErrorClass(StrEnum):
    """What can be done about an error."""

    AUTH = "auth"  # refresh once, then the person reconnects
    PERMANENT = "permanent"  # a person must change something
    RATE_LIMIT = "rate_limit"  # nothing was created; try later
    TRANSIENT = "transient"  # the same call may work later


class Delivery(StrEnum):
    """How far a posted job got."""

    PUBLISHED = "published"
    INBOX = "inbox"


class Transfer(StrEnum):
    """How a video gets to TikTok."""

    PULL = "pull"  # TikTok fetches it
    PUSH = "push"  # we fetch it and upload it


class Availability(StrEnum):
    """Whether a post is public, as far as TikTok has said."""

    UNKNOWN = "unknown"  # it is meant to be public and has no id yet
    PUBLIC = "public"
    WITHDRAWN = "withdrawn"  # taken down, or made private


class WaitingFor(StrEnum):
    """Why a job that is due is not running."""

    QUOTA = "quota"  # the account's calls per minute
    ACCOUNT_CAP = "account_cap"  # the account's posts per day
    APP_CAP = "app_cap"  # the app's active users per day
    TIKTOK = "tiktok"  # TikTok has the video and is not done
    RESOURCES = "resources"  # this process lacks descriptors, threads or memory
    CLOCK = "clock"  # by TikTok's clock it is not due yet: ours is ahead


class LastError(Struct, frozen=True, kw_only=True, gc=False):
    """The newest error of a job."""

    error_class: ErrorClass
    code: str  # TikTok's own word where there is one
    message: str
    log_id: str | None  # what TikTok's support asks for
    at: datetime


class Job(Struct, frozen=True, kw_only=True, gc=False):
    """One row of ``schedule_jobs``; every time is aware UTC."""

    is_readable: ClassVar[bool] = True

    id: str
    project_id: str
    platform: str
    asset_id: str
    asset_url: str
    post: Post
    status: JobStatus
    scheduled_for: datetime
    post_now: bool
    idempotency_key: str
    attempts: int  # failed and abandoned attempts since the job was last scheduled
    max_attempts: int
    next_attempt_at: datetime | None  # None once the job is over
    created_at: datetime
    updated_at: datetime
    created_by: str | None = None  # the id of an API key
    asset_urls: tuple[str, ...] = ()  # of a set of photos
    transfer: Transfer = Transfer.PULL
    open_id: str | None = None  # the TikTok person whose post it is
    publish_by: datetime | None = None  # no init is sent after this time
    # The caller's own data; the service does not interpret it.
    external_id: str | None = None
    metadata: Mapping[str, str] | None = None
    # The claim: all four are set while a worker owns the job.
    claim_token: str | None = None  # fences every write of the attempt
    claimed_by: str | None = None
    claimed_at: datetime | None = None
    attempt_started_at: datetime | None = None  # survives being handed on
    attempt_number: int = 0  # ledger rows so far, over all manual retries
    # The publish. An init is open while it may still become a post.
    init_sent_at: datetime | None = None  # written before it is sent; None: closed
    publish_id: str | None = None
    publish_started_at: datetime | None = None
    media_token: str | None = None  # of the pull URL, if the media gateway gave one
    creator_username: str | None = None  # from creator_info, before the init
    # The upload of the current init, if we send the bytes ourselves.
    upload_url: str | None = None  # encrypted
    upload_issued_at: datetime | None = None
    uploaded_bytes: int | None = None
    source_size: int | None = None
    source_etag: str | None = None
    upload_repeats: tuple[float, ...] = ()  # when other URLs were requested, Unix time
    confirm_at: datetime | None = None  # when TikTok is asked again about an ended job
    confirm_tries: int = 0
    # The readiness check before its time.
    readiness_at: datetime | None = None  # when the next one is due
    readiness: Readiness | None = None  # what the last one found
    # The end.
    failure_reason: FailureReason | None = None
    last_error: LastError | None = None
    waiting_for: WaitingFor | None = None
    held_since: datetime | None = None  # put off by a hold
    delivery: Delivery | None = None
    post_id: str | None = None
    post_ids: tuple[str, ...] = ()  # all that TikTok told
    post_url: str | None = None
    availability: Availability | None = None
    posted_at: datetime | None = None
    discarded_at: datetime | None = None  # when the person discarded the draft

    @property
    def in_flight(self) -> bool:
        """Tell whether an init of this job may still become a post."""
        return self.init_sent_at is not None and self.status is not JobStatus.POSTED

    @property
    def ambiguous(self) -> bool:
        """Tell whether an init was about to be sent and its answer is not known."""
        return self.in_flight and self.publish_id is None


class UnreadableJob(Job, frozen=True, kw_only=True):
    """A row with values that this version does not know, shown without them.

    A newer version wrote it, or a hand. It is for people to look at: nothing is made
    of it, or what is not known would be lost.
    """

    is_readable: ClassVar[bool] = False


class NewJob(Struct, frozen=True, kw_only=True):
    """A job as requested, before it has a row."""

    project_id: str
    platform: str
    asset_id: str
    asset_url: str
    post: Post
    scheduled_for: datetime | None  # None: Post Now
    max_attempts: int
    publish_by: datetime | None = None
    external_id: str | None = None
    metadata: Mapping[str, str] | None = None
    asset_urls: tuple[str, ...] = ()  # of photos, which have no asset_url
    transfer: Transfer | None = None  # None: the service's default


class AttemptRecord(Struct, frozen=True, kw_only=True, gc=False):
    """One row of the ledger; never rewritten."""

    number: int
    started_at: datetime
    finished_at: datetime
    outcome: str
    decision: str
    error_class: ErrorClass | None = None
    error_code: str | None = None
    message: str | None = None
    http_status: int | None = None
    log_id: str | None = None
    publish_id: str | None = None
    next_attempt_at: datetime | None = None
    worker: str | None = None
