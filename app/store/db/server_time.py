"""The clock of the database's server, beside ours; SQLite has none."""

from datetime import datetime

from sqlalchemy import TIMESTAMP, ColumnElement, func


def database_time() -> ColumnElement[datetime]:
    """Return Postgres' own time, the same throughout a statement.

    So an index can be searched by it.
    """
    return func.statement_timestamp(type_=TIMESTAMP(timezone=True))
