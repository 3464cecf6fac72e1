"""What a database consists of, to the last constraint, in words that compare."""

import re

from sqlalchemy import Connection, text

from app.store.db.engine import Database

Schema = set[str]

_POSTGRES = (
    """
    SELECT format('%s.%s %s null:%s default:%s', table_name, column_name, data_type,
                  is_nullable, column_default)
    FROM information_schema.columns WHERE table_schema = 'public'
    """,
    """
    SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    """,
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'",
    """
    SELECT format('%s %s', oid::regclass, unnest(reloptions))
    FROM pg_class WHERE relnamespace = 'public'::regnamespace
    """,
)
_SQLITE = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"


async def schema_of(url: str) -> Schema:
    """Describe every column, constraint, index and setting but alembic's own."""
    database = Database(url)
    async with database.write() as connection:
        found = await connection.run_sync(_sqlite if database.is_sqlite else _postgres)
    await database.close()
    return {line for line in found if "_version" not in line}


def _postgres(connection: Connection) -> Schema:
    return {
        str(row[0]) for query in _POSTGRES for row in connection.execute(text(query))
    }


def _sqlite(connection: Connection) -> Schema:
    # Parts, because a table's constraints may stand in any order, and a column that
    # was added later stands on its neighbour's line.
    return {
        f"{name}: {line.strip().rstrip(',')}"
        for name, sql in connection.execute(text(_SQLITE))
        # A table that was copied has its name in quotation marks.
        for line in re.split(r"\n|, ", sql.replace(f'"{name}"', name))
        if line.strip(" \t)(,")
    }
