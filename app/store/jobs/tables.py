"""Jobs, the ledger of their attempts, their pull URLs, and TikTok's events."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    and_,
    literal_column,
    text,
)

from app.domain.jobs.job import (
    Availability,
    Delivery,
    FailureReason,
    JobStatus,
    Transfer,
)
from app.store.db.metadata import QUEUE, metadata, one_of, partly
from app.store.db.types import Json, UtcDateTime

# A Post Now that failed while its init may still become a post is not over: a new one
# could be the second post.
GUARDING_POST_NOW = text(
    "post_now AND status <> 'posted'"
    " AND (status <> 'failed' OR init_sent_at IS NOT NULL)"
)

# Written out, so that a plan finds the index of what waits for a person.
UNCONFIRMED = text("failure_reason = 'unconfirmed'")

UNBOUND = text("open_id IS NULL AND status <> 'posted'")

# Written out, so that a plan finds the indexes that lists read; see listing.py.
IS_PROCESSING = text("status = 'processing'")
NOT_PROCESSING = text("status <> 'processing'")

schedule_jobs = Table(
    "schedule_jobs",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7: sorts by time of creation
    Column("project_id", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("asset_id", Text, nullable=False),
    Column("asset_url", Text, nullable=False),
    Column("asset_urls", Json),  # of a set of photos
    Column("post", Json, nullable=False),
    Column("transfer", Text, nullable=False, server_default="pull"),
    # The TikTok person whose post it is; NULL until one is connected.
    Column("open_id", Text),
    # The caller's own words.
    Column("external_id", Text),
    Column("metadata", Json),
    Column("status", Text, nullable=False),
    Column("scheduled_for", UtcDateTime, nullable=False),
    Column("publish_by", UtcDateTime),  # not begun by then, it is not sent any more
    Column("post_now", Boolean, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    # When it may be claimed: its time, its retry, its next poll, its lease's end.
    Column("next_attempt_at", UtcDateTime),
    Column("held_since", UtcDateTime),  # put off by a hold
    Column("claim_token", Text),
    Column("claimed_by", Text),
    Column("claimed_at", UtcDateTime),
    Column("abandoned_by", Text),  # whom the present claim was taken from
    Column("attempt_started_at", UtcDateTime),
    Column("attempt_number", Integer, nullable=False),
    Column("init_sent_at", UtcDateTime),
    Column("publish_id", Text),
    Column("publish_started_at", UtcDateTime),
    Column("media_token", Text),  # the pull URL of the present init, if it is ours
    # The upload of the present init, if we send the bytes ourselves.
    Column("upload_url", Text),  # encrypted, bound to this row
    Column("upload_issued_at", UtcDateTime),
    Column("uploaded_bytes", BigInteger),
    Column("source_size", BigInteger),
    Column("source_etag", Text),
    Column("upload_repeats", Json),  # when another was asked for, Unix time
    # As creator_info told it before the init: a late id becomes a URL with it.
    Column("creator_username", Text),
    # When TikTok is asked again about a job that is over but may be in flight.
    Column("confirm_at", UtcDateTime),
    Column("confirm_tries", Integer, nullable=False, server_default="0"),
    # When it is looked at ahead of its time, and what the last look found.
    Column("readiness_at", UtcDateTime),
    Column("readiness", Json),
    Column("failure_reason", Text),
    Column("last_error", Json),
    Column("waiting_for", Text),
    Column("delivery", Text),
    Column("post_id", Text),
    Column("post_ids", Json),  # all that TikTok told; a draft may become several posts
    Column("post_url", Text),
    Column("availability", Text),
    Column("posted_at", UtcDateTime),
    Column("discarded_at", UtcDateTime),  # when its person threw the draft away
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("idempotency_key"),
    CheckConstraint(one_of("status", JobStatus), name="status"),
    CheckConstraint(one_of("failure_reason", FailureReason), name="failure_reason"),
    CheckConstraint(one_of("delivery", Delivery), name="delivery"),
    CheckConstraint(one_of("transfer", Transfer), name="transfer"),
    CheckConstraint(one_of("availability", Availability), name="availability"),
    CheckConstraint(
        "attempts >= 0 AND attempts <= max_attempts AND max_attempts >= 1",
        name="attempts",
    ),
    CheckConstraint(
        "(status IN ('posted', 'failed')) = (next_attempt_at IS NULL)",
        name="over_is_never_due",
    ),
    CheckConstraint(
        "(claim_token IS NULL) = (claimed_at IS NULL)", name="claim_is_whole"
    ),
    CheckConstraint(
        "claim_token IS NULL OR status = 'processing'", name="claimed_is_processing"
    ),
    CheckConstraint(
        "status <> 'processing' OR claim_token IS NOT NULL OR init_sent_at IS NOT NULL",
        name="processing_is_claimed_or_in_flight",
    ),
    CheckConstraint(
        "(status = 'posted') = (posted_at IS NOT NULL)", name="posted_has_a_time"
    ),
    CheckConstraint(
        "(status = 'posted') = (delivery IS NOT NULL)", name="posted_has_a_delivery"
    ),
    CheckConstraint(
        "(status = 'failed') = (failure_reason IS NOT NULL)", name="failed_has_a_reason"
    ),
    # The one hot index: due, retry, resumed poll and abandoned claim are one range
    # of it, and rows that are over leave it.
    Index(
        "ix_schedule_jobs_due",
        "next_attempt_at",
        "id",
        **partly("next_attempt_at IS NOT NULL"),
    ),
    CheckConstraint(
        "confirm_at IS NULL OR status IN ('posted', 'failed')",
        name="only_what_is_over_is_confirmed",
    ),
    Index("ix_schedule_jobs_confirm", "confirm_at", **partly("confirm_at IS NOT NULL")),
    # Rows that a claim takes leave it by themselves: no claim has to write for it.
    Index(
        "ix_schedule_jobs_readiness",
        "readiness_at",
        **partly("readiness_at IS NOT NULL AND status = 'scheduled'"),
    ),
    # A double click on Post Now finds the first click's job.
    Index(
        "uq_schedule_jobs_guarding_post_now",
        "project_id",
        "platform",
        "asset_id",
        unique=True,
        **partly(GUARDING_POST_NOW),
    ),
    # Holds only what waits for a person, so that counting it costs next to nothing.
    Index("ix_schedule_jobs_unconfirmed", "scheduled_for", **partly(UNCONFIRMED)),
    # What a hold put off.
    Index("ix_schedule_jobs_held", "project_id", **partly("held_since IS NOT NULL")),
    # Lists, by the time of creation and by their own time: of a project, and of all.
    Index("ix_schedule_jobs_processing", "project_id", "id", **partly(IS_PROCESSING)),
    Index(
        "ix_schedule_jobs_project_created",
        "project_id",
        "status",
        "failure_reason",
        "id",
        **partly(NOT_PROCESSING),
    ),
    Index(
        "ix_schedule_jobs_project_scheduled",
        "project_id",
        "status",
        "failure_reason",
        "scheduled_for",
        "id",
        **partly(NOT_PROCESSING),
    ),
    Index(
        "ix_schedule_jobs_created",
        "status",
        "failure_reason",
        "id",
        **partly(NOT_PROCESSING),
    ),
    Index(
        "ix_schedule_jobs_scheduled",
        "status",
        "failure_reason",
        "scheduled_for",
        "id",
        **partly(NOT_PROCESSING),
    ),
    Index(
        "ix_schedule_jobs_asset",
        "asset_id",
        "project_id",
        "id",
        **partly(NOT_PROCESSING),
    ),
    Index(
        "ix_schedule_jobs_external_id",
        "external_id",
        "project_id",
        "id",
        **partly("external_id IS NOT NULL AND status <> 'processing'"),
    ),
    # What is nobody's yet: the first who connects makes it theirs.
    Index("ix_schedule_jobs_unbound", "project_id", **partly(UNBOUND)),
    # What changed of late in a project, for those who watch it.
    Index("ix_schedule_jobs_changes", "project_id", "updated_at"),
    Index(
        "ix_schedule_jobs_publish_id", "publish_id", **partly("publish_id IS NOT NULL")
    ),
    postgresql_with=QUEUE,
)


def in_state(state: JobStatus | FailureReason) -> ColumnElement[bool]:
    """Match jobs by status, failed ones by the reason why, as the indexes have them.

    Written out: with parameters, no plan would know how many jobs are in a state.
    """
    columns, is_reason = schedule_jobs.c, isinstance(state, FailureReason)
    status = JobStatus.FAILED if is_reason else state
    reason = columns.failure_reason
    return and_(
        columns.status == literal_column(f"'{status}'", Text()),
        reason == literal_column(f"'{state}'", Text())
        if is_reason
        else reason.is_(None),
    )


job_attempts = Table(
    "job_attempts",
    metadata,
    # No foreign key: a row is written together with its job's, so looking that up again
    # was a fifth of what Postgres does for an end. Who deletes jobs deletes these.
    Column("job_id", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("error_class", Text),
    Column("error_code", Text),
    Column("message", Text),
    Column("http_status", Integer),
    Column("log_id", Text),
    Column("publish_id", Text),
    Column("next_attempt_at", UtcDateTime),
    Column("worker", Text),
    PrimaryKeyConstraint("job_id", "number"),
)

# What happened to a job beside its attempts, which the ledger tells.
job_history = Table(
    "job_history",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("job_id", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("kind", Text, nullable=False),
    Column("data", Json),
    # The API key of the person who did it.
    Column("key_id", Text),
    Column("key_name", Text),
    Index("ix_job_history_job_id", "job_id", "id"),
)

# The keys that callers gave their requests. No foreign key: a key is taken before its
# job is stored, so that two requests with one key come one after the other.
request_keys = Table(
    "request_keys",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("digest", Text, nullable=False),  # of the request's body
    PrimaryKeyConstraint("project_id", "key"),
    Index("ix_request_keys_job_id", "job_id"),
)

media_links = Table(
    "media_links",
    metadata,
    Column("token", Text, primary_key=True),  # 256 random bits: the URL is the secret
    Column(
        "job_id",
        Text,
        ForeignKey("schedule_jobs.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("asset_url", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("fetched_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Index("ix_media_links_job_id", "job_id"),
)

tiktok_events = Table(
    "tiktok_events",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7
    Column("dedup_key", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("open_id", Text, nullable=False),
    Column("publish_id", Text),
    Column("post_id", Text),
    Column("created_at", UtcDateTime, nullable=False),  # TikTok's time
    Column("received_at", UtcDateTime, nullable=False),
    Column("handled_at", UtcDateTime),  # not used; older processes write it
    Column("body", Text, nullable=False),
    UniqueConstraint("dedup_key"),
    Index("ix_tiktok_events_publish_id", "publish_id"),
    Index("ix_tiktok_events_open_id", "open_id", "received_at"),
)
