"""the ledger without its foreign key: rows are written and deleted with their jobs."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NAME = "fk_job_attempts_job_id_schedule_jobs"


def upgrade() -> None:
    """Apply; on SQLite the ledger is copied once."""
    with op.batch_alter_table("job_attempts") as ledger:
        ledger.drop_constraint(NAME, type_="foreignkey")


def downgrade() -> None:
    """Undo; rows whose job a newer version has deleted would be in the way."""
    op.execute(
        "DELETE FROM job_attempts WHERE job_id NOT IN (SELECT id FROM schedule_jobs)"
    )
    with op.batch_alter_table("job_attempts") as ledger:
        ledger.create_foreign_key(
            NAME, "schedule_jobs", ["job_id"], ["id"], ondelete="CASCADE"
        )
