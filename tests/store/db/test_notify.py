"""Hints on Postgres: whoever stores what is due tells idle workers of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.domain.jobs.edit import JobChange
from app.domain.jobs.job import FailureReason
from app.machine.clock import SystemClock
from app.store.db.engine import Database
from app.store.db.notify import CHANNEL, DueHints
from app.store.jobs.requests.bulk_actions import RetryFilter, retry_failed
from app.store.jobs.requests.job_store import JobStore
from tests.support.factories import FAILED, NOW, new_job, store_job

LATER = NOW + timedelta(hours=1)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """Give a Postgres: there is no NOTIFY elsewhere."""
    database = Database(postgres_url)
    yield database
    await database.close()


class Impatient(SystemClock):
    """A clock on which nobody waits; it remembers for how long they would have."""

    def __init__(self) -> None:
        self.pauses = list[float]()
        self.eighth = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Let only the others have their turn."""
        self.pauses.append(seconds)
        if len(self.pauses) == 8:
            self.eighth.set()
        await asyncio.sleep(0)


class Hints:
    """Counts hints, and lets a test wait for the next."""

    def __init__(self) -> None:
        self.count = 0
        self._came = asyncio.Event()

    def come(self) -> None:
        """Take one."""
        self.count += 1
        self._came.set()

    async def next(self) -> None:
        """Wait for one that was not waited for yet."""
        await self._came.wait()
        self._came.clear()


@asynccontextmanager
async def listening(
    database: Database, clock: SystemClock | None = None
) -> AsyncIterator[Hints]:
    """Listen, as an idle worker does."""
    hints = Hints()
    async with DueHints(database, clock or Impatient()).waking(hints.come):
        await hints.next()  # one comes with each connection
        yield hints


async def test_a_post_now_is_hinted_at(database: Database) -> None:
    """Whoever listens hears of it once it is committed."""
    async with listening(database) as hints:
        await JobStore(database).add(new_job(scheduled_for=None), now=NOW)
        await hints.next()
    assert hints.count == 2


async def test_what_is_due_later_is_not(database: Database) -> None:
    """A NOTIFY in each insert would halve what the database takes in."""
    jobs = JobStore(database)
    async with listening(database) as hints:
        await jobs.add(new_job(scheduled_for=LATER), now=NOW)
        await jobs.add(new_job(scheduled_for=NOW), now=NOW)
        await hints.next()  # they come in the order of the commits
    assert hints.count == 2


async def made_due(database: Database) -> None:
    """Edit a job to be due now."""
    job = await store_job(database, next_attempt_at=LATER, scheduled_for=LATER)
    await JobStore(database).edit(job.id, JobChange(scheduled_for=None), now=NOW)


async def retried(database: Database) -> None:
    """Start one failed job again."""
    job = await store_job(database, FAILED)
    await JobStore(database).retry(job.id, now=NOW)


async def restarted(database: Database) -> None:
    """Start all failed jobs again."""
    job = await store_job(database, FAILED)
    which = RetryFilter(project_id=job.project_id, reason=FailureReason.PERMANENT)
    await retry_failed(database, which, now=NOW)


@pytest.mark.parametrize("make_due", [made_due, retried, restarted])
async def test_whatever_makes_a_job_due_is_hinted_at(
    database: Database, make_due: Callable[[Database], Awaitable[None]]
) -> None:
    """People wait for it just the same."""
    async with listening(database) as hints:
        await make_due(database)
        await hints.next()
    assert hints.count == 2


async def test_what_is_rolled_back_is_not_hinted_at(database: Database) -> None:
    """The hint belongs to the transaction that stores the job."""
    async with listening(database) as hints:
        with pytest.raises(ZeroDivisionError):
            await break_off(database)
        await JobStore(database).add(new_job(), now=NOW)
        await hints.next()
    assert hints.count == 2


async def break_off(database: Database) -> None:
    """Send a hint and think better of it."""
    async with database.write() as connection:
        await connection.execute(text(f"SELECT pg_notify('{CHANNEL}', '')"))
        raise ZeroDivisionError


async def test_a_connection_that_breaks_is_opened_again(database: Database) -> None:
    """An operator or a restart ends it: the next one looks at once, and listens."""
    async with listening(database) as hints:
        for _ in range(2):
            await end_listeners(database)
            await hints.next()
        await JobStore(database).add(new_job(), now=NOW)
        await hints.next()


async def end_listeners(database: Database) -> None:
    """Let the server end the session that listens."""
    ending = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    )
    async with database.read() as connection:
        assert (await connection.execute(ending)).scalars().all() == [True]


async def test_a_server_that_is_away_is_tried_ever_more_seldom(
    database: Database,
) -> None:
    """Nobody hammers a database that does not answer, and nobody gives up."""
    nowhere = Database("postgresql://postgres@127.0.0.1:1/none")
    clock = Impatient()
    hints = Hints()
    async with DueHints(nowhere, clock).waking(hints.come):
        await clock.eighth.wait()
    await nowhere.close()
    assert clock.pauses[:7] == [1, 2, 4, 8, 16, 30, 30]
    assert hints.count == 0


async def test_sqlite_opens_no_connection_for_hints(sqlite_url: str) -> None:
    """Its one process wakes its runner itself."""
    database, hints = Database(sqlite_url), Hints()
    async with DueHints(database, Impatient()).waking(hints.come):
        await JobStore(database).add(new_job(scheduled_for=None), now=NOW)
    await database.close()
    assert hints.count == 0
