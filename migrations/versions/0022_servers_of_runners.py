"""the database server that each runner works on."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply; older versions write no server."""
    op.add_column("runners", sa.Column("server", sa.Text()))


def downgrade() -> None:
    """Undo."""
    op.drop_column("runners", "server")
