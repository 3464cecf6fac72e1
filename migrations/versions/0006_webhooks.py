"""webhooks to frontends and their outbox."""

import sqlalchemy as sa
from alembic import op

from app.store.db.types import Json, UtcDateTime

PENDING = sa.text("next_attempt_at IS NOT NULL")

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    _create_endpoints()
    _create_events()


def downgrade() -> None:
    """Undo."""
    op.drop_table("webhook_events")
    op.drop_table("webhook_endpoints")


def _create_endpoints() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("former_secret", sa.Text(), nullable=True),
        sa.Column("former_secret_until", UtcDateTime(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=True),
        sa.Column("disabled_at", UtcDateTime(), nullable=True),
        sa.Column("failing_since", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "status IN ('active', 'disabled')",
            name=op.f("ck_webhook_endpoints_status"),
        ),
        sa.CheckConstraint(
            "(status = 'disabled') = (disabled_reason IS NOT NULL)",
            name=op.f("ck_webhook_endpoints_disabled_has_a_reason"),
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_webhook_endpoints")),
    )


def _create_events() -> None:
    position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "webhook_events",
        sa.Column("position", position, autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=True),
        sa.Column("claim_token", sa.Text(), nullable=True),
        sa.Column("last_attempt_at", UtcDateTime(), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'delivered', 'failed')",
            name=op.f("ck_webhook_events_status"),
        ),
        sa.CheckConstraint(
            "(status = 'pending') = (next_attempt_at IS NOT NULL)",
            name=op.f("ck_webhook_events_pending_has_a_time"),
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_webhook_events")),
        sa.UniqueConstraint("id", name=op.f("uq_webhook_events_id")),
    )
    _index("ix_webhook_events_due", ["next_attempt_at", "position"], PENDING)
    _index("ix_webhook_events_pending", ["job_id", "position"], PENDING)
    _index("ix_webhook_events_project", ["project_id", "position"], None)
    _index("ix_webhook_events_created_at", ["created_at"], None)


def _index(name: str, columns: list[str], where: sa.TextClause | None) -> None:
    op.create_index(
        name, "webhook_events", columns, postgresql_where=where, sqlite_where=where
    )
