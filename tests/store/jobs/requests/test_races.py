"""People and workers at the same job in the same moment: one of them is first."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Any, Final

import pytest
from sqlalchemy import Executable, delete, update

from app.domain.errors import JobNotCancellable, SchedulerError, StoreUnavailable
from app.domain.jobs.edit import JobChange
from app.domain.jobs.idempotency_keys import idempotency_key
from app.domain.jobs.job import FailureReason, Job, JobStatus, NewJob
from app.domain.posts.post import Post
from app.machine.concurrency import first
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.tables import schedule_jobs
from tests.store.claiming import claim
from tests.support.accounts import VAULT, new_account
from tests.support.factories import (
    FAILED,
    LEASE,
    NOW,
    job_row,
    new_job,
    store_job,
    store_rows,
)
from tests.support.sql import until_one_waits

LATER: Final = NOW + timedelta(days=1)
RACES: Final = 1000
AT_ONCE: Final = 40

Work = Callable[[], Awaitable[Any]]


async def in_any_order(chance: Random, works: list[Work]) -> None:
    """Do some things beside each other, begun in an order of chance."""
    chance.shuffle(works)
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(_done(work))


async def _done(work: Work) -> None:
    await work()


async def test_nothing_is_both_cancelled_and_sent(database: Database) -> None:
    """A thousand races of a person's cancel with a worker's claim and stamp.

    The stamp is what goes before every init: who got it sends. A cancel that was
    answered well means that nothing is ever sent.
    """
    jobs, chance = JobStore(database), Random(7)
    claims = ClaimStore(database, lease=LEASE)
    rows = [job_row() for _ in range(RACES)]
    await store_rows(database, rows)
    ids = [str(row["id"]) for row in rows]
    stamped: set[str] = set()
    cancelled: set[str] = set()

    async def send() -> None:
        for job in (await claim(claims, limit=2)).jobs:
            await asyncio.sleep(0)
            if await claims.stamp_init(job, now=NOW) is not None:
                stamped.add(job.id)

    def cancel(job_id: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            try:
                await jobs.cancel(job_id, now=NOW)
                cancelled.add(job_id)
            except JobNotCancellable:
                pass

        return work

    for begin in range(0, RACES, AT_ONCE):
        some = ids[begin : begin + AT_ONCE]
        senders = [send] * (AT_ONCE // 2)
        await in_any_order(chance, [*map(cancel, some), *senders])

    assert not stamped & cancelled
    assert stamped | cancelled == set(ids)
    assert min(len(stamped), len(cancelled)) > RACES / 20  # they did meet
    for job_id in ids:
        job = await jobs.get(job_id)
        assert (job.failure_reason is FailureReason.CANCELLED) == (job_id in cancelled)
        assert job.in_flight == (job_id in stamped)


async def test_a_change_and_a_retry_of_a_failed_job_lose_nothing(
    database: Database,
) -> None:
    """Whichever is first: the job is to be tried again, with what was changed."""
    jobs, chance = JobStore(database), Random(7)
    title = "mended"

    def works(job: Job) -> list[Work]:
        change = JobChange(post={"title": title})
        return [
            lambda: jobs.edit(job.id, change, now=NOW),
            lambda: jobs.retry(job.id, now=NOW),
        ]

    for _ in range(50):
        job = await store_job(database, FAILED)
        await in_any_order(chance, works(job))
        after = await jobs.get(job.id)
        assert (after.status, after.attempts) == (JobStatus.SCHEDULED, 0)
        assert after.post.title == title


async def test_a_change_that_comes_once_it_is_claimed_is_refused_whole(
    database: Database,
) -> None:
    """What a worker sends is what the row says, before the change or after it."""
    jobs, chance = JobStore(database), Random(7)
    claims = ClaimStore(database, lease=LEASE)
    for _ in range(50):
        job = await store_job(database)
        sent: list[Post] = []
        changed: list[Job] = []

        async def send(sent: list[Post] = sent) -> None:
            # A claim passes over a row that the change has locked.
            while not (found := (await claim(claims)).jobs):  # noqa: ASYNC110
                await asyncio.sleep(0)
            (mine,) = found
            assert await claims.stamp_init(mine, now=NOW) is not None
            sent.append(mine.post)

        async def edit(job: Job = job, changed: list[Job] = changed) -> None:
            try:
                change = JobChange(post={"title": "new"})
                changed.append(await jobs.edit(job.id, change, now=NOW))
            except SchedulerError:
                pass

        await in_any_order(chance, [send, edit])
        assert sent == [(await jobs.get(job.id)).post]
        assert (sent[0].title == "new") == bool(changed)


@pytest.fixture
async def three(postgres_url: str) -> AsyncIterator[list[Database]]:
    """Give three connections to one Postgres: SQLite has one writer at a time."""
    databases = [Database(postgres_url) for _ in range(3)]
    yield databases
    for each in databases:
        await each.close()


async def test_a_repeat_that_began_before_a_change_of_time_finds_the_job(
    postgres_url: str, three: list[Database]
) -> None:
    """Held up in the middle, it sees neither the kept key nor the changed job."""
    one, other, third = three
    repeats, waits = JobStore(one), asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.set()
        await asyncio.sleep(seconds)

    asked = sorted((new_job(scheduled_for=LATER) for _ in range(2)), key=_key)
    jobs = [(await repeats.add(each, now=NOW))[0] for each in asked]
    async with third.write() as connection:
        gone = delete(schedule_jobs).where(schedule_jobs.c.id == jobs[0].id)
        await connection.execute(gone)
        group = [repeats.add(each, now=NOW) for each in asked]
        repeating = asyncio.gather(*group)  # one statement, the second row comes last
        await until_one_waits(postgres_url)
        change = JobChange(scheduled_for=LATER + timedelta(hours=1))
        editing = asyncio.ensure_future(
            JobStore(other, sleep=sleep).edit(jobs[1].id, change, now=NOW)
        )
        await first(waits.wait(), asyncio.wait([editing]))
    (_, (found, created)) = await repeating
    await editing
    assert (found.id, created) == (jobs[1].id, False)


def _key(asked: NewJob) -> str:
    return idempotency_key(
        project_id=asked.project_id,
        platform=asked.platform,
        asset_id=asked.asset_id,
        scheduled_for=LATER,
    )


async def test_a_write_that_takes_seconds_keeps_a_time_as_it_is(
    postgres_url: str, three: list[Database]
) -> None:
    """Whoever changes it is told to try again; a transaction at rest delays nobody."""
    one, other, third = three
    store = JobStore(one, sleep=_no_time)
    locked, moved = [await store_job(one, scheduled_for=LATER) for _ in range(2)]
    touch = (
        update(schedule_jobs)
        .where(schedule_jobs.c.id == locked.id)
        .values(updated_at=NOW)
    )
    async with other.write() as connection:
        await connection.execute(touch)
        await store.edit(moved.id, JobChange(scheduled_for=NOW), now=NOW)
        held_up = asyncio.ensure_future(_do(third, touch))
        await until_one_waits(postgres_url)
        with pytest.raises(StoreUnavailable, match="try again"):
            await store.edit(moved.id, JobChange(scheduled_for=LATER), now=NOW)
    await held_up
    assert (await store.get(moved.id)).scheduled_for == NOW


async def test_a_job_that_is_stored_as_somebody_connects_is_theirs(
    postgres_url: str, three: list[Database]
) -> None:
    """Its insert began before, and knew of nobody: it does not say so for long."""
    one, other, third = three
    store, waits = JobStore(one), asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.set()
        await asyncio.sleep(seconds)

    asked = [
        new_job(scheduled_for=LATER, project_id=project)
        for project in ("proj_1", "proj_2")
    ]
    there, _ = await store.add(asked[1], now=NOW)
    async with third.write() as connection:
        gone = delete(schedule_jobs).where(schedule_jobs.c.id == there.id)
        await connection.execute(gone)
        storing = asyncio.gather(*(store.add(each, now=NOW) for each in asked))
        await until_one_waits(postgres_url)
        accounts = AccountStore(other, VAULT, sleep=sleep)
        connecting = asyncio.ensure_future(accounts.put(new_account(), now=NOW))
        await first(waits.wait(), asyncio.wait([connecting]))
    (job, _), _ = await storing
    await connecting
    after = await store.get(job.id)
    assert (after.open_id, after.readiness) == ("open_1", None)


async def _do(database: Database, statement: Executable) -> None:
    async with database.single() as connection:
        await connection.execute(statement)


async def _no_time(_seconds: float) -> None:
    await asyncio.sleep(0)
