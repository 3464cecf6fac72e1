"""lists of all projects: short index keys for posted jobs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

JOBS = "schedule_jobs"
POSTED = "status = 'posted'"
OTHER = "status <> 'processing' AND status <> 'posted'"
REST = "status <> 'processing'"
STATE = ("status", "failure_reason")
Indexes = dict[str, tuple[list[str], str]]
NEW: Indexes = {
    "posted_created": (["id"], POSTED),
    "posted_scheduled": (["scheduled_for", "id"], POSTED),
    "other_created": ([*STATE, "id"], OTHER),
    "other_scheduled": ([*STATE, "scheduled_for", "id"], OTHER),
}
OLD: Indexes = {
    "created": ([*STATE, "id"], REST),
    "scheduled": ([*STATE, "scheduled_for", "id"], REST),
}


def upgrade() -> None:
    """Apply; the version before this one sorts these lists itself meanwhile."""
    _replace(OLD, NEW)


def downgrade() -> None:
    """Undo."""
    _replace(NEW, OLD)


def _replace(former: Indexes, new: Indexes) -> None:
    with beside_writers() as options:
        for name, (columns, condition) in new.items():
            where = sa.text(condition)
            # An index whose build was interrupted exists, but is invalid.
            _drop(name, options)
            op.create_index(
                f"ix_{JOBS}_{name}",
                JOBS,
                columns,
                postgresql_where=where,
                sqlite_where=where,
                **options,
            )
        for name in former:
            _drop(name, options)


def _drop(name: str, options: dict[str, Any]) -> None:
    op.drop_index(f"ix_{JOBS}_{name}", table_name=JOBS, if_exists=True, **options)


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
