"""The running app: `api` on both databases, `edge` where the database is no matter."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.api.serving import Api, serving
from tests.support.logs import restored


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Api]:
    """Serve on SQLite and on Postgres."""
    async with serving(database_url) as running:
        yield running


@pytest.fixture
async def edge(sqlite_url: str) -> AsyncIterator[Api]:
    """Serve on SQLite alone, for rules that no database has a say in."""
    async with serving(sqlite_url) as running:
        yield running


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Put logging back after the test."""
    with restored():
        yield
