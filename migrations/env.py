"""Run migrations through the async engine, on either database."""

import asyncio
import time
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import (
    Connection,
    column,
    event,
    insert,
    inspect,
    pool,
    select,
    table,
    update,
)
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.store.db.engine import open_sessions, watch
from app.store.db.migrate import FORMER_VERSION_TABLE, LAST_FORMER, VERSION_TABLE
from app.store.db.postgres.address import normalise_url
from app.store.db.types import JsonValue, UtcDateTime
from app.store.tables import metadata

ONE_AT_A_TIME = "SELECT pg_try_advisory_xact_lock(7041776)"
"""Several workers may start at once; a number that no other program here locks.

Asked for again and again: an index that is made beside writers waits for whoever sees
an older state of the database, and who waits within a statement does.
"""

ASK_AGAIN_SECONDS = 0.2

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '10s'"
"""A migration that waits for a lock would make every other statement wait too."""

former = table(FORMER_VERSION_TABLE, column("version_num"))
current = table(VERSION_TABLE, column("version_num"))

LONGEST_STATEMENT_SECONDS = 86_400
"""An index over very many jobs takes its time."""

SQLITE_WAIT_SECONDS = 60
"""How long one process waits for another that migrates the same file."""


def target() -> tuple[URL, str | None]:
    """Take the caller's database and schema, or the environment's for alembic's own."""
    if (url := context.config.attributes.get("url")) is not None:
        return url, context.config.attributes["schema"]
    from app.settings import Settings

    settings = Settings()
    url = normalise_url(settings.database_url.get_secret_value())
    return url, settings.database_schema


def render_item(
    kind: str, item: Any, autogen_context: AutogenContext
) -> str | Literal[False]:
    """Write our column types in new revisions by their names."""
    names = {UtcDateTime: "UtcDateTime", JsonValue: "Json"}
    if kind == "type" and type(item) in names:
        name = names[type(item)]
        autogen_context.imports.add(f"from app.store.db.types import {name}")
        return name if name == "Json" else f"{name}()"
    return False


def run(connection: Connection) -> None:
    """Migrate over an open connection: one process at a time, all or nothing."""
    context.configure(
        connection=connection,
        version_table=VERSION_TABLE,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=render_item,
        compare_type=True,
        transactional_ddl=True,  # SQLite's too: see sqlite_engine
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            while not connection.exec_driver_sql(ONE_AT_A_TIME).scalar():
                # Takes the place of the question, whose snapshot would be held on to.
                connection.exec_driver_sql(LOCK_TIMEOUT)
                time.sleep(ASK_AGAIN_SECONDS)
            connection.exec_driver_sql(LOCK_TIMEOUT)
        former = former_revision(connection)
        if former is not None:
            move_version(connection, former)
        context.run_migrations()
        if former is not None:
            serve_older_programs(connection)


def former_revision(connection: Connection) -> str | None:
    """Return what the former table says, if it is ours and not another program's."""
    tables = set(inspect(connection).get_table_names())
    if FORMER_VERSION_TABLE not in tables or "schedule_jobs" not in tables:
        return None
    found: list[str] = list(connection.execute(select(former.c.version_num)).scalars())
    ours = {each.revision for each in context.script.walk_revisions()}
    return found[0] if len(found) == 1 and found[0] in ours else None


def move_version(connection: Connection, revision: str) -> None:
    """Write the revision into our own table, once."""
    if inspect(connection).has_table(VERSION_TABLE):
        return
    connection.exec_driver_sql(
        f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL,"
        f" CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
    )
    connection.execute(insert(current).values(version_num=revision))


def serve_older_programs(connection: Connection) -> None:
    """Keep the former table as they know it: at work beside us, they look there."""
    revision = connection.execute(select(current.c.version_num)).scalar()
    connection.execute(
        update(former).values(version_num=min(revision or LAST_FORMER, LAST_FORMER))
    )


def sqlite_engine(url: URL, **options: Any) -> AsyncEngine:
    """Open SQLite so that the write lock is held from before the first look.

    Not the service's own engine: foreign keys must be off, or a batch operation, which
    copies a table and drops the old one, would delete what refers to it.
    https://www.sqlite.org/lang_altertable.html#otheralter
    """
    engine = create_async_engine(
        url, connect_args={"timeout": SQLITE_WAIT_SECONDS}, **options
    )

    @event.listens_for(engine.sync_engine, "connect")
    def leave_begin_to_us(connection: DBAPIConnection, _: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


async def postgres_engine(url: URL, schema: str | None) -> AsyncEngine:
    """Open Postgres as the service does, with the schema there."""
    sessions = open_sessions(url, schema, command_seconds=LONGEST_STATEMENT_SECONDS)
    if schema is not None:
        session = await sessions.connect()
        if await session.fetchval("SELECT current_schema() IS NULL"):
            await session.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        await session.close()
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=sessions.connect,
        poolclass=pool.NullPool,
    )
    watch(engine.sync_engine, sessions)
    return engine


async def main() -> None:
    """Open the database and migrate it."""
    url, schema = target()
    if url.get_backend_name() == "sqlite":
        engine = sqlite_engine(url, poolclass=pool.NullPool)
    else:
        engine = await postgres_engine(url, schema)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


if context.is_offline_mode():
    raise SystemExit("offline mode is not supported: run against a database")
asyncio.run(main())
