"""inits without an answer, kept when their job is deleted."""

import sqlalchemy as sa
from alembic import op

from app.store.db.types import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "lost_inits",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("left_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_lost_inits")),
    )
    op.create_index("ix_lost_inits_project", "lost_inits", ["project_id", "left_at"])


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_lost_inits_project", table_name="lost_inits")
    op.drop_table("lost_inits")
