"""The connection to the database, and what both databases need to behave alike."""

import asyncio
import select
from asyncio import Transport
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass
from json import JSONDecoder
from typing import Any, Final

from sqlalchemy import Insert, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    InvalidatePoolError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.domain.errors import StoreUnavailable, WriteUnknown
from app.domain.events import Render
from app.store.db.sqlite_file import open_file

SQLITE_BUSY_SECONDS: Final = 15
POSTGRES_CONNECT_SECONDS: Final = 5
POSTGRES_COMMAND_SECONDS: Final = 15
POSTGRES_PARAMETERS: Final = frozenset(
    {"host", "port", "prepared_statement_cache_size", "ssl", "target_session_attrs"}
)
IGNORED_PARAMETERS: Final = frozenset(
    # They change nothing of what the service does, and asyncpg knows none of them.
    {"application_name", "channel_binding", "connect_timeout", "gssencmode"}
)

RENDER: Final = "render_event"
"""The option of every connection that holds what writes the bodies of events."""

_decode = JSONDecoder().raw_decode


def normalise_url(url: str) -> URL:
    """Give the usual spellings of a database URL their async driver.

    SQLAlchemy 2.1 takes a bare ``postgresql://`` for psycopg. Raises
    sqlalchemy.exc.ArgumentError for what is no URL, ValueError for another database.
    """
    parsed = make_url(url)
    if parsed.drivername in {"postgres", "postgresql", "postgresql+asyncpg"}:
        return _for_asyncpg(parsed.set(drivername="postgresql+asyncpg"))
    if parsed.drivername in {"sqlite", "sqlite+aiosqlite"}:
        if parsed.database in {None, "", ":memory:"}:
            raise ValueError("an SQLite database has to be a file")
        return parsed.set(drivername="sqlite+aiosqlite")
    raise ValueError("only SQLite and Postgres are supported")


def _for_asyncpg(url: URL) -> URL:
    """Translate the parameters that hosts put into URLs for libpq.

    Raises ValueError for one that nobody here understands.
    """
    query = dict(url.query)
    if (mode := query.pop("sslmode", None)) is not None:
        query["ssl"] = mode  # the same words: disable, prefer, require, verify-full
    for name in query:
        if name not in POSTGRES_PARAMETERS | IGNORED_PARAMETERS:
            raise ValueError(f"the parameter {name!r} is not understood")
    kept = {name: query[name] for name in query if name in POSTGRES_PARAMETERS}
    return url.set(query=kept)


class Database:
    """The engine, and its two kinds of transaction."""

    def __init__(
        self, url: str, *, pool_size: int = 10, render: Render | None = None
    ) -> None:
        """Take the address, and what writes the bodies of events.

        Without ``render``, an event is written without its body.
        """
        self.url = normalise_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        make = _sqlite if self.is_sqlite else _postgres
        engine = make(self.url, pool_size)
        self.engine = engine.execution_options(**{RENDER: render})
        self._single = self._autocommitting()
        self._reader = self._reading()
        self._writer = asyncio.Lock()
        self._work = set[asyncio.Task[None]]()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that commits at its end.

        Raises StoreUnavailable when the database does not answer, and WriteUnknown
        when it does not answer to COMMIT.
        """
        async with self._writers_turn():
            with unavailable() as progress:
                async with self.engine.begin() as connection:
                    yield connection
                    progress.may_be_written = True

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that only reads, and so waits for no writer.

        Raises StoreUnavailable when the database does not answer.
        """
        with unavailable():
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def single(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for one statement, which commits by itself.

        Saves the round trips of BEGIN and COMMIT. Raises StoreUnavailable when the
        database cannot be reached, and WriteUnknown when it does not answer.
        """
        async with self._writers_turn():
            with unavailable() as progress:
                async with self._single.connect() as connection:
                    progress.may_be_written = True
                    yield connection

    def insert_new(self, table: Table) -> Insert:
        """Make an INSERT that leaves a row alone that is there already."""
        if self.is_sqlite:
            return sqlite.insert(table).on_conflict_do_nothing()
        return postgresql.insert(table).on_conflict_do_nothing()

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start work that ``close`` waits for.

        A statement that is cut off can leave SQLite locked.
        """
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    async def close(self) -> None:
        """Give every connection back; aiosqlite's threads end only so."""
        if self._work:
            await asyncio.wait(self._work, timeout=SQLITE_BUSY_SECONDS)
        await self.engine.dispose()

    def _writers_turn(self) -> AbstractAsyncContextManager[object]:
        """Queue a process's own writers up on SQLite, which has room for one.

        Its busy handler would let them sleep and try again by luck, the longer the
        more they are.
        """
        return self._writer if self.is_sqlite else nullcontext()

    def _autocommitting(self) -> AsyncEngine:
        if self.is_sqlite:
            return self.engine.execution_options(autocommit=True)
        return self.engine.execution_options(isolation_level="AUTOCOMMIT")

    def _reading(self) -> AsyncEngine:
        # At READ COMMITTED every statement of Postgres sees its own moment, in a
        # transaction or not: BEGIN and ROLLBACK would be two round trips for nothing.
        if self.is_sqlite:
            return self.engine.execution_options(read_only=True)
        return self._single


def _read_json(text: str) -> object:
    # json.loads looks for space around it first, which takes longer than to read it.
    return _decode(text)[0]


def _postgres(url: URL, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        json_deserializer=_read_json,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POSTGRES_COMMAND_SECONDS,
        # A statement is prepared once per connection: rather few that know them all.
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={
            "timeout": POSTGRES_CONNECT_SECONDS,
            # A database that hangs must not hang the worker.
            "command_timeout": POSTGRES_COMMAND_SECONDS,
        },
    )
    event.listen(engine.sync_engine, "checkout", _replace_if_gone)
    return engine


def _replace_if_gone(connection: DBAPIConnection, *_: object) -> None:
    """Let a server's restart cost a look at a socket, not a request.

    SQLAlchemy's own ping is three round trips before every statement. Nothing is to be
    read from an idle connection unless its other end has closed it.
    """
    driver: Any = connection.driver_connection
    if driver.is_closed() or _is_readable(driver._transport):  # noqa: SLF001
        raise InvalidatePoolError


def _is_readable(transport: Transport) -> bool:
    waiting = select.poll()
    waiting.register(transport.get_extra_info("socket"), select.POLLIN)
    return bool(waiting.poll(0))


def _sqlite(url: URL, pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        json_deserializer=_read_json,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,  # an error's text ends up in logs
        connect_args={"timeout": SQLITE_BUSY_SECONDS, "async_creator_fn": open_file},
    )
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once.

    A transaction that reads first and asks for the lock later fails, or with the
    driver's own BEGIN silently loses its update.
    """
    options = connection.get_execution_options()
    if not options.get("autocommit", False):
        read_only = options.get("read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


_GONE: Final = (OSError, TimeoutError, InterfaceError, OperationalError)
_ALL_IN_USE: Final = "every database connection of this process is in use"

# Postgres says more finely than by exception what only time or an operator can mend:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_GONE_STATES: Final = (
    "08",  # connection
    "25006",  # read-only: a standby after a failover
    "28",  # login
    "3D",  # no such database
    "40",  # rolled back: serialization, deadlock
    "53",  # out of memory, disk or connections
    "55P03",  # lock not available
    "57",  # shutting down, starting up, cancelled
    "58",  # the machine's own errors
)


@dataclass(slots=True)
class Progress:
    """How far a use of the database got."""

    may_be_written: bool = False

    def lost(self) -> StoreUnavailable:
        """Make the error that says what is known of it."""
        return WriteUnknown() if self.may_be_written else StoreUnavailable()


@contextmanager
def unavailable() -> Iterator[Progress]:
    """Raise StoreUnavailable where the database does not answer, and mistakes as such.

    WriteUnknown once it may have written. The driver's text can hold the address and
    the user, so none of it goes on.
    """
    progress = Progress()
    try:
        yield progress
    except PoolTimeout as error:  # no outage: there is more to do than we keep up with
        raise StoreUnavailable(_ALL_IN_USE) from error
    except _GONE as error:
        raise progress.lost() from error
    except DBAPIError as error:
        if not _is_gone(error):
            raise
        raise progress.lost() from error


def _is_gone(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None) or ""
    damaged = type(error) is DatabaseError  # SQLite: not a database, or malformed
    return error.connection_invalidated or damaged or state.startswith(_GONE_STATES)
