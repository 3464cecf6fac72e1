"""the body of each event, written once and sent at every try."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("webhook_events", sa.Column("body", sa.Text()))


def downgrade() -> None:
    """Undo."""
    op.drop_column("webhook_events", "body")
