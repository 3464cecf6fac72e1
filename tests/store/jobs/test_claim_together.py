"""Many workers claim from one table at once."""

import asyncio
from itertools import chain

from sqlalchemy import select

from app.domain.jobs.job import Job
from app.store.db.engine import Database
from app.store.jobs.claims import Claimed, ClaimStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.requests.listing import JobFilter
from app.store.jobs.tables import schedule_jobs
from tests.store.claiming import claim
from tests.support.factories import (
    LEASE,
    PROCESSING,
    abandoned,
    handed_on,
    job_row,
    store_job,
    store_rows,
)

WORKERS = 12
BATCH = 7
JOBS = 100


async def drain(claims: ClaimStore, worker: str) -> list[Claimed]:
    """Claim until nothing is left."""
    found = []
    while (batch := await claim(claims, limit=BATCH, worker=worker)).jobs:
        found.append(batch)
    return found


async def all_drain(processes: list[Database]) -> list[Claimed]:
    """Let all workers drain the table together."""
    stores = [ClaimStore(process, lease=LEASE) for process in processes]
    found = await asyncio.gather(
        *(drain(stores[n % len(stores)], f"worker_{n}") for n in range(WORKERS))
    )
    return list(chain.from_iterable(found))


async def test_each_due_job_is_claimed_by_exactly_one_worker(
    processes: list[Database],
) -> None:
    """Together the workers get all of them, each once, and the rows say so."""
    kinds = (job_row, handed_on)
    await store_rows(processes[0], [kinds[n % 2]() for n in range(JOBS)])
    batches = await all_drain(processes)
    claimed = [job for batch in batches for job in batch.jobs]
    assert len(claimed) == JOBS
    assert all(len(batch.jobs) <= BATCH for batch in batches)
    stored = await JobStore(processes[0]).list(JobFilter(), limit=JOBS)
    assert {job.id: job for job in claimed} == {job.id: job for job in stored}
    assert {job.status for job in stored} == {PROCESSING}


async def test_each_abandoned_claim_is_taken_over_and_counted_once(
    processes: list[Database],
) -> None:
    """However many workers find it, one attempt is lost, not several."""
    await store_rows(processes[0], [abandoned() for _ in range(JOBS // 2)])
    batches = await all_drain(processes)
    claimed = [job for batch in batches for job in batch.jobs]
    assert len({job.id for job in claimed}) == len(claimed) == JOBS // 2
    assert sum(len(batch.taken_over) for batch in batches) == JOBS // 2
    assert {job.attempts for job in claimed} == {1}


async def test_a_claim_waits_for_no_lock(postgres_url: str) -> None:
    """Rows in another's open transaction are left out, and claimable after it."""
    one, other = Database(postgres_url), Database(postgres_url)
    try:
        locked = await store_job(one)
        free = await store_job(one)
        async with one.write() as connection:
            held = select(schedule_jobs).where(schedule_jobs.c.id == locked.id)
            await connection.execute(held.with_for_update())
            claims = ClaimStore(other, lease=LEASE)
            assert ids((await claim(claims)).jobs) == [free.id]
        assert ids((await claim(claims)).jobs) == [locked.id]
    finally:
        await one.close()
        await other.close()


def ids(jobs: tuple[Job, ...]) -> list[str]:
    """Name jobs by their ids."""
    return [job.id for job in jobs]
