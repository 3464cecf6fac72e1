"""The stores under test, each on SQLite and on Postgres."""

from collections.abc import AsyncIterator

import pytest

from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.requests.job_store import JobStore
from tests.support.factories import LEASE


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give one process's connection to a fresh database."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def processes(database_url: str) -> AsyncIterator[list[Database]]:
    """Give four connections to one database, as four processes have them."""
    databases = [Database(database_url) for _ in range(4)]
    yield databases
    for each in databases:
        await each.close()


@pytest.fixture
def jobs(database: Database) -> JobStore:
    """Give people's side of the jobs."""
    return JobStore(database)


@pytest.fixture
def claims(database: Database) -> ClaimStore:
    """Give the worker's side of the jobs."""
    return ClaimStore(database, lease=LEASE)
