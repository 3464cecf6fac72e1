"""What every table shares: the metadata, names of constraints, storage options."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import MetaData, TextClause, text

# Names that do not depend on the database: migrations can then drop what they made.
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
"""A queue's dead rows lie where each claim begins: they go soon."""

ROOMY: Final = {"fillfactor": "50"}
"""Rows that are overwritten find room on their page."""


def one_of(column: str, values: Iterable[StrEnum]) -> str:
    """Write the CHECK that a column holds one of an enum's values."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


def partly(condition: str | TextClause) -> dict[str, Any]:
    """Keep an index to the rows that fit, on both databases."""
    where = text(condition) if isinstance(condition, str) else condition
    return {"postgresql_where": where, "sqlite_where": where}
