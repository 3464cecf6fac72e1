"""The tests' own databases, on a stand-in for the migrations."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.databases import PostgresDatabases, SqliteDatabases, postgres_url


def one_table(url: str) -> None:
    """Migrate, but to one table only."""
    asyncio.run(run(url, "CREATE TABLE seen (n integer)"))


async def run(url: str, statement: str) -> int | None:
    """Run one statement and return its number, if it has one."""
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            return result.scalar() if result.returns_rows else None
    finally:
        await engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def two_urls(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Give two databases of one template."""
    folder = tmp_path_factory.mktemp
    if request.param == "sqlite":
        files = SqliteDatabases(folder("template"), upgrade=one_table)
        yield files.create(folder("one")), files.create(folder("two"))
        return
    server_url = request.getfixturevalue("shared_server_url")
    databases = PostgresDatabases(server_url, upgrade=one_table)
    one, two = databases.create(), databases.create()
    yield one, two
    for url in (one, two):
        databases.drop(url)
    databases.close()


async def test_each_database_is_migrated_and_its_own(two_urls: tuple[str, str]) -> None:
    """What one test writes, no other test sees."""
    one, two = two_urls
    await run(one, "INSERT INTO seen VALUES (1)")
    assert await run(one, "SELECT count(*) FROM seen") == 1
    assert await run(two, "SELECT count(*) FROM seen") == 0


async def test_a_database_in_use_is_dropped_all_the_same(
    shared_server_url: str,
) -> None:
    """A test that forgot a connection does not spoil the ones after it."""
    databases = PostgresDatabases(shared_server_url, upgrade=one_table)
    url = databases.create()
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        databases.drop(url)
        databases.close()
        await connection.invalidate()
    await engine.dispose()
    name = make_url(url).database
    query = f"SELECT count(*) FROM pg_database WHERE datname = '{name}'"
    assert await run(postgres_url(shared_server_url), query) == 0


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_a_given_server_may_be_spelled_as_people_do(scheme: str) -> None:
    """TEST_DATABASE_URL takes any of the usual schemes and keeps its password."""
    spelled = postgres_url(f"{scheme}://me:secret@127.0.0.1:5432/postgres")
    assert spelled == "postgresql+asyncpg://me:secret@127.0.0.1:5432/postgres"
