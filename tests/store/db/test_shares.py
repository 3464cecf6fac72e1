"""Callers share a part of the connections: the rest is always there for the runner."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.domain.errors import StoreUnavailable
from app.machine.callers import acting_for, present_caller
from app.store.db.engine import Database
from app.store.db.shares import Shares
from tests.support.patience import PATIENCE_SECONDS

POOL = 10


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give a database with ten connections."""
    database = Database(database_url, pool_size=POOL)
    yield database
    await database.close()


class Crowd:
    """Callers who keep a connection for as long as they are let."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._done = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.inside = 0

    async def come(self, caller: str | None, count: int, *, inside: int) -> None:
        """Ask for connections, and wait until so many of all have one, and no more."""
        with acting_for(caller):
            self._tasks += [asyncio.create_task(self._hold()) for _ in range(count)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.inside < inside:  # noqa: ASYNC110 - the pool tells nobody
                await asyncio.sleep(0.01)
        for _ in range(3):
            async with self._database.read():  # whoever could get in is in by then
                pass
        assert self.inside == inside

    async def leave(self) -> None:
        """Give all back."""
        self._done.set()
        await asyncio.gather(*self._tasks)

    async def _hold(self) -> None:
        async with self._database.read():
            self.inside += 1
            await self._done.wait()


async def test_no_caller_has_more_than_its_share(database: Database) -> None:
    """One has 4 of 10, all together 6; the runner still gets one at once."""
    crowd = Crowd(database)
    await crowd.come("greedy", 20, inside=4)
    await crowd.come("another", 20, inside=6)
    await crowd.come("a third", 20, inside=6)
    async with asyncio.timeout(PATIENCE_SECONDS):
        for _ in range(20):
            async with database.write() as connection, database.read():
                assert connection is not None
    await crowd.leave()
    assert crowd.inside == 60


async def test_who_works_for_nobody_has_all(database: Database) -> None:
    """The runner takes no share, whoever else is there."""
    crowd = Crowd(database)
    await crowd.come(None, 9, inside=9)
    await crowd.leave()


async def test_shared_work_takes_nobodys_share(database: Database) -> None:
    """What one caller started, and many wait for, does not wait in that one's queue."""
    crowd, found = Crowd(database), list[str | None]()
    await crowd.come("greedy", 20, inside=4)

    async def work() -> None:
        found.append(present_caller())
        async with database.read():
            pass

    with acting_for("greedy"):
        await asyncio.wait_for(database.spawn(work()), PATIENCE_SECONDS)
    assert found == [None]
    await crowd.leave()


async def test_waiting_for_a_share_has_an_end() -> None:
    """Then it is an outage like any other, and nothing of the share is lost."""
    shares = Shares(1, patience=0.01)
    with acting_for("a"):
        async with shares.lent():
            for caller in ("a", "b"):
                with acting_for(caller), pytest.raises(StoreUnavailable):
                    async with shares.lent():
                        raise AssertionError("there was no room")
        async with shares.lent():
            pass


async def test_a_caller_that_gives_up_loses_no_place() -> None:
    """Whoever is cancelled while it waits, or holds, leaves the share as it was."""
    shares = Shares(POOL, patience=PATIENCE_SECONDS)

    async def hold() -> None:
        with acting_for("a"):
            async with shares.lent():
                await asyncio.Event().wait()

    tasks = [asyncio.create_task(hold()) for _ in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with acting_for("a"):
        async with shares.lent(), shares.lent(), shares.lent(), shares.lent():
            pass
