"""Databases for every test that asks: `database_url` runs it on SQLite and Postgres."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from app.store.db import engine
from app.store.db.migrate import upgrade
from tests.support.databases import PostgresDatabases, SqliteDatabases
from tests.support.patience import PATIENCE_SECONDS
from tests.support.postgres import PostgresServer
from tests.support.scratch import use_memory

# A busy machine is slow, not wrong: what takes too long is for pytest's timeout to say.
# The gate draws the same examples each time: --hypothesis-profile=explore draws others.
settings.register_profile("explore", settings(), deadline=None, max_examples=50)
settings.register_profile(
    "gate", settings.get_profile("explore"), derandomize=True, database=None
)
settings.load_profile("gate")


def pytest_configure() -> None:
    """Make room for databases before the first one is asked for."""
    use_memory()


@pytest.fixture(scope="session", autouse=True)
def _patient_databases() -> Iterator[None]:
    """Let tests wait for SQLite's one writer, and for Postgres on a busy machine."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine, "SQLITE_BUSY_SECONDS", PATIENCE_SECONDS)
        patched.setattr(engine, "POSTGRES_COMMAND_SECONDS", PATIENCE_SECONDS)
        yield


@pytest.fixture(scope="session", autouse=True)
def _spool_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let what processes leave for the next one lie outside the repository."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SPOOL_DIR", str(tmp_path_factory.mktemp("spool")))
        yield


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give a fresh, migrated database; the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def sqlite_url(sqlite_databases: SqliteDatabases, tmp_path: Path) -> str:
    """Give a fresh, migrated SQLite file."""
    return sqlite_databases.create(tmp_path)


@pytest.fixture
def postgres_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """Give a fresh, migrated Postgres database."""
    url = postgres_databases.create()
    yield url
    postgres_databases.drop(url)


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    """Give a Postgres of the test's own, to be stopped and started in the middle."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> SqliteDatabases:
    """Give the maker of SQLite files."""
    return SqliteDatabases(tmp_path_factory.mktemp("sqlite"), upgrade=upgrade)


@pytest.fixture(scope="session")
def postgres_databases(
    shared_server_url: str,
) -> Iterator[PostgresDatabases]:
    """Give the maker of Postgres databases."""
    databases = PostgresDatabases(shared_server_url, upgrade=upgrade)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def shared_server_url() -> Iterator[str]:
    """Give the server that all tests of this process share, started if need be."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    with PostgresServer() as server:
        yield server.url
