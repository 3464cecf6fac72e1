"""former accounts of a project, whose posts are still theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "former_accounts",
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("open_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "platform", "open_id", "project_id", name=op.f("pk_former_accounts")
        ),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("former_accounts")
