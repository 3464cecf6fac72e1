"""indexes whose keys are distinct: Postgres does not try to merge equal ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

LEFT = "ix_job_attempts_publish_id"
DID_NOT_POST = sa.text("publish_id IS NOT NULL AND decision <> 'posted'")
DISTINCT = (
    "pk_schedule_jobs",
    "uq_schedule_jobs_idempotency_key",
    "ix_schedule_jobs_due",
    "ix_schedule_jobs_processing",
    "ix_schedule_jobs_project_created",
    "ix_schedule_jobs_project_scheduled",
    "ix_schedule_jobs_posted_created",
    "ix_schedule_jobs_posted_scheduled",
    "ix_schedule_jobs_other_created",
    "ix_schedule_jobs_other_scheduled",
    "ix_schedule_jobs_asset",
    "ix_schedule_jobs_external_id",
    "ix_schedule_jobs_changes",
    "ix_schedule_jobs_publish_id",
    "pk_job_attempts",
)
"""What looks alike in them are versions of one row, which end with it.

To merge those was a tenth of Postgres' work for a post.
"""


def upgrade() -> None:
    """Apply; no writer waits, and the version before this one needs neither."""
    with beside_writers() as options:
        # An index whose build was interrupted exists, but is invalid.
        _drop(options)
        op.create_index(
            LEFT,
            "job_attempts",
            ["publish_id"],
            postgresql_where=DID_NOT_POST,
            sqlite_where=DID_NOT_POST,
            **options,
        )
        _each("SET (deduplicate_items = off)")


def downgrade() -> None:
    """Undo."""
    with beside_writers() as options:
        _each("RESET (deduplicate_items)")
        _drop(options)


def _drop(options: dict[str, Any]) -> None:
    op.drop_index(LEFT, table_name="job_attempts", if_exists=True, **options)


def _each(what: str) -> None:
    """Change the indexes where the server can: Postgres 12 merges nothing anyway."""
    dialect = op.get_bind().dialect
    if dialect.name == "postgresql" and (dialect.server_version_info or ()) >= (13,):
        for name in DISTINCT:
            op.execute(f"ALTER INDEX {name} {what}")


@contextmanager
def beside_writers() -> Iterator[dict[str, Any]]:
    """Let Postgres make indexes while jobs are claimed, which takes no transaction.

    It commits the revisions before this one. One that is broken off can be run again.
    """
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        yield {}
        return
    # A lock of the session keeps other migrations out, also across the commit.
    connection.exec_driver_sql("SELECT pg_advisory_lock(7041776)")
    with op.get_context().autocommit_block():
        yield {"postgresql_concurrently": True}
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7041776)")
    connection.exec_driver_sql("SELECT pg_advisory_unlock(7041776)")
    connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
