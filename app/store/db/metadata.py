"""What all tables share: metadata, constraint names, storage options."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import DDL, MetaData, Table, TextClause, event, text

# The same names on both databases, so that migrations can drop their constraints.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING_CONVENTION)

QUEUE: Final = {
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_analyze_scale_factor": "0.01",
}
"""Each claim scans past a queue's dead rows, so vacuum them early."""

ROOMY: Final = {"fillfactor": "50"}
"""Leave room on each page for rows that are updated."""


_DISTINCT: Final = {"postgresql_with": {"deduplicate_items": "off"}}


def options(**of_dialects: object) -> dict[str, Any]:
    """Note the options of an index or table, for ``set_options``.

    Passed to it directly, they would load the dialect of a database that is not used.
    """
    return {"info": of_dialects}


def set_options() -> None:
    """Set what ``options`` noted, for whoever makes or compares tables."""
    for table in metadata.tables.values():
        table.dialect_kwargs.update(table.info)
        for index in table.indexes:
            index.dialect_kwargs.update(index.info)


def distinct(**more: object) -> dict[str, Any]:
    """Return the options of an index with distinct keys: Postgres can merge none.

    What looks alike in it are versions of one row, and to merge those was a tenth of
    Postgres' work for a post. ``make_distinct`` gives it to a constraint's index.
    """
    return options(**_DISTINCT, **more)


def one_of(column: str, values: Iterable[StrEnum]) -> str:
    """Return the CHECK that a column holds one of an enum's values."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


def make_distinct(table: Table, *constraints: str) -> None:
    """Give the indexes of a table's constraints the option of ``distinct``."""
    for name in constraints:
        change: Any = DDL(  # type: ignore[no-untyped-call]  # it has no types
            f"ALTER INDEX {name} SET (deduplicate_items = off)"
        )
        event.listen(table, "after_create", change.execute_if(dialect="postgresql"))


def partly(condition: str | TextClause, *, is_distinct: bool = False) -> dict[str, Any]:
    """Return the options of a partial index for both databases."""
    where = text(condition) if isinstance(condition, str) else condition
    make = distinct if is_distinct else options
    return make(postgresql_where=where, sqlite_where=where)
