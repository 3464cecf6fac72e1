"""the runners, and when each was last seen."""

import sqlalchemy as sa
from alembic import op

from app.store.db.types import UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "runners",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_runners")),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("runners")
