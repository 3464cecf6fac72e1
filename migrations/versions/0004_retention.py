"""what is kept of pruned records: tombstones, and how far pruning has got."""

import sqlalchemy as sa
from alembic import op

from app.store.db.types import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "past_publishes",
        sa.Column("publish_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("publish_id", name=op.f("pk_past_publishes")),
    )
    op.create_table(
        "pruned",
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("before", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("what", name=op.f("pk_pruned")),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("pruned")
    op.drop_table("past_publishes")
