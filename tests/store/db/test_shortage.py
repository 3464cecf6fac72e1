"""A connection that cannot be opened for want of something is an outage like others."""

import pytest
from sqlalchemy import text

from app.domain.errors import StoreUnavailable
from app.store.db.engine import Database
from tests.support.shortages import no_descriptors, no_threads


async def test_no_descriptor_is_left(database_url: str) -> None:
    """Whoever asks waits for the database, and gets it as soon as there is one."""
    database = Database(database_url)
    with no_descriptors(), pytest.raises(StoreUnavailable):
        async with database.read() as connection:
            await connection.execute(text("SELECT 1"))
    async with database.read() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    await database.close()


async def test_no_thread_is_left(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's connections run in threads."""
    database = Database(sqlite_url)
    with no_threads(monkeypatch), pytest.raises(StoreUnavailable):
        async with database.read() as connection:
            await connection.execute(text("SELECT 1"))
    async with database.read() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    await database.close()
