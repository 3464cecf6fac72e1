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
    select,
    text,
)

from app.domain.jobs.job import (
    Availability,
    Delivery,
    FailureReason,
    JobStatus,
    Transfer,
)
from app.store.db.metadata import (
    QUEUE,
    distinct,
    make_distinct,
    metadata,
    one_of,
    options,
    partly,
)
from app.store.db.types import Json, UtcDateTime

# A failed Post Now whose init may still become a post still counts: a new one could
# be a second post.
GUARDING_POST_NOW = text(
    "post_now AND status <> 'posted'"
    " AND (status <> 'failed' OR init_sent_at IS NOT NULL)"
)

# A literal, so that the planner finds the partial index.
IS_UNCONFIRMED = text("failure_reason = 'unconfirmed'")

UNBOUND = text("open_id IS NULL AND status <> 'posted'")

# Literals, so that the planner finds the indexes of lists; see listing.py.
IS_PROCESSING = text("status = 'processing'")
NOT_PROCESSING = text("status <> 'processing'")
IS_POSTED = text("status = 'posted'")
NEITHER = text("status <> 'processing' AND status <> 'posted'")

# Attempts whose publish is no longer their job's, but for those that posted.
DID_NOT_POST = text("publish_id IS NOT NULL AND decision <> 'posted'")

schedule_jobs = Table(
    "schedule_jobs",
    metadata,
    Column("id", Text, primary_key=True),  # UUIDv7: sorts by time of creation
    Column("project_id", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("asset_id", Text, nullable=False),
    Column("asset_url", Text, nullable=False),
    Column("asset_urls", Json),  # photos only
    Column("post", Json, nullable=False),
    Column("transfer", Text, nullable=False, server_default="pull"),
    # The TikTok person whose post it is; NULL until an account is connected.
    Column("open_id", Text),
    # The caller's own data.
    Column("external_id", Text),
    Column("metadata", Json),
    Column("status", Text, nullable=False),
    Column("scheduled_for", UtcDateTime, nullable=False),
    Column("publish_by", UtcDateTime),  # no init is sent after this time
    Column("post_now", Boolean, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    # When it may be claimed: its time, its retry, its next poll, or its lease's end.
    Column("next_attempt_at", UtcDateTime),
    Column("held_since", UtcDateTime),  # put off by a hold
    Column("claim_token", Text),
    Column("claimed_by", Text),
    Column("claimed_at", UtcDateTime),
    Column("abandoned_by", Text),  # the worker that the current claim was taken from
    Column("attempt_started_at", UtcDateTime),
    Column("attempt_number", Integer, nullable=False),
    Column("init_sent_at", UtcDateTime),
    Column("publish_id", Text),
    Column("publish_started_at", UtcDateTime),
    # Of the current init's pull URL, if it is our gateway's.
    Column("media_token", Text),
    # The upload of the current init, if we send the bytes ourselves.
    Column("upload_url", Text),  # encrypted, bound to this row
    Column("upload_issued_at", UtcDateTime),
    Column("uploaded_bytes", BigInteger),
    Column("source_size", BigInteger),
    Column("source_etag", Text),
    Column("upload_repeats", Json),  # when another URL was requested, Unix time
    # From creator_info, before the init: it makes a URL of a late post id.
    Column("creator_username", Text),
    # When TikTok is asked again about a job that is over but in doubt.
    Column("confirm_at", UtcDateTime),
    Column("confirm_tries", Integer, nullable=False, server_default="0"),
    # When its readiness is checked next, and the last check's result.
    Column("readiness_at", UtcDateTime),
    Column("readiness", Json),
    Column("failure_reason", Text),
    Column("last_error", Json),
    Column("waiting_for", Text),
    Column("delivery", Text),
    Column("post_id", Text),
    Column("post_ids", Json),  # all that TikTok named; a draft may become several posts
    Column("post_url", Text),
    Column("availability", Text),
    Column("posted_at", UtcDateTime),
    Column("discarded_at", UtcDateTime),  # when the person discarded the draft
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text),  # the id of the API key it was asked for with
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
    # The one hot index: due jobs, retries, next polls and abandoned claims are one
    # range of it, and it holds no ended jobs.
    Index(
        "ix_schedule_jobs_due",
        "next_attempt_at",
        "id",
        **partly("next_attempt_at IS NOT NULL", is_distinct=True),
    ),
    CheckConstraint(
        "confirm_at IS NULL OR status IN ('posted', 'failed')",
        name="only_what_is_over_is_confirmed",
    ),
    Index("ix_schedule_jobs_confirm", "confirm_at", **partly("confirm_at IS NOT NULL")),
    # A claim removes rows from this partial index and adds none.
    Index(
        "ix_schedule_jobs_readiness",
        "readiness_at",
        **partly("readiness_at IS NOT NULL AND status = 'scheduled'"),
    ),
    # A second click on Post Now finds the first click's job.
    Index(
        "uq_schedule_jobs_guarding_post_now",
        "project_id",
        "platform",
        "asset_id",
        unique=True,
        **partly(GUARDING_POST_NOW),
    ),
    # Holds only jobs that wait for a person, so that counting them is cheap.
    Index("ix_schedule_jobs_unconfirmed", "scheduled_for", **partly(IS_UNCONFIRMED)),
    # Jobs that a hold put off.
    Index("ix_schedule_jobs_held", "project_id", **partly("held_since IS NOT NULL")),
    # Lists by time of creation and by scheduled time, of one project and of all.
    Index(
        "ix_schedule_jobs_processing",
        "project_id",
        "id",
        **partly(IS_PROCESSING, is_distinct=True),
    ),
    Index(
        "ix_schedule_jobs_project_created",
        "project_id",
        "status",
        "failure_reason",
        "id",
        **partly(NOT_PROCESSING, is_distinct=True),
    ),
    Index(
        "ix_schedule_jobs_project_scheduled",
        "project_id",
        "status",
        "failure_reason",
        "scheduled_for",
        "id",
        **partly(NOT_PROCESSING, is_distinct=True),
    ),
    # Of all projects: every end writes to these, so what is posted has short keys.
    Index(
        "ix_schedule_jobs_posted_created",
        "id",
        **partly(IS_POSTED, is_distinct=True),
    ),
    Index(
        "ix_schedule_jobs_posted_scheduled",
        "scheduled_for",
        "id",
        **partly(IS_POSTED, is_distinct=True),
    ),
    Index(
        "ix_schedule_jobs_other_created",
        "status",
        "failure_reason",
        "id",
        **partly(NEITHER, is_distinct=True),
    ),
    Index(
        "ix_schedule_jobs_other_scheduled",
        "status",
        "failure_reason",
        "scheduled_for",
        "id",
        **partly(NEITHER, is_distinct=True),
    ),
    Index(
        "ix_schedule_jobs_asset",
        "asset_id",
        "project_id",
        "id",
        **partly(NOT_PROCESSING, is_distinct=True),
    ),
    Index(
        "ix_schedule_jobs_external_id",
        "external_id",
        "project_id",
        "id",
        **partly(
            "external_id IS NOT NULL AND status <> 'processing'", is_distinct=True
        ),
    ),
    # Jobs without an owner, for the first account that connects.
    Index("ix_schedule_jobs_unbound", "project_id", **partly(UNBOUND)),
    # A project's latest changes, for the stream.
    Index("ix_schedule_jobs_changes", "project_id", "updated_at", **distinct()),
    Index(
        "ix_schedule_jobs_publish_id",
        "publish_id",
        **partly("publish_id IS NOT NULL", is_distinct=True),
    ),
    **options(postgresql_with=QUEUE),
)
make_distinct(schedule_jobs, "pk_schedule_jobs", "uq_schedule_jobs_idempotency_key")


def in_state(
    state: JobStatus | FailureReason, *, hidden: bool = False
) -> ColumnElement[bool]:
    """Match jobs by status, failed ones by their reason, as the indexes do.

    Literals: with parameters the planner would not know how many jobs are in a state.
    ``hidden``: it shall not know which state it is.
    """
    columns, is_reason = schedule_jobs.c, isinstance(state, FailureReason)
    status = literal_column(f"'{JobStatus.FAILED if is_reason else state}'", Text())
    reason = columns.failure_reason
    return and_(
        columns.status == (select(status).scalar_subquery() if hidden else status),
        reason == literal_column(f"'{state}'", Text())
        if is_reason
        else reason.is_(None),
    )


job_attempts = Table(
    "job_attempts",
    metadata,
    # No foreign key: a row is written together with its job's, and checking it was a
    # fifth of Postgres' work for an ended attempt. ``delete_jobs`` deletes these rows,
    # too.
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
    Index("ix_job_attempts_publish_id", "publish_id", **partly(DID_NOT_POST)),
)
make_distinct(job_attempts, "pk_job_attempts")

# What happened to a job besides its attempts, which are in the ledger.
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

# Idempotency keys of requests, and those that jobs had before they got another time. No
# foreign key: a key is taken before its job is stored, so that two requests with the
# same key run one after the other.
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
    Column("token", Text, primary_key=True),  # 256 random bits: the URL is a secret
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
