"""API keys: access, expiry, and when each was last used."""

import sqlalchemy as sa
from alembic import op

from app.store.db.types import UtcDateTime

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; keys of the version before this one may write and never expire."""
    op.add_column(
        "api_keys",
        sa.Column("access", sa.Text(), nullable=False, server_default="write"),
    )
    op.add_column("api_keys", sa.Column("expires_at", UtcDateTime()))
    op.add_column("api_keys", sa.Column("last_used_at", UtcDateTime()))


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("api_keys") as table:
        for name in ("access", "expires_at", "last_used_at"):
            table.drop_column(name)
