"""Which revision of migrations/ a database is at."""

from functools import cache

from sqlalchemy import column, inspect, select, table
from sqlalchemy.engine import Connection

from app.store.db.engine import Database
from app.store.db.migrate import newest_revision

_VERSIONS = "alembic_version"


async def is_migrated(database: Database) -> bool:
    """Tell whether the database has the tables this program was written for.

    A later revision has them too, since revisions only add: while a new version is
    rolled out, the old one goes on beside it.
    """
    async with database.read() as connection:
        found = await connection.run_sync(_revisions)
    return max(found, default="") >= _newest()


@cache  # read from files that do not change while we run
def _newest() -> str:
    return newest_revision()


def _revisions(connection: Connection) -> set[str]:
    if not inspect(connection).has_table(_VERSIONS):
        return set()
    versions = table(_VERSIONS, column("version_num"))
    return set(connection.execute(select(versions.c.version_num)).scalars())
