"""the API key that a job was created with, for its history."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; the version before this one leaves it empty."""
    op.add_column("schedule_jobs", sa.Column("created_by", sa.Text()))


def downgrade() -> None:
    """Undo."""
    op.drop_column("schedule_jobs", "created_by")
