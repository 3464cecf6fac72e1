"""indexes for lists of jobs in every filter and order."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

JOBS = "schedule_jobs"
PROCESSING = "status = 'processing'"
REST = "status <> 'processing'"
STATE = ("status", "failure_reason")
NEW: dict[str, tuple[list[str], str]] = {
    "processing": (["project_id", "id"], PROCESSING),
    "project_created": (["project_id", *STATE, "id"], REST),
    "project_scheduled": (["project_id", *STATE, "scheduled_for", "id"], REST),
    "created": ([*STATE, "id"], REST),
    "scheduled": ([*STATE, "scheduled_for", "id"], REST),
    "asset": (["asset_id", "project_id", "id"], REST),
    "external_id": (
        ["external_id", "project_id", "id"],
        f"external_id IS NOT NULL AND {REST}",
    ),
}
OLD = "ix_schedule_jobs_project"


def upgrade() -> None:
    """Apply."""
    with beside_writers() as options:
        for name, (columns, condition) in NEW.items():
            index = f"ix_{JOBS}_{name}"
            where = sa.text(condition)
            # An index whose build was interrupted exists, but is invalid.
            op.drop_index(index, table_name=JOBS, if_exists=True, **options)
            op.create_index(
                index,
                JOBS,
                columns,
                postgresql_where=where,
                sqlite_where=where,
                **options,
            )
        op.drop_index(OLD, table_name=JOBS, if_exists=True, **options)


def downgrade() -> None:
    """Undo."""
    with beside_writers() as options:
        op.create_index(OLD, JOBS, ["project_id", "id"], if_not_exists=True, **options)
        for name in NEW:
            op.drop_index(
                f"ix_{JOBS}_{name}", table_name=JOBS, if_exists=True, **options
            )


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
