"""Endpoints of frontends, and their events: the outbox."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from app.domain.events import EventStatus
from app.domain.webhook_endpoint import EndpointStatus
from app.store.db.metadata import QUEUE, metadata, one_of, options, partly
from app.store.db.types import Json, UtcDateTime

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),  # encrypted, bound to this row
    Column("former_secret", Text),  # likewise; also signs for a while
    Column("former_secret_until", UtcDateTime),
    Column("status", Text, nullable=False),
    Column("disabled_reason", Text),
    Column("disabled_at", UtcDateTime),
    Column("failing_since", UtcDateTime),  # every try failed since then
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint(one_of("status", EndpointStatus), name="status"),
    CheckConstraint(
        "(status = 'disabled') = (disabled_reason IS NOT NULL)",
        name="disabled_has_a_reason",
    ),
)

# No foreign keys: writing a job must not depend on an endpoint that is removed
# meanwhile, and an event outlives its job.
webhook_events = Table(
    "webhook_events",
    metadata,
    # The order of a job's events, which are written under the job's row lock. Times do
    # not order them, as the clocks of two workers may differ.
    Column(
        "position",
        BigInteger().with_variant(Integer(), "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    Column("id", Text, nullable=False),  # UUIDv7; the same at every try
    Column("project_id", Text, nullable=False),
    Column("job_id", Text),  # NULL: not ordered with others
    Column("type", Text, nullable=False),
    Column("data", Json, nullable=False),  # the payload as columns, for older processes
    Column("body", Text),  # NULL: an older process wrote it
    Column("created_at", UtcDateTime, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime),  # or when the lease of its sender ends
    Column("claim_token", Text),
    Column("last_attempt_at", UtcDateTime),
    Column("last_status", Integer),  # of HTTP, if there was an answer
    Column("last_error", Text),
    UniqueConstraint("id"),
    CheckConstraint(one_of("status", EventStatus), name="status"),
    CheckConstraint(
        "(status = 'pending') = (next_attempt_at IS NOT NULL)",
        name="pending_has_a_time",
    ),
    Index(
        "ix_webhook_events_due",
        "next_attempt_at",
        "position",
        **partly("next_attempt_at IS NOT NULL"),
    ),
    # Whether a job has an earlier event that is still pending.
    Index(
        "ix_webhook_events_pending",
        "job_id",
        "position",
        **partly("next_attempt_at IS NOT NULL"),
    ),
    Index("ix_webhook_events_project", "project_id", "position"),
    Index("ix_webhook_events_created_at", "created_at"),
    **options(postgresql_with=QUEUE),
)
