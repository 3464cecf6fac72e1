"""indexes to count what waits for a person."""

import sqlalchemy as sa
from alembic import op

UNCONFIRMED = sa.text("failure_reason = 'unconfirmed'")
RECONNECT_REQUIRED = sa.text("status = 'reconnect_required'")

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_schedule_jobs_unconfirmed",
        "schedule_jobs",
        ["scheduled_for"],
        postgresql_where=UNCONFIRMED,
        sqlite_where=UNCONFIRMED,
    )
    op.create_index(
        "ix_accounts_reconnect_required",
        "accounts",
        ["project_id"],
        postgresql_where=RECONNECT_REQUIRED,
        sqlite_where=RECONNECT_REQUIRED,
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_accounts_reconnect_required", table_name="accounts")
    op.drop_index("ix_schedule_jobs_unconfirmed", table_name="schedule_jobs")
