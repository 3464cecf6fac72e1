"""A claim is one statement where nothing more has to be done, and loses no job."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import StoreUnavailable, WriteUnknown
from app.domain.jobs.hold import Hold
from app.domain.jobs.job import Job, JobStatus
from app.domain.jobs.outcome import Published
from app.store.db import batcher
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.holds import HoldStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.tables import job_attempts, schedule_jobs
from tests.store.claiming import claim, claim_one, decided
from tests.support.factories import (
    LEASE,
    NOW,
    POSTED,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    abandoned,
    handed_on,
    job_row,
    store_job,
    store_row,
    store_rows,
)

_jobs = schedule_jobs.c


async def spoil(database: Database, job_id: str) -> None:
    """Write what this version does not know."""
    which = update(schedule_jobs).where(_jobs.id == job_id)
    async with database.write() as connection:
        await connection.execute(which.values(waiting_for="a newer reason"))


async def test_new_posts_are_claimed_by_one_statement(
    database: Database, claims: ClaimStore, sent: list[str]
) -> None:
    """Their worker waits for one answer of Postgres, not for three."""
    if database.is_sqlite:
        pytest.skip("its transactions cost no round trip")
    await store_rows(database, [job_row(), job_row()])
    sent.clear()
    assert len((await claim(claims)).jobs) == 2
    assert len(sent) == 1


async def test_one_claim_takes_every_kind(
    database: Database, claims: ClaimStore
) -> None:
    """Whatever needs more than a claim gets it, beside those that do not."""
    new = await store_row(database, job_row(project_id="proj_free"))
    followed = await store_row(
        database, handed_on(project_id="proj_free", publish_id="pub_1")
    )
    left = await store_row(database, abandoned(project_id="proj_free"))
    held = await store_row(database, job_row(project_id="proj_held"))
    bad = await store_row(database, job_row(project_id="proj_free"))
    await spoil(database, bad.id)
    hold = Hold(project_id="proj_held", reason="a recall", until=None)
    await HoldStore(database).put(hold, now=NOW)
    found = await claim(claims)
    ours = {job.id for job in found.jobs}
    assert {new.id, followed.id} <= ours <= {new.id, followed.id, left.id}
    assert [each.job.id for each in found.taken_over] == [left.id]
    assert (found.held, found.unreadable) == (1, (bad.id,))
    assert found.found == 5
    store = JobStore(database)
    assert (await store.get(held.id)).held_since == NOW
    assert (await claim(claims)).found == 0


async def test_a_claim_of_every_kind_keeps_its_limit(
    database: Database, claims: ClaimStore
) -> None:
    """The longest due go first, whatever kind they are."""
    kinds = (job_row, abandoned, handed_on)
    await store_rows(database, [kinds[n % 3]() for n in range(9)])
    seen = list[Job]()
    for _ in range(3):
        found = await claim(claims, limit=3)
        assert found.found == 3
        seen += found.jobs
    assert len({job.id for job in seen}) == len(seen)
    assert (await claim(claims)).found == 0


def lose_answers(database: Database, patch: pytest.MonkeyPatch) -> None:
    """Let the database write, and its answers be lost."""
    write, run = database.write, database.run

    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncConnection]:
        async with write() as connection:
            yield connection
        raise WriteUnknown

    async def ran(*given: Any, **more: Any) -> None:  # noqa: ANN401  as ``run``
        await run(*given, **more)
        raise WriteUnknown

    patch.setattr(database, "write", opened)
    patch.setattr(database, "run", ran)


async def test_what_was_claimed_unknowingly_is_free_at_once(
    database: Database, claims: ClaimStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cut line costs no attempt, and no wait for the end of a lease."""
    new = await store_row(database, job_row())
    again = await store_row(database, job_row(RETRYING, attempts=1, publish_id="old"))
    followed = await store_row(database, handed_on(publish_id="pub_1"))
    lose_answers(database, monkeypatch)
    with pytest.raises(WriteUnknown):
        await claim(claims)
    monkeypatch.undo()
    store = JobStore(database)
    assert (await store.get(new.id)).status is PROCESSING  # it was written
    found = await claim(claims)
    assert {job.id: job.attempts for job in found.jobs} == {
        job.id: job.attempts for job in (new, again, followed)
    }
    assert found.taken_over == ()


async def test_a_claim_with_an_answer_is_never_freed(
    database: Database, claims: ClaimStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its worker has begun stays its own when a later claim is cut off."""
    mine = await store_row(database, job_row())
    job = await claim_one(claims)
    await store_row(database, job_row())
    lose_answers(database, monkeypatch)
    with pytest.raises(WriteUnknown):
        await claim(claims)
    monkeypatch.undo()
    assert len((await claim(claims)).jobs) == 1
    assert (await JobStore(database).get(mine.id)).claim_token == job.claim_token


async def test_what_is_claimed_is_worked_on_when_the_rest_fails(
    database: Database, claims: ClaimStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is cut between the claim and what needs more than a claim."""
    if database.is_sqlite:
        pytest.skip("it claims all of them in one transaction")
    new = await store_row(database, job_row())
    await store_row(database, abandoned())

    @asynccontextmanager
    async def cut() -> AsyncIterator[AsyncConnection]:
        raise StoreUnavailable
        yield

    monkeypatch.setattr(database, "write", cut)
    found = await claim(claims)
    assert [job.id for job in found.jobs] == [new.id]
    monkeypatch.undo()
    assert len((await claim(claims)).taken_over) == 1


async def test_claims_go_on_while_ends_are_written(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ends that wait for a row hold up neither a claim nor many other ends."""
    monkeypatch.setattr(batcher, "_MANY", 2)
    database = Database(postgres_url)
    claims = ClaimStore(database, lease=LEASE)
    try:
        first = await store_job(database)
        await claims.next_due()
        (job,) = (await claim(claims)).jobs
        async with database.write() as other:
            locked = "SELECT FROM schedule_jobs WHERE id = :id FOR UPDATE"
            await other.execute(text(locked), {"id": first.id})
            waits = asyncio.create_task(end(claims, job))
            await asyncio.sleep(0)
            await store_rows(database, [job_row(), job_row()])
            more = (await claim(claims)).jobs
            assert await asyncio.gather(*(end(claims, each) for each in more))
            assert not waits.done()
        assert (await waits) is not None
        assert await ledger(database) == sorted([job.id, *(each.id for each in more)])
    finally:
        await database.close()


async def test_each_of_many_ends_is_written_once(
    processes: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claims and ends of two processes side by side, each in several statements."""
    monkeypatch.setattr(batcher, "_MANY", 3)
    rows = [job_row() for _ in range(60)]
    await store_rows(processes[0], rows)
    stores = [ClaimStore(each, lease=LEASE) for each in processes[:2]]

    async def work(claims: ClaimStore) -> None:
        tasks = list[asyncio.Task[Job | None]]()
        while jobs := (await claim(claims, limit=7)).jobs:
            tasks += [asyncio.create_task(end(claims, job)) for job in jobs]
        assert all(await asyncio.gather(*tasks))

    await asyncio.gather(*map(work, stores))
    assert await ledger(processes[0]) == sorted(row["id"] for row in rows)
    assert await states(processes[0]) == {POSTED}


async def test_ends_that_are_asked_for_outlive_a_stop(
    database: Database, claims: ClaimStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that ends closes its database after all statements under way."""
    monkeypatch.setattr(batcher, "_MANY", 2)
    await store_rows(database, [job_row() for _ in range(5)])
    jobs = (await claim(claims)).jobs
    tasks = [asyncio.create_task(end(claims, job)) for job in jobs]
    await asyncio.sleep(0)  # each has asked
    await database.close()
    assert all(await asyncio.gather(*tasks))
    after = Database(database.url.render_as_string(hide_password=False))
    try:
        assert await states(after) == {POSTED}
    finally:
        await after.close()


@pytest.mark.parametrize("status", [SCHEDULED, RETRYING])
async def test_an_unreadable_retry_of_a_failed_publish_stops_nobody(
    database: Database, claims: ClaimStore, status: JobStatus
) -> None:
    """Its publish is over, so its row is not in flight when it is set aside."""
    attempts = 1 if status is RETRYING else 0
    bad = await store_row(
        database, job_row(status, attempts=attempts, publish_id="pub_old")
    )
    good = await store_row(database, job_row())
    await spoil(database, bad.id)
    found = await claim(claims)
    assert [job.id for job in found.jobs] == [good.id]
    assert found.unreadable == (bad.id,)
    assert await states(database) == {PROCESSING, status}


async def end(claims: ClaimStore, job: Job) -> Job | None:
    """Write that a job was posted."""
    change = decided(job, Published(publish_id=f"pub_{job.id}"))
    return await claims.apply(job, change, now=NOW)


async def ledger(database: Database) -> list[str]:
    """Return the job of each row of the ledger."""
    async with database.read() as connection:
        found = await connection.execute(select(job_attempts.c.job_id))
        return sorted(found.scalars().all())


async def states(database: Database) -> set[str]:
    """Return the states of all jobs."""
    async with database.read() as connection:
        return set((await connection.execute(select(_jobs.status))).scalars())
