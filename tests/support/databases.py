"""Fresh, migrated databases, one per test, in milliseconds.

The migrations run once per session into a template; every test gets a copy of it: a
copied file on SQLite, `CREATE DATABASE … TEMPLATE` on Postgres.
"""

import asyncio
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import asyncpg
from sqlalchemy import make_url

Upgrade = Callable[[str], None]


class SqliteDatabases:
    """Copy one migrated file."""

    def __init__(self, directory: Path, *, upgrade: Upgrade) -> None:
        self._template = directory / "template.db"
        in_own_thread(lambda: upgrade(sqlite_url(self._template)))

    def create(self, directory: Path) -> str:
        """Put a fresh database into `directory` and return its URL."""
        copy = directory / "scheduler.db"
        shutil.copyfile(self._template, copy)
        return sqlite_url(copy)


class PostgresDatabases:
    """Copy one migrated database of the server behind `server_url`."""

    def __init__(self, server_url: str, *, upgrade: Upgrade) -> None:
        self._server_url = postgres_url(server_url)
        self._template = self.create_empty("template")
        in_own_thread(lambda: upgrade(self._template))
        # Nobody may be connected to a template while it is copied.
        self._execute(f"ALTER DATABASE {_name(self._template)} ALLOW_CONNECTIONS false")

    def create(self) -> str:
        """Make a fresh database and return its URL."""
        return self.create_empty("test", f"TEMPLATE {_name(self._template)}")

    def create_empty(self, prefix: str, options: str = "") -> str:
        """Make a database without tables and return its URL."""
        # Several test runs may share one server by TEST_DATABASE_URL.
        name = f"{prefix}_{uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} {options}")
        url = make_url(self._server_url).set(database=name)
        return url.render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self._execute(f"DROP DATABASE IF EXISTS {_name(url)} WITH (FORCE)")

    def close(self) -> None:
        """Remove the template."""
        self.drop(self._template)

    def _execute(self, statement: str) -> None:
        in_own_thread(lambda: asyncio.run(_execute(self._server_url, statement)))


def sqlite_url(path: Path) -> str:
    """Spell the URL of a database file."""
    return f"sqlite+aiosqlite:///{path}"


def postgres_url(url: str) -> str:
    """Spell a Postgres URL, as people write it, the way SQLAlchemy wants it."""
    return (
        make_url(url)
        .set(drivername="postgresql+asyncpg")
        .render_as_string(hide_password=False)
    )


def in_own_thread(work: Callable[[], None]) -> None:
    """Run work that starts an event loop of its own, whatever loop is current here."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(work).result()


async def _execute(url: str, statement: str) -> None:
    dsn = make_url(url).set(drivername="postgresql")
    connection = await asyncpg.connect(dsn.render_as_string(hide_password=False))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _name(url: str) -> str:
    return make_url(url).database or ""
