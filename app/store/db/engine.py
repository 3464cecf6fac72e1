"""The database engine, and what makes both databases behave alike."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    nullcontext,
)
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from sqlalchemy import (
    ColumnElement,
    Executable,
    Insert,
    Row,
    RowMapping,
    Select,
    Table,
    any_,
    case,
    event,
    func,
    select,
)
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from app.domain.events import Render
from app.machine.callers import shared_context
from app.machine.descriptors import is_readable
from app.store.db.outage import BAD_SESSION_STATES, Trouble, state_of, unavailable
from app.store.db.postgres.address import normalise_url, postgres_address
from app.store.db.postgres.identity import Lineage
from app.store.db.postgres.pool import RETURNED, SparingPool
from app.store.db.prepared import Prepared
from app.store.db.shares import Shares

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

    from app.store.db.postgres.session import Session, Sessions

__all__ = ["Database", "normalise_url"]

T = TypeVar("T")

POOL_SIZE: Final = 10
SQLITE_BUSY_SECONDS: Final = 7
"""How long SQLite waits for another process's lock; this cannot be interrupted."""

POSTGRES_COMMAND_SECONDS: Final = 15
OLDEST_SESSION_SECONDS: Final = 600
"""The age at which a session is replaced: the host name may have moved."""

ASKED_AFTER_SECONDS: Final = 20.0
"""A session that was idle for so long is pinged before it is used."""

ANSWER_SECONDS: Final = 2.0
HURRIED_SECONDS: Final = 3.0
CLOSE_SECONDS: Final = 2.0

HINTS: Final = "hints"
"""The connection option that tells whether idle workers are woken by NOTIFY."""

RENDER: Final = "render_event"
"""The connection option that holds the renderer of events' bodies."""


class Database:
    """The engine and its kinds of transactions."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = POOL_SIZE,
        schema: str | None = None,
        render: Render | None = None,
        mark_commit: str | None = None,
        hints: bool = True,
    ) -> None:
        """Take the settings and open nothing yet; ``schema`` is that of our tables.

        ``render`` renders events' bodies; without it events have none. With
        ``mark_commit``, marks are committed with this synchronous_commit.
        ``hints``: NOTIFY wakes idle workers, if it is Postgres. Raises
        sqlalchemy.exc.ArgumentError or ValueError for an invalid URL.
        """
        self.url = normalise_url(url)
        self.schema = schema
        self._mark_commit = mark_commit
        self.pool_size = pool_size
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.has_hints = hints and not self.is_sqlite
        self.sessions = None if self.is_sqlite else open_sessions(self.url, schema)
        if self.sessions is None:
            engine, why_not = _sqlite(self.url, pool_size)
            self.trouble = Trouble(partial(why_not, self.url.database or ""))
        else:
            engine = _postgres(self.sessions, pool_size)
            self.trouble = Trouble(None)
        self.engine = engine.execution_options(
            **{RENDER: render, HINTS: self.has_hints}
        )
        self._single = self._autocommitting()
        self._reader = self._reading()
        self._writer = asyncio.Lock()
        self._shares = Shares(pool_size, patience=POSTGRES_COMMAND_SECONDS)
        self._work = set[asyncio.Task[None]]()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that commits at its end.

        Raises StoreUnavailable when the database does not answer, and WriteUnknown
        when it does not answer to COMMIT.
        """
        async with self._shares.lent(), self._one_writer():
            with unavailable(self.trouble, writes=True) as progress:
                async with self.engine.begin() as connection:
                    yield connection
                    progress.may_be_written = True

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that only reads; it waits for no writer.

        Raises StoreUnavailable when the database does not answer.
        """
        async with self._shares.lent():
            with unavailable(self.trouble, writes=False):
                async with self._reader.connect() as connection:
                    yield connection

    async def rows(
        self, statement: Executable, values: Mapping[str, Any] | None = None
    ) -> Sequence[RowMapping]:
        """Read what one statement finds; raises StoreUnavailable."""
        async with self.read() as connection:
            return (await connection.execute(statement, values)).mappings().all()

    async def row(self, statement: Executable) -> RowMapping | None:
        """Read the one row that a statement finds, if any; raises StoreUnavailable."""
        async with self.read() as connection:
            return (await connection.execute(statement)).mappings().one_or_none()

    async def value(self, statement: Select[T]) -> T:
        """Read the one value that a statement gives; raises StoreUnavailable."""
        async with self.read() as connection:
            return (await connection.execute(statement)).scalar_one()

    @asynccontextmanager
    async def single(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for one statement, which commits on its own.

        Saves the round trips of BEGIN and COMMIT. Raises StoreUnavailable when the
        database cannot be reached, and WriteUnknown when it does not answer.
        """
        async with self._shares.lent(), self._one_writer():
            with unavailable(self.trouble, writes=True) as progress:
                async with self._single.connect() as connection:
                    progress.may_be_written = True
                    yield connection

    async def run(
        self,
        prepared: Prepared,
        values: Mapping[str, Any],
        *,
        writes: bool = True,
        before: Callable[[], object] | None = None,
    ) -> Sequence[Row[Any]]:
        """Run a statement that commits on its own; raises as ``single`` does.

        ``before`` is called once there is a session. Whatever only reads raises no
        WriteUnknown.
        """
        alone = self._one_writer() if writes else nullcontext()
        async with self._shares.lent(), alone:
            with unavailable(self.trouble, writes=writes) as progress:

                def begin() -> None:
                    if before is not None:
                        before()
                    progress.may_be_written = writes

                if not self.is_sqlite:
                    plain = self.engine.sync_engine
                    return await prepared.alone(plain, values, begin=begin)
                engine = self._single if writes else self._reader
                async with engine.connect() as connection:
                    begin()
                    return await prepared.on(connection, values)

    async def mark(
        self, prepared: Prepared, values: Mapping[str, Any]
    ) -> Sequence[Row[Any]]:
        """Write a mark, by one statement, that is durable before an init is sent.

        Raises as ``write`` and ``single`` do.
        """
        if self.is_sqlite or self._mark_commit is None:
            return await self.run(prepared, values)
        async with self.marking() as connection:
            return await prepared.on(connection, values)

    @asynccontextmanager
    async def marking(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction for such a mark and what belongs to it."""
        async with self.write() as connection:
            if not self.is_sqlite and self._mark_commit is not None:
                await connection.execute(select(_commit_as(self._mark_commit)))
            yield connection

    @property
    def lazily(self) -> tuple[ColumnElement[Any], ...]:
        """Return a RETURNING list's end that lets a commit not wait for the disk.

        A mark that is committed later is on the disk only after it.
        """
        return self._committing_as("off")

    def lazily_unless(
        self, condition: ColumnElement[bool]
    ) -> tuple[ColumnElement[Any], ...]:
        """Return the same for a commit that waits for the disk under a condition."""
        durable = func.current_setting("synchronous_commit")
        return self._committing_as(case((condition, durable), else_="off"))

    def _committing_as(
        self, level: str | ColumnElement[str]
    ) -> tuple[ColumnElement[Any], ...]:
        if self.sessions is None:
            return ()
        # A sub-query is evaluated once, not for each row.
        return (select(_commit_as(level)).scalar_subquery().label("lazily"),)

    async def durably(self, connection: AsyncConnection) -> None:
        """Let a transaction with a lazy statement wait for the disk after all."""
        if self.sessions is not None:
            await connection.execute(select(_commit_as(self.sessions.durability)))

    @property
    def lineage(self) -> Lineage | None:
        """Return which servers were met; None for SQLite, which is a file."""
        return None if self.sessions is None else self.sessions.lineage

    def insert_new(self, table: Table) -> Insert:
        """Make an INSERT that skips rows that exist already."""
        return upsert(table, is_sqlite=self.is_sqlite).on_conflict_do_nothing()

    def unlocked(self, rows: Select[Any]) -> ColumnElement[bool]:
        """Lock the rows that a select of their key finds, and match them.

        Those that another worker has locked are skipped. For the WHERE of an UPDATE or
        DELETE, which must repeat the select's conditions: another transaction may have
        changed a row before it was locked.
        """
        return self._matching(rows.with_for_update(skip_locked=True))

    def locked_in_order(self, rows: Select[Any]) -> ColumnElement[bool]:
        """Do the same one after the other, and wait for those that are locked.

        Two transactions that both do so never wait for each other.
        """
        return self._matching(rows.with_for_update())

    def _matching(self, rows: Select[Any]) -> ColumnElement[bool]:
        (key,) = rows.selected_columns
        # A CTE, because Postgres may run a LIMIT subquery again inside the UPDATE's
        # join and then take more rows than the limit (Oban, engines/basic.ex). SQLite's
        # compiler drops FOR UPDATE; its single writer needs no row locks.
        found = rows.cte("unlocked")
        keys = select(found.c[key.name])
        if self.is_sqlite:
            return key.in_(keys)
        # Postgres looks up each key of an array in the index. It would plan a join by
        # the table's statistics, which lag behind a busy queue, and read all rows.
        return key == any_(func.array(keys.scalar_subquery()))

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start work that ``close`` waits for.

        An interrupted statement can leave SQLite locked.
        """
        task = asyncio.create_task(work, context=shared_context())
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    def hurry(self) -> None:
        """Shorten every wait, as the program is about to end.

        A statement that takes seconds is broken off; its caller gets StoreUnavailable.
        """
        if self.sessions is not None:
            self.sessions.hurry(HURRIED_SECONDS)
        else:
            event.listen(self.engine.sync_engine, "checkout", _wait_shortly)

    async def close(self) -> None:
        """Close every connection; aiosqlite's threads end only this way."""
        if self._work:
            patience = SQLITE_BUSY_SECONDS if self.is_sqlite else HURRIED_SECONDS
            await asyncio.wait(self._work, timeout=patience)
        if self.sessions is not None:
            await self.sessions.close(CLOSE_SECONDS)
        await self.engine.dispose()

    def _one_writer(self) -> AbstractAsyncContextManager[object]:
        """Queue this process's writers on SQLite, which allows one at a time.

        SQLite's busy handler would let them sleep and retry at random.
        """
        return self._writer if self.is_sqlite else nullcontext()

    def _autocommitting(self) -> AsyncEngine:
        if self.is_sqlite:
            return self.engine.execution_options(autocommit=True)
        return self.engine.execution_options(isolation_level="AUTOCOMMIT")

    def _reading(self) -> AsyncEngine:
        # At READ COMMITTED each statement has its own snapshot anyway: BEGIN and
        # ROLLBACK would be two round trips for nothing.
        if self.is_sqlite:
            return self.engine.execution_options(read_only=True)
        return self._single


class Store:
    """Reads and writes one kind of rows of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database


def upsert(table: Table, *, is_sqlite: bool) -> "postgresql.Insert | sqlite.Insert":
    """Make an INSERT that can say what happens to a row that is there already."""
    # Imported here, as Postgres' dialect is 20 ms of a start on SQLite.
    if is_sqlite:
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def _commit_as(level: str | ColumnElement[str]) -> ColumnElement[Any]:
    return func.set_config("synchronous_commit", level, True)  # this transaction's


def open_sessions(
    url: URL, schema: str | None, *, command_seconds: float | None = None
) -> "Sessions":
    """Prepare sessions as the URL says; raises ValueError that names a parameter.

    ``command_seconds`` is how long a statement may take; None: the service's default.
    """
    # Imported here, as SQLite needs no asyncpg: 12 ms of a start.
    from app.store.db.postgres.session import Sessions

    return Sessions(
        postgres_address(url, schema=schema),
        # A database that hangs must not hang the worker.
        command_seconds=command_seconds or POSTGRES_COMMAND_SECONDS,
    )


def _postgres(sessions: "Sessions", pool_size: int) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=sessions.connect,
        json_deserializer=msgspec.json.decode,
        poolclass=SparingPool,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POSTGRES_COMMAND_SECONDS,
        pool_recycle=OLDEST_SESSION_SECONDS,
        # Statements are prepared once per connection: a few connections are better.
        pool_use_lifo=True,
        hide_parameters=True,
    )
    watch(engine.sync_engine, sessions)
    return engine


def watch(engine: Engine, sessions: "Sessions") -> None:
    """Check sessions when they are used, returned and found broken."""
    borrowed = sessions.borrowed

    def lent(
        connection: DBAPIConnection, record: ConnectionPoolEntry, _: object
    ) -> None:
        now, session = time.monotonic(), connection.driver_connection
        _replace_if_gone(connection, session, now - record.info.get(RETURNED, now))
        if sessions.may_be_promoted(session):
            _look_again(connection, sessions)
        borrowed[session] = now

    def returned(connection: DBAPIConnection | None, _: ConnectionPoolEntry) -> None:
        if connection is not None:
            borrowed.pop(connection.driver_connection, None)

    event.listen(engine, "checkout", lent)
    event.listen(engine, "checkin", returned)
    event.listen(engine, "handle_error", _replace_if_bad)


def _replace_if_bad(context: ExceptionContext) -> None:
    """Replace a session that went bad, and all older ones."""
    if state_of(context.original_exception).startswith(BAD_SESSION_STATES):
        context.is_disconnect = True


def _replace_if_gone(
    connection: DBAPIConnection, session: "Session", idle_seconds: float
) -> None:
    """Detect a server's restart by a look at the socket, at no round trip.

    SQLAlchemy's own ping is three round trips before every statement. An idle socket is
    readable only if its peer has closed it. Only a session that was idle for long is
    pinged, since a firewall in between may have dropped it.
    """
    transport = session._transport  # noqa: SLF001  its socket is shown nowhere else
    if session.is_closed() or is_readable(transport.get_extra_info("socket")):
        raise InvalidatePoolError
    if idle_seconds > ASKED_AFTER_SECONDS:
        run_async: Any = connection.run_async
        run_async(_ask)


def _look_again(connection: DBAPIConnection, sessions: "Sessions") -> None:
    """Learn of a standby's promotion, which keeps its sessions, before it is used."""
    run_async: Any = connection.run_async
    try:
        run_async(sessions.look_again)
    except Exception as error:
        raise InvalidatePoolError from error


async def _ask(session: "Session") -> None:
    try:
        await session.execute("", timeout=ANSWER_SECONDS)
    except Exception as error:
        session.terminate()  # closing it properly would hang, too
        raise InvalidatePoolError from error


def _sqlite(
    url: URL, pool_size: int
) -> tuple[AsyncEngine, Callable[[str], str | None]]:
    from app.store.db.sqlite_file import open_file, why_not

    engine = create_async_engine(
        url,
        json_deserializer=msgspec.json.decode,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,  # an error's text ends up in logs
        connect_args={"timeout": SQLITE_BUSY_SECONDS, "async_creator_fn": open_file},
    )
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine, why_not


def _wait_shortly(connection: DBAPIConnection, *_: object) -> None:
    """Shorten SQLite's wait for locks."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=1000")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once.

    A transaction that reads first and takes the lock later fails, or with the driver's
    own BEGIN silently loses its update.
    """
    options = connection.get_execution_options()
    if not options.get("autocommit", False):
        read_only = options.get("read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")
