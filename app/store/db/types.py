"""Column types that behave alike on both databases, and the server's time."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    TIMESTAMP,
    ColumnElement,
    DateTime,
    Text,
    and_,
    func,
    literal,
    select,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine

AFTER_ALL: Final = datetime(9000, 1, 1, tzinfo=UTC)

Row = Mapping[Any, Any]
"""A row as ``mappings()`` gives it: values by column name."""


class JsonValue(TypeDecorator[Any]):
    """JSON; NULL for None."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use jsonb on Postgres."""
        if dialect.name != "postgresql":
            return dialect.type_descriptor(JSON(none_as_null=True))
        # Imported here, as SQLite needs none of Postgres' dialect: 20 ms of a start.
        from sqlalchemy.dialects.postgresql import JSONB

        return dialect.type_descriptor(JSONB(none_as_null=True))

    def coerce_compared_value(
        self, op: OperatorType | None, value: object
    ) -> TypeEngine[Any]:
        """Compare as JSON does."""
        return self.impl_instance.coerce_compared_value(op, value)


Json = JsonValue(none_as_null=True)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in and out; SQLite, which has no time zones, stores it naive.

    A row has many times. Each is converted by one plain function, instead of
    SQLAlchemy's three hooks per value.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use timestamptz on Postgres."""
        return dialect.type_descriptor(DateTime(timezone=dialect.name != "sqlite"))

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """Refuse naive times."""
        return _to_text if dialect.name == "sqlite" else _to_utc

    def result_processor(
        self, dialect: Dialect, _coltype: object
    ) -> Callable[[Any], Any] | None:
        """Add the zone on SQLite; Postgres' times are aware already."""
        return _from_text if dialect.name == "sqlite" else None


def _to_utc(value: datetime | None) -> datetime | None:
    if value is None or value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise ValueError("a time without an offset reached the database")
    return value.astimezone(UTC)


def _to_text(value: datetime | None) -> str | None:
    if (utc := _to_utc(value)) is None:
        return None
    # As SQLAlchemy's own type writes it. All texts have one length, so they sort.
    return utc.isoformat(" ", "microseconds").removesuffix("+00:00")


def _from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(f"{value}+00:00")


def database_time() -> ColumnElement[datetime]:
    """Return Postgres' time; constant in a statement, so an index can be used."""
    return func.statement_timestamp(type_=TIMESTAMP(timezone=True))


def unseen(value: str | datetime | ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a value that Postgres' planner does not look at.

    For statements whose planning takes longer than their run: Postgres keeps one plan
    for all values if those with values seem no cheaper.
    """
    if isinstance(value, ColumnElement):
        given = value
    else:
        kind = UtcDateTime() if isinstance(value, datetime) else Text()
        given = literal(value, kind)
    return select(given).scalar_subquery()


def unseen_since(
    column: ColumnElement[datetime], moment: datetime
) -> ColumnElement[bool]:
    """Match what is not before a moment, unseen.

    It has an end, if a late one: without one, Postgres takes it for a third of the
    table, and would read all of it; with one for a small part.
    """
    return and_(column >= unseen(moment), column < unseen(AFTER_ALL))
