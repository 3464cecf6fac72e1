"""Wait for the statements that write to a table."""

from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy import Table, text

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
