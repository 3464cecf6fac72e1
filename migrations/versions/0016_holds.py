"""holds: which projects' due jobs wait, and which jobs they put off."""

import sqlalchemy as sa
from alembic import op

from app.store.db.types import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

HELD = sa.text("held_since IS NOT NULL")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "holds",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", UtcDateTime()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_holds")),
    )
    op.add_column("schedule_jobs", sa.Column("held_since", UtcDateTime()))
    op.create_index(
        "ix_schedule_jobs_held",
        "schedule_jobs",
        ["project_id"],
        postgresql_where=HELD,
        sqlite_where=HELD,
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_schedule_jobs_held", table_name="schedule_jobs")
    op.drop_column("schedule_jobs", "held_since")
    op.drop_table("holds")
