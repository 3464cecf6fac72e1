"""Statements that run often: compiled once, and run in one step."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Row
from sqlalchemy.engine import Connection, Dialect, Engine, IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util.concurrency import greenlet_spawn

Values = Mapping[str, Any]
_Convert = Callable[[Any], Any]


class Prepared:
    """A statement whose text and types SQLAlchemy works out once.

    On Postgres it runs on the cursor of a session that SQLAlchemy lends: ``execute``
    takes 250 µs of CPU more, whatever the statement does. The result is the same. It
    cannot have a list for IN, whose length would change the text.
    """

    def __init__(self, statement: Any) -> None:  # noqa: ANN401  any that returns rows
        self.statement = statement
        self._compiled: _Compiled | None = None

    async def on(
        self, connection: AsyncConnection, values: Values
    ) -> Sequence[Row[Any]]:
        """Run it in a transaction that is open."""
        if connection.dialect.name == "sqlite":
            return (await connection.execute(self.statement, values)).all()
        return await greenlet_spawn(self._run, connection.sync_connection, values)

    async def alone(
        self, engine: Engine, values: Values, *, begin: Callable[[], None]
    ) -> Sequence[Row[Any]]:
        """Run it on a session of Postgres where it commits by itself.

        ``begin`` is called before it is sent, and may raise.
        """
        return await greenlet_spawn(self._alone, engine, values, begin)

    def _alone(
        self, engine: Engine, values: Values, begin: Callable[[], None]
    ) -> Sequence[Row[Any]]:
        with engine.connect() as connection:
            begin()
            session: Any = connection.connection.dbapi_connection
            session.autocommit = True
            try:
                return self._run(connection, values)
            finally:
                session.autocommit = False

    def _run(self, connection: Connection, values: Values) -> Sequence[Row[Any]]:
        compiled = self._compiled
        if compiled is None:
            compiled = self._compiled = _compile(self.statement, connection.dialect)
        given = compiled.bound(values)
        cursor = connection.connection.cursor()
        if watchers := connection.dispatch.before_cursor_execute:
            watchers(connection, cursor, compiled.text, given, None, False)
        try:
            cursor.execute(compiled.text, given)
            found = cursor.fetchall()
        except BaseException as error:  # noqa: BLE001  it is raised again
            # As ``execute`` does: it wraps the error, and replaces a bad session.
            connection._handle_dbapi_exception(  # noqa: SLF001  nothing public does
                error, compiled.text, None, cursor, None
            )
        cursor.close()
        return compiled.rows(found)


class _Compiled(Struct, frozen=True):
    """A text, and how its parameters are written and its columns read."""

    text: str
    parameters: Sequence[tuple[str, Any, _Convert | None]]  # with their defaults
    columns: SimpleResultMetaData
    reads: Sequence[tuple[int, _Convert]]  # of the columns that need it, by place

    def bound(self, values: Values) -> tuple[Any, ...]:
        """Return the parameters by their place."""
        given = (
            (values.get(name, default), write)
            for name, default, write in self.parameters
        )
        return tuple(each if write is None else write(each) for each, write in given)

    def rows(self, found: Sequence[Sequence[Any]]) -> Sequence[Row[Any]]:
        """Return rows as ``execute`` does."""
        read = [self._read(row) for row in found] if self.reads else found
        return IteratorResult[Any](self.columns, iter(read)).all()

    def _read(self, row: Sequence[Any]) -> Sequence[Any]:
        values = list(row)
        for place, read in self.reads:
            values[place] = read(values[place])
        return values


def _compile(statement: Any, dialect: Dialect) -> _Compiled:  # noqa: ANN401  as above
    compiled = statement.compile(dialect=dialect)
    given = [compiled.binds[name] for name in compiled.positiontup]
    columns = statement.exported_columns
    writes = [_impl(each, dialect).bind_processor(dialect) for each in given]
    reads = [_impl(each, dialect).result_processor(dialect, None) for each in columns]
    return _Compiled(
        str(compiled),
        [
            (each.key, each.value, write)
            for each, write in zip(given, writes, strict=True)
        ],
        SimpleResultMetaData(columns.keys()),
        [(place, read) for place, read in enumerate(reads) if read is not None],
    )


def _impl(each: Any, dialect: Dialect) -> Any:  # noqa: ANN401  of any type
    return each.type.dialect_impl(dialect)
