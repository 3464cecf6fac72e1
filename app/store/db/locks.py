"""Lock rows for one worker, or wait for the statements that write to a table."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, any_, func, select, text

from app.domain.errors import StoreUnavailable
from app.store.db.engine import Database

Sleep = Callable[[float], Awaitable[None]]

LOOK_AGAIN_SECONDS: Final = 0.01
MOST_LOOKS: Final = 500

# The locks that INSERT, UPDATE and DELETE take before they look at any row. Between two
# statements a transaction is idle, and its next one sees what is there by then.
_WRITERS: Final = text("""
    SELECT pg_locks.virtualtransaction FROM pg_locks
    LEFT JOIN pg_stat_activity USING (pid)
    WHERE relation = CAST(:name AS regclass) AND mode = 'RowExclusiveLock' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND pid <> pg_backend_pid() AND coalesce(state, '') NOT LIKE 'idle%'
""")


def unlocked(rows: Select[Any], *, is_sqlite: bool) -> ColumnElement[bool]:
    """Lock the rows that a select of their key finds, and match them.

    For the WHERE of an UPDATE or DELETE, which must repeat the select's conditions:
    another transaction may have changed a row before it was locked.
    """
    (key,) = rows.selected_columns
    # A CTE, because Postgres may run a LIMIT subquery again inside the UPDATE's join
    # and then take more rows than the limit (Oban, engines/basic.ex). SQLite's compiler
    # drops FOR UPDATE; its single writer needs no row locks.
    found = rows.with_for_update(skip_locked=True).cte("unlocked")
    keys = select(found.c[key.name])
    if is_sqlite:
        return key.in_(keys)
    # Postgres looks up each key of an array in the index. It would plan a join by the
    # table's statistics, which lag behind a busy queue, and read all rows.
    return key == any_(func.array(keys.scalar_subquery()))


async def writers_done(database: Database, table: Table, *, sleep: Sleep) -> None:
    """Wait until every statement that now writes to a table is done.

    Statements that begin later see all that is committed now. SQLite has one writer
    at a time. Raises StoreUnavailable if one takes seconds.
    """
    if database.is_sqlite:
        return
    writers: set[str] | None = None
    for _ in range(MOST_LOOKS):
        async with database.read() as connection:
            found = await connection.execute(_WRITERS, {"name": table.name})
            now = set(found.scalars())
        writers = now if writers is None else writers & now
        if not writers:
            return
        await sleep(LOOK_AGAIN_SECONDS)
    raise StoreUnavailable("other writes take too long; try again")
