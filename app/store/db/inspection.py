"""Inspect a database: its server, revision, privileges and foreign tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field
from sqlalchemy import Connection, column, inspect, select, table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.db.engine import Database
from app.store.db.migrate import FORMER_VERSION_TABLE, VERSION_TABLE, revisions
from app.store.tables import metadata

_JOBS: Final = "schedule_jobs"

_POSTGRES: Final = text("""
    SELECT current_setting('server_version_num')::int / 10000 AS version,
        pg_encoding_to_char(encoding) AS encoding,
        pg_is_in_recovery() AS is_standby,
        current_setting('transaction_read_only') = 'on' AS is_read_only,
        current_schema()::text AS schema,
        coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,
        has_database_privilege(current_database(), 'CREATE') AS may_create_schemas,
        current_setting('synchronous_commit') AS durability,
        current_setting('max_connections')::int AS most_connections,
        current_setting('superuser_reserved_connections')::int AS reserved_connections,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
            AS used_connections
    FROM pg_database WHERE datname = current_database()
""")

_LACKING: Final = text("""
    SELECT relname::text FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'S')
    AND (relkind = 'S' AND NOT has_sequence_privilege(oid, 'USAGE')
        OR relkind = 'r' AND relname = ANY(:ours) AND NOT (
            has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
            AND has_table_privilege(oid, 'UPDATE')
            AND has_table_privilege(oid, 'DELETE')))
    ORDER BY relname
""")

_STRANGERS: Final = text("""
    SELECT DISTINCT coalesce(rolname::text, 'everybody') FROM pg_class
    CROSS JOIN LATERAL aclexplode(relacl) AS granted
    LEFT JOIN pg_roles ON pg_roles.oid = granted.grantee
    WHERE relnamespace = current_schema()::regnamespace AND relname = ANY(:ours)
    AND granted.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
    AND granted.grantee <> relowner
    AND NOT coalesce(rolsuper, false)
    AND rolname IS DISTINCT FROM current_user
    AND NOT EXISTS (
        SELECT FROM pg_auth_members JOIN pg_roles AS me ON me.oid = member
        WHERE roleid = granted.grantee AND me.rolname = current_user)
    ORDER BY 1
""")


class Postgres(Struct, frozen=True, kw_only=True):
    """What only Postgres has."""

    version: int
    encoding: str
    is_standby: bool
    is_read_only: bool
    schema: str | None
    may_create: bool
    may_create_schemas: bool
    durability: str
    most_connections: int
    reserved_connections: int
    used_connections: int
    is_pooled: bool = False
    is_hidden: bool = False  # the host hides which server it is
    lacking: Sequence[str] = ()  # tables and sequences that we have no privileges on
    strangers: Sequence[str] = ()  # roles that may change our tables


class Inspection(Struct, frozen=True, kw_only=True):
    """The findings; ``postgres`` is None on SQLite."""

    revision: str | None  # None: none of our tables exist
    is_former: bool = False  # the revision is in the former version table
    foreign_tables: Sequence[str] = ()  # another program's tables with our names
    postgres: Postgres | None = None
    folder: Path | None = field(default=None)


async def inspect_database(database: Database) -> Inspection:
    """Inspect the database without changing it; raises StoreUnavailable."""
    async with database.read() as connection:
        if database.is_sqlite:
            found = await connection.run_sync(_tables)
            return Inspection(**found, folder=Path(database.url.database or "").parent)
        first = (await connection.execute(_POSTGRES)).mappings().one()
        schema = first["schema"]
        found = await connection.run_sync(_tables) if schema else {"revision": None}
        postgres = await _more_of(connection, database, dict(first))
    return Inspection(**found, postgres=postgres)


async def _more_of(
    connection: AsyncConnection, database: Database, first: Mapping[str, Any]
) -> Postgres:
    ours = {"ours": sorted({*metadata.tables, VERSION_TABLE})}
    pooled = database.sessions is not None and database.sessions.pooled
    lacking, strangers = list[str](), list[str]()
    if first["schema"]:
        lacking = list((await connection.execute(_LACKING, ours)).scalars())
        strangers = list((await connection.execute(_STRANGERS, ours)).scalars())
    lineage = database.lineage
    return Postgres(
        **first,
        is_pooled=pooled,
        is_hidden=lineage is not None and lineage.is_hidden,
        lacking=lacking,
        strangers=strangers,
    )


def _tables(connection: Connection) -> dict[str, Any]:
    there = set(inspect(connection).get_table_names())
    if VERSION_TABLE in there:
        return {"revision": _version(connection, VERSION_TABLE)}
    if FORMER_VERSION_TABLE in there and _JOBS in there:
        version = _version(connection, FORMER_VERSION_TABLE)
        if version in revisions():
            return {"revision": version, "is_former": True}
    return {"revision": None, "foreign_tables": sorted(there & set(metadata.tables))}


def _version(connection: Connection, name: str) -> str:
    versions = table(name, column("version_num"))
    found = connection.execute(select(versions.c.version_num)).scalars()
    return max(map(str, found), default="")
