"""A health check answers in time, whatever the database does."""

import asyncio

from app.service import health as checked
from app.service.health import DatabaseState, state_of
from app.store.db.engine import Database
from tests.support.patience import PATIENCE_SECONDS


async def test_a_database_that_hangs_is_not_waited_for(unused_tcp_port: int) -> None:
    """A server that takes the connection and says nothing counts as away."""
    hung = asyncio.Event()

    async def say_nothing(
        _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        hung.set()
        await over.wait()
        writer.close()

    over = asyncio.Event()
    server = await asyncio.start_server(say_nothing, "127.0.0.1", unused_tcp_port)
    database = Database(f"postgresql://u:p@127.0.0.1:{unused_tcp_port}/x")
    async with server:
        found = await state_of(database, patience=0.2)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await hung.wait()
        over.set()
    await database.close()

    assert found is DatabaseState.DATABASE_UNAVAILABLE
    assert checked.PATIENCE_SECONDS < 5  # what probes usually wait


async def test_a_migrated_database_is_ready(database_url: str) -> None:
    """At this program's revision there is nothing in the way."""
    database = Database(database_url)
    assert await state_of(database) is DatabaseState.READY
    await database.close()
