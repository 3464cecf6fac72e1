"""Databases without tables, to be migrated by the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import PostgresDatabases, sqlite_url


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give a database as it is before the first migration."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "empty.db")
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


@pytest.fixture
def empty_postgres_url(empty_postgres_databases: PostgresDatabases) -> Iterator[str]:
    """Give a Postgres database without tables."""
    url = empty_postgres_databases.create()
    yield url
    empty_postgres_databases.drop(url)


@pytest.fixture(scope="module")
def empty_postgres_databases(shared_server_url: str) -> Iterator[PostgresDatabases]:
    """Give the maker of empty Postgres databases."""
    databases = PostgresDatabases(shared_server_url, upgrade=lambda _: None)
    yield databases
    databases.close()
