"""the post that TikTok's event is about, and why access to an account was removed."""

import sqlalchemy as sa
from alembic import op

from app.store.db.types import UtcDateTime

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; the version before this one works without them."""
    op.add_column("tiktok_events", sa.Column("post_id", sa.Text()))
    op.add_column("accounts", sa.Column("removal_reason", sa.Text()))
    op.add_column("accounts", sa.Column("removal_check_at", UtcDateTime()))
    op.create_index(
        "ix_accounts_removal_check",
        "accounts",
        ["removal_check_at"],
        postgresql_where=sa.text("removal_check_at IS NOT NULL"),
        sqlite_where=sa.text("removal_check_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_accounts_removal_check", table_name="accounts")
    op.drop_column("accounts", "removal_check_at")
    op.drop_column("accounts", "removal_reason")
    op.drop_column("tiktok_events", "post_id")
