"""sign-ins that only the browser that began them may finish."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COLUMNS = ("bound", "disable_auto_auth")


def upgrade() -> None:
    """Apply; the version before this one still adds rows without them."""
    for name in COLUMNS:
        column: sa.Column[bool] = sa.Column(
            name, sa.Boolean(), nullable=False, server_default=sa.false()
        )
        op.add_column("oauth_states", column)


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("oauth_states") as table:
        for name in COLUMNS:
            table.drop_column(name)
