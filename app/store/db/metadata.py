"""What all tables share: metadata, constraint names, storage options."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import MetaData, TextClause, text

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


def one_of(column: str, values: Iterable[StrEnum]) -> str:
    """Return the CHECK that a column holds one of an enum's values."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


def partly(condition: str | TextClause) -> dict[str, Any]:
    """Return the options of a partial index for both databases."""
    where = text(condition) if isinstance(condition, str) else condition
    return {"postgresql_where": where, "sqlite_where": where}
