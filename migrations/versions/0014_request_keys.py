"""the keys that callers give their requests."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "request_keys",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "key", name=op.f("pk_request_keys")),
    )
    op.create_index("ix_request_keys_job_id", "request_keys", ["job_id"])


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_request_keys_job_id", table_name="request_keys")
    op.drop_table("request_keys")
