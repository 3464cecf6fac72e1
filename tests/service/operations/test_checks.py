"""A database is checked before a migration and by the doctor: one line each."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.service.operations.checks import (
    Finding,
    before_migration,
    database_checks,
    descriptors,
)
from app.store.db.engine import Database
from app.store.db.migrate import upgrade
from tests.store.db.roles import as_url, make_database, make_role
from tests.support.postgres import PostgresServer
from tests.support.sql import execute


async def wrong(url: str, *, schema: str | None = None) -> dict[str, Finding]:
    """Return what stands against building there, by name."""
    database = Database(url, schema=schema)
    found = await before_migration(database)
    await database.close()
    assert all(each.ok or each.advice for each in found)
    return {each.name: each for each in found if not each.ok}


async def wrong_in_use(url: str, *, pool_size: int = 10) -> dict[str, Finding]:
    """Return what is wrong with a database in use, by name."""
    database = Database(url, pool_size=pool_size)
    found = await database_checks(database)
    await database.close()
    assert all(each.ok or each.advice for each in found)
    return {each.name: each for each in found if not each.ok}


@pytest.fixture
async def empty(shared_server_url: str) -> str:
    """Give an empty database, as its server's owner."""
    return await make_database(shared_server_url)


async def test_a_good_database_is_silent(database_url: str, empty: str) -> None:
    """A new database and one in use: nothing is wrong with either."""
    assert await wrong(empty) == {}
    assert await wrong(database_url) == {}
    assert await wrong_in_use(database_url) == {}


async def test_a_schema_that_one_may_not_create_in(
    shared_server_url: str, empty: str
) -> None:
    """Postgres 15 gives strangers nothing in `public`: it says what to grant."""
    role = await make_role(shared_server_url)
    found = await wrong(as_url(empty, username=role))
    assert found.keys() == {"schema"}
    assert "nothing in schema public" in found["schema"].text
    assert "DATABASE_SCHEMA" in found["schema"].advice


async def test_a_schema_of_ones_own_helps(shared_server_url: str, empty: str) -> None:
    """`migrate` builds there, and there alone."""
    role = await make_role(shared_server_url)
    await execute(empty, f"CREATE SCHEMA mine AUTHORIZATION {role}", "SELECT 1")
    url = as_url(empty, username=role)
    assert await wrong(url, schema="mine") == {}
    await asyncio.to_thread(upgrade, url, schema="mine")
    where = "SELECT string_agg(DISTINCT schemaname, ',') FROM pg_tables"
    assert await execute(empty, f"{where} WHERE tableowner = '{role}'") == "mine"


async def test_tables_of_another_program_are_named(empty_url: str) -> None:
    """`accounts` is a name that others have, too: nothing is changed."""
    database = Database(empty_url)
    async with database.write() as connection:
        await connection.exec_driver_sql("CREATE TABLE accounts (id INT)")
    await database.close()
    found = await wrong(empty_url)
    assert found.keys() == {"tables"}
    assert "accounts" in found["tables"].text


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give a database without tables, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/other.db"
    url: str = request.getfixturevalue("empty")
    return url


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
async def test_an_encoding_that_holds_not_every_sign(
    shared_server_url: str, encoding: str
) -> None:
    """Any emoji would be a 500."""
    options = f"ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'"
    found = await wrong(await make_database(shared_server_url, options))
    assert found.keys() == {"encoding"}
    assert encoding in found["encoding"].text


async def test_a_database_that_is_read_only(empty: str) -> None:
    """A read-only database, as after a full disk, is a finding."""
    name = empty.rpartition("/")[2]
    setting = "default_transaction_read_only = on"
    await execute(empty, f"ALTER DATABASE {name} SET {setting}", "SELECT 1")
    assert (await wrong(empty)).keys() == {"writing"}


async def test_a_server_that_is_too_old(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finding says which version of Postgres is needed."""
    monkeypatch.setattr("app.store.db.postgres.session.OLDEST_VERSION", 99)
    assert "99 or newer" in (await wrong_in_use(empty))["database"].text


async def test_a_standby_is_named_as_such(standby_url: str) -> None:
    """Nothing can be built there, and nothing written."""
    assert "standby" in (await wrong(standby_url))["writing"].text


@pytest.fixture(scope="module")
def standby_url() -> Iterator[str]:
    """Give a standby of a server."""
    with PostgresServer() as primary, PostgresServer(source=primary) as standby:
        yield standby.url


async def test_the_revision_of_another_program_is_not_ours(
    shared_server_url: str, empty: str
) -> None:
    """Its `alembic_version` means nothing here: ours is built, its own stays."""
    await execute(
        empty,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('0099')",
        "SELECT 1",
    )
    assert await wrong(empty) == {}
    assert "none" in (await wrong_in_use(empty))["revision"].text
    await asyncio.to_thread(upgrade, empty)
    assert await wrong_in_use(empty) == {}
    assert await execute(empty, "SELECT version_num FROM alembic_version") == "0099"


async def test_another_programs_jobs_and_revision_are_not_ours(empty: str) -> None:
    """A table of one of our names beside a revision that nobody of ours wrote."""
    await execute(
        empty,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('0099')",
        "CREATE TABLE schedule_jobs (id integer)",
        "SELECT 1",
    )
    assert "schedule_jobs" in (await wrong(empty))["tables"].text


async def test_too_few_connections_are_counted(postgres_url: str) -> None:
    """Before a process finds none."""
    found = await wrong_in_use(postgres_url, pool_size=549)
    assert "up to 550" in found["connections"].text


async def test_roles_that_could_change_our_tables_are_named(
    shared_server_url: str, postgres_url: str
) -> None:
    """Default privileges, as some hosts set them, let strangers in."""
    role = await make_role(shared_server_url)
    await execute(postgres_url, f"GRANT UPDATE ON accounts TO {role}", "SELECT 1")
    assert role in (await wrong_in_use(postgres_url))["strangers"].text


async def test_rights_that_are_missing_are_named(
    shared_server_url: str, postgres_url: str
) -> None:
    """A second user without the sequences could not write ends."""
    role = await make_role(shared_server_url)
    await execute(
        postgres_url,
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        "SELECT 1",
    )
    found = await wrong_in_use(as_url(postgres_url, username=role))
    assert "seq" in found["rights"].text
    await execute(
        postgres_url,
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        "SELECT 1",
    )
    assert "rights" not in await wrong_in_use(as_url(postgres_url, username=role))


async def test_an_outage_is_a_finding() -> None:
    """An outage is a finding with its cause."""
    found = await wrong_in_use("postgresql://me@127.0.0.1:1/none")
    assert "Connect" in found["database"].text


def test_too_few_descriptors_are_counted() -> None:
    """Beside what calls and connections need."""
    assert descriptors(in_flight=10, pool_size=10).ok
    short = descriptors(in_flight=10**9, pool_size=10)
    assert not short.ok
    assert "MAX_IN_FLIGHT" in short.advice
