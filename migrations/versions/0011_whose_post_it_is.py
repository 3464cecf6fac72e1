"""the job's owner, the caller's own data, and what happens after the end."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.store.db.types import Json, UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE = "schedule_jobs"


def columns() -> list[sa.Column[Any]]:
    """Return the table's new columns.

    Each may be missing or has a default: the version before this one goes on storing
    jobs while this one is rolled out.
    """
    return [
        sa.Column("open_id", sa.Text()),
        sa.Column("external_id", sa.Text()),
        sa.Column("metadata", Json),
        sa.Column("publish_by", UtcDateTime()),
        sa.Column("asset_urls", Json),
        sa.Column("transfer", sa.Text(), nullable=False, server_default="pull"),
        sa.Column("uploaded_bytes", sa.BigInteger()),
        sa.Column("upload_url", sa.Text()),
        sa.Column("upload_issued_at", UtcDateTime()),
        sa.Column("source_size", sa.BigInteger()),
        sa.Column("source_etag", sa.Text()),
        sa.Column("creator_username", sa.Text()),
        sa.Column("post_ids", Json),
        sa.Column("availability", sa.Text()),
        sa.Column("discarded_at", UtcDateTime()),
    ]


REASON = "ck_schedule_jobs_failure_reason"
FORMER = "'auth', 'permanent', 'max_attempts', 'unconfirmed'"
FORMER_CHECK = f"failure_reason IN ({FORMER})"
CHECKS = {
    REASON: f"failure_reason IN ({FORMER}, 'missed', 'cancelled')",
    "ck_schedule_jobs_transfer": "transfer IN ('pull', 'push')",
    "ck_schedule_jobs_availability": (
        "availability IN ('unknown', 'public', 'withdrawn')"
    ),
}

# Jobs that wait or are in flight belong to the account that is connected now. Ended jobs
# stay as they are: nothing more is sent for them.
BIND = """
    UPDATE schedule_jobs SET open_id = (
        SELECT open_id FROM accounts
        WHERE accounts.project_id = schedule_jobs.project_id
        AND accounts.platform = schedule_jobs.platform
    )
    WHERE status <> 'posted' OR confirm_at IS NOT NULL
"""


def upgrade() -> None:
    """Apply; on SQLite the table of jobs is copied once."""
    for column in columns():
        op.add_column(TABLE, column)
    op.add_column("accounts", sa.Column("verified_at", UtcDateTime()))
    _check(FORMER_CHECK, CHECKS)
    op.create_index(
        "ix_schedule_jobs_unbound",
        TABLE,
        ["project_id"],
        postgresql_where=sa.text("open_id IS NULL AND status <> 'posted'"),
        sqlite_where=sa.text("open_id IS NULL AND status <> 'posted'"),
    )
    op.create_table(
        "job_history",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("data", Json),
        sa.Column("key_id", sa.Text()),
        sa.Column("key_name", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_history")),
    )
    op.create_index("ix_job_history_job_id", "job_history", ["job_id", "id"])
    op.execute(BIND)


def downgrade() -> None:
    """Undo; the version before this one knows fewer reasons."""
    op.execute(
        "UPDATE schedule_jobs SET failure_reason = 'permanent'"
        " WHERE failure_reason IN ('missed', 'cancelled')"
    )
    op.drop_index("ix_job_history_job_id", table_name="job_history")
    op.drop_table("job_history")
    op.drop_index("ix_schedule_jobs_unbound", table_name=TABLE)
    _check(CHECKS, FORMER_CHECK)
    op.drop_column("accounts", "verified_at")
    for column in reversed(columns()):
        op.drop_column(TABLE, column.name)


def _check(former: str | dict[str, str], new: str | dict[str, str]) -> None:
    """Put constraints in the place of others: on Postgres with one look at each row."""
    old = {REASON: former} if isinstance(former, str) else former
    fresh = {REASON: new} if isinstance(new, str) else new
    if op.get_context().dialect.name == "sqlite":
        _copy(_written(old), _written(fresh))
        return
    drops = [f"DROP CONSTRAINT {name}" for name in old]
    adds = [f"ADD CONSTRAINT {name} CHECK ({rule})" for name, rule in fresh.items()]
    op.execute(f"ALTER TABLE {TABLE} {', '.join(drops + adds)}")


def _written(checks: dict[str, str]) -> str:
    return ", ".join(
        f"CONSTRAINT {name} CHECK ({rule})" for name, rule in checks.items()
    )


def _copy(former: str, new: str) -> None:
    """Copy the table under other constraints.

    https://www.sqlite.org/lang_altertable.html#otheralter
    """
    connection = op.get_bind()
    stored = "SELECT sql FROM sqlite_master WHERE tbl_name = 'schedule_jobs' AND "
    sql = connection.exec_driver_sql(f"{stored} type = 'table'").scalar_one()
    indexes = connection.exec_driver_sql(f"{stored} type = 'index' AND sql <> ''")
    again = list(indexes.scalars())
    if former not in sql:
        raise AssertionError(f"the table of jobs lacks {former}")
    head = f'CREATE TABLE "{TABLE}"' if f'"{TABLE}"' in sql else f"CREATE TABLE {TABLE}"
    copied = sql.replace(former, new).replace(head, f"CREATE TABLE {TABLE}_copy", 1)
    for statement in (
        copied,
        f"INSERT INTO {TABLE}_copy SELECT * FROM {TABLE}",  # noqa: S608  our names
        f"DROP TABLE {TABLE}",
        f"ALTER TABLE {TABLE}_copy RENAME TO {TABLE}",
        *again,
    ):
        connection.exec_driver_sql(statement)
