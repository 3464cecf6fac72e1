"""Run migrations through the async engine, on either database."""

import asyncio
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, Connection, event, pool
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.store.db.engine import normalise_url
from app.store.db.types import UtcDateTime
from app.store.tables import metadata

ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(7041776)"
"""Several workers may start at once; a number that no other program here locks."""

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '10s'"
"""A migration that waits for a lock would make every other statement wait too."""

SQLITE_WAIT_SECONDS = 60
"""How long one process waits for another that migrates the same file."""


def database_url() -> URL:
    """Take the caller's database, or the environment's for alembic's own commands."""
    if (url := context.config.attributes.get("url")) is not None:
        return url  # type: ignore[no-any-return]
    from app.settings import Settings

    return normalise_url(Settings().database_url.get_secret_value())


def render_item(
    kind: str, item: Any, autogen_context: AutogenContext
) -> str | Literal[False]:
    """Write our column types in new revisions by their names."""
    names = {UtcDateTime: "UtcDateTime", JSON: "Json"}
    if kind == "type" and type(item) in names:
        name = names[type(item)]
        autogen_context.imports.add(f"from app.store.db.types import {name}")
        return name if name == "Json" else f"{name}()"
    return False


def run(connection: Connection) -> None:
    """Migrate over an open connection: one process at a time, all or nothing."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=render_item,
        compare_type=True,
        transactional_ddl=True,  # SQLite's too: see sqlite_engine
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(ONE_AT_A_TIME)
            connection.exec_driver_sql(LOCK_TIMEOUT)
        context.run_migrations()


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


async def main() -> None:
    """Open the database and migrate it."""
    url = database_url()
    make = sqlite_engine if url.get_backend_name() == "sqlite" else create_async_engine
    engine = make(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


if context.is_offline_mode():
    raise SystemExit("offline mode is not supported: run against a database")
asyncio.run(main())
