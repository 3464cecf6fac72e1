"""Fresh, migrated databases, one per test, in milliseconds.

The migrations run once per session into a template; every test gets a copy of it: a
copied file on SQLite, `CREATE DATABASE … TEMPLATE` on Postgres.
"""

import asyncio
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import asyncpg
from sqlalchemy import make_url

from tests.support.shortages import BESIDE_THE_TEST

Upgrade = Callable[[str], None]


class SqliteDatabases:
    """Copy one migrated file."""

    def __init__(self, directory: Path, *, upgrade: Upgrade) -> None:
        self._template = directory / "template.db"
        # A migration runs an event loop of its own: not on a thread that has one.
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(upgrade, sqlite_url(self._template)).result()

    def create(self, directory: Path) -> str:
        """Put a fresh database into `directory` and return its URL."""
        copy = directory / "scheduler.db"
        shutil.copyfile(self._template, copy)
        return sqlite_url(copy)


class PostgresDatabases:
    """Copy one migrated database of the server behind `server_url`.

    The next copy is made, and the last one removed, while a test runs.
    """

    def __init__(self, server_url: str, *, upgrade: Upgrade) -> None:
        self._server_url = postgres_url(server_url)
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._drops: list[Future[None]] = []
        self._template = self._thread.submit(self._make_template, upgrade).result()
        self._spare = self._thread.submit(self._copy)

    def create(self) -> str:
        """Return the URL of a fresh database."""
        spare, self._spare = self._spare, self._thread.submit(self._copy)
        return spare.result()

    def drop(self, url: str) -> None:
        """Remove a database in time, whoever is still connected."""
        self._drops.append(self._thread.submit(self._drop, url))

    def close(self) -> None:
        """Remove everything, and raise what went wrong while doing so."""
        self.drop(self._spare.result())
        self.drop(self._template)
        self._thread.shutdown()
        for drop in self._drops:
            drop.result()

    def _make_template(self, upgrade: Upgrade) -> str:
        url = self._make("template")
        upgrade(url)
        # Nobody may be connected to a template while it is copied.
        self._execute(f"ALTER DATABASE {_name(url)} ALLOW_CONNECTIONS false")
        return url

    def _copy(self) -> str:
        return self._make("test", f"TEMPLATE {_name(self._template)}")

    def _make(self, prefix: str, options: str = "") -> str:
        # Several test runs may share one server by TEST_DATABASE_URL.
        name = f"{prefix}_{uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} {options}")
        url = make_url(self._server_url).set(database=name)
        return url.render_as_string(hide_password=False)

    def _drop(self, url: str) -> None:
        self._execute(f"DROP DATABASE {_name(url)} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with BESIDE_THE_TEST:
            asyncio.run(_execute(self._server_url, statement))


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


async def _execute(url: str, statement: str) -> None:
    dsn = make_url(url).set(drivername="postgresql")
    connection = await asyncpg.connect(dsn.render_as_string(hide_password=False))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _name(url: str) -> str:
    return make_url(url).database or ""
