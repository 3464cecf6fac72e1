"""indexes of the accounts whose pair is to be refreshed next."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

USABLE = (
    "(status = 'active' OR reconnect_reason IN"
    " ('scope_not_authorized', 'scope_permission_missed'))"
)
THIRTY_DAYS = {
    "postgresql": "access_token_expires_at - updated_at > interval '30 days'",
    "sqlite": "julianday(access_token_expires_at) - julianday(updated_at) > 30",
}


def upgrade() -> None:
    """Apply; the version before this one reads all accounts."""
    lives_long = f"{USABLE} AND {THIRTY_DAYS[op.get_bind().dialect.name]}"
    with beside_writers() as options:
        _make("ix_accounts_expiry", "access_token_expires_at", USABLE, options)
        _make("ix_accounts_lives_long", "updated_at", lives_long, options)


def downgrade() -> None:
    """Undo."""
    with beside_writers() as options:
        _drop("ix_accounts_expiry", options)
        _drop("ix_accounts_lives_long", options)


def _make(name: str, column: str, condition: str, options: dict[str, Any]) -> None:
    # An index whose build was interrupted exists, but is invalid.
    _drop(name, options)
    where = sa.text(condition)
    op.create_index(
        name,
        "accounts",
        [column],
        postgresql_where=where,
        sqlite_where=where,
        **options,
    )


def _drop(name: str, options: dict[str, Any]) -> None:
    op.drop_index(name, table_name="accounts", if_exists=True, **options)


@contextmanager
def beside_writers() -> Iterator[dict[str, Any]]:
    """Let Postgres make indexes while accounts are written, in no transaction.

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
