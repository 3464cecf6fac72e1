"""The clock of the database's server; SQLite has none."""

from datetime import datetime

from sqlalchemy import TIMESTAMP, ColumnElement, func


def database_time() -> ColumnElement[datetime]:
    """Return Postgres' time, which is constant within a statement.

    So an index can be searched by it.
    """
    return func.statement_timestamp(type_=TIMESTAMP(timezone=True))
