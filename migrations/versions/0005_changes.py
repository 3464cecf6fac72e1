"""an index of a project's newest changes."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_schedule_jobs_changes", "schedule_jobs", ["project_id", "updated_at"]
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_schedule_jobs_changes", table_name="schedule_jobs")
