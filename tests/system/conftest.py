"""Sites: on a database of each kind, or on SQLite where that makes no difference."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import URL, make_url

from tests.system.programs import Programs
from tests.system.site import Site, new_site


@pytest.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a site; the test runs once on each database."""
    async with new_site(database_url, tmp_path) as site:
        yield site


@pytest.fixture
async def sqlite_site(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a site on SQLite."""
    async with new_site(sqlite_url, tmp_path) as site:
        yield site


@pytest.fixture
async def postgres_site(postgres_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a site on Postgres."""
    async with new_site(postgres_url, tmp_path) as site:
        yield site


@pytest.fixture
async def programs(tmp_path: Path) -> AsyncIterator[Programs]:
    """Give programs without any setting, in an empty folder."""
    programs = Programs(tmp_path, {})
    yield programs
    await programs.close()


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give a database without a table, spelt as operators spell it."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/fresh.db"
        return
    shared: str = request.getfixturevalue("shared_server_url")
    server = make_url(shared).set(drivername="postgresql")
    name = f"empty_{uuid4().hex}"
    asyncio.run(_execute(server, f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    asyncio.run(_execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(server: URL, statement: str) -> None:
    connection = await asyncpg.connect(server.render_as_string(hide_password=False))
    await connection.execute(statement)
    await connection.close()
