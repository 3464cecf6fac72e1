"""when a job asked for another upload URL, to limit how often it does."""

import sqlalchemy as sa
from alembic import op

from app.store.db.types import Json

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; the version before this one still works beside it."""
    op.add_column("schedule_jobs", sa.Column("upload_repeats", Json))


def downgrade() -> None:
    """Undo."""
    op.drop_column("schedule_jobs", "upload_repeats")
