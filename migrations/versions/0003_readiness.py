"""the result of a job's readiness check, and when the next one is due."""

import sqlalchemy as sa
from alembic import op

from app.store.db.types import Json, UtcDateTime

LOOKED_AT = sa.text("readiness_at IS NOT NULL AND status = 'scheduled'")

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    # Both databases add a column that may be NULL without rewriting the table.
    op.add_column("schedule_jobs", sa.Column("readiness_at", UtcDateTime()))
    op.add_column("schedule_jobs", sa.Column("readiness", Json))
    op.create_index(
        "ix_schedule_jobs_readiness",
        "schedule_jobs",
        ["readiness_at"],
        postgresql_where=LOOKED_AT,
        sqlite_where=LOOKED_AT,
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_schedule_jobs_readiness", table_name="schedule_jobs")
    op.drop_column("schedule_jobs", "readiness")
    op.drop_column("schedule_jobs", "readiness_at")
