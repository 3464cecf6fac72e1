"""Run migrations through the async engine, on either database."""

import asyncio
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, Connection, pool
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine

from app.store.engine import normalise_url
from app.store.tables import metadata
from app.store.types import UtcDateTime

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '10s'"
"""A migration that waits for a lock would make every other statement wait too."""


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
        autogen_context.imports.add(f"from app.store.types import {name}")
        return name if name == "Json" else f"{name}()"
    return False


def run(connection: Connection) -> None:
    """Migrate over an open connection."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        render_item=render_item,
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(LOCK_TIMEOUT)
        context.run_migrations()


async def main() -> None:
    """Open the database and migrate it."""
    engine = create_async_engine(database_url(), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


if context.is_offline_mode():
    raise SystemExit("offline mode is not supported: run against a database")
asyncio.run(main())
