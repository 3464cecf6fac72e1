"""Looks ahead of time: each made once, and never in the way of the job itself."""

import asyncio
from datetime import timedelta
from itertools import chain
from typing import Any, Final

import pytest
from msgspec.structs import replace

from app.domain.accounts.account_readiness import NO_ACCOUNT
from app.domain.jobs.edit import JobChange
from app.domain.jobs.job import Job, JobStatus
from app.domain.jobs.readiness import UNREACHABLE, Readiness
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.readiness import LEASE, ReadinessStore
from app.store.jobs.requests.job_store import JobStore
from tests.store.claiming import claim
from tests.support.factories import (
    FAILED,
    NOW,
    POSTED,
    PROCESSING,
    RETRYING,
    job_row,
    new_job,
    store_job,
    store_rows,
)

HOUR: Final = timedelta(hours=1)
AHEAD: Final = (HOUR, timedelta(minutes=10))
Columns = dict[str, Any]
FOUND: Final = Readiness(NOW, (UNREACHABLE,))


@pytest.fixture
def looks(database: Database) -> ReadinessStore:
    """Give the looks."""
    return ReadinessStore(database)


@pytest.fixture
def jobs(database: Database) -> JobStore:
    """Give people's side of the jobs, with looks an hour and ten minutes ahead."""
    return JobStore(database, preflights=AHEAD)


async def due_look(database: Database, **columns: object) -> Job:
    """Store a job that is due in an hour and is to be looked at now."""
    at = NOW + HOUR
    times: Columns = {"scheduled_for": at, "next_attempt_at": at, "readiness_at": NOW}
    return await store_job(database, **times | columns)


async def test_a_new_job_has_its_first_look_ahead(jobs: JobStore) -> None:
    """As far ahead as was set; a Post Now has none."""
    job, _ = await jobs.add(new_job(scheduled_for=NOW + 2 * HOUR), now=NOW)
    assert job.readiness_at == NOW + HOUR
    now, _ = await jobs.add(new_job(scheduled_for=None), now=NOW)
    assert now.readiness_at is None


async def test_switched_off_nothing_is_looked_at(database: Database) -> None:
    """No moments ahead, no looks."""
    job, _ = await JobStore(database).add(
        new_job(scheduled_for=NOW + 2 * HOUR), now=NOW
    )
    assert job.readiness_at is None


async def test_a_look_is_due_at_its_time(
    database: Database, looks: ReadinessStore
) -> None:
    """Not a moment before."""
    job = await due_look(database)
    early = NOW - timedelta(microseconds=1)
    assert await looks.claim_due(now=early, limit=9) == ()
    assert [each.id for each in await looks.claim_due(now=NOW, limit=9)] == [job.id]


async def test_every_look_is_one_workers(processes: list[Database]) -> None:
    """Whoever asks at the same time gets others, and nobody gets one twice."""
    at = NOW + HOUR
    rows = [
        job_row(scheduled_for=at, next_attempt_at=at, readiness_at=NOW)
        for _ in range(40)
    ]
    await store_rows(processes[0], rows)
    stores = [ReadinessStore(process) for process in processes]

    async def take(store: ReadinessStore) -> list[str]:
        taken: list[str] = []
        while found := await store.claim_due(now=NOW, limit=3):
            taken += [job.id for job in found]
        return taken

    shares = await asyncio.gather(*map(take, stores))
    assert sorted(chain(*shares)) == sorted(row["id"] for row in rows)


async def test_a_look_that_was_never_finished_is_made_again(
    database: Database, looks: ReadinessStore
) -> None:
    """After its lease, by whoever comes."""
    await due_look(database)
    assert await looks.claim_due(now=NOW, limit=1)
    assert not await looks.claim_due(now=NOW + LEASE / 2, limit=1)
    assert await looks.claim_due(now=NOW + LEASE, limit=1)


@pytest.mark.parametrize("status", [PROCESSING, RETRYING, POSTED, FAILED])
async def test_only_what_waits_for_its_time_is_looked_at(
    database: Database, looks: ReadinessStore, status: JobStatus
) -> None:
    """A claim of the job ends its looks without a word."""
    await store_job(database, status, scheduled_for=NOW + HOUR, readiness_at=NOW)
    assert await looks.claim_due(now=NOW, limit=9) == ()


async def test_what_is_due_already_is_not_looked_at(
    database: Database, looks: ReadinessStore
) -> None:
    """The attempt will tell; a look would only be in its way."""
    await store_job(database, readiness_at=NOW - HOUR)
    assert await looks.claim_due(now=NOW, limit=9) == ()


async def test_what_was_found_stands_on_the_job(
    database: Database, jobs: JobStore, looks: ReadinessStore
) -> None:
    """With the time of the next look; nothing else about the job changes."""
    before = await due_look(database)
    (job,) = await looks.claim_due(now=NOW, limit=1)
    again = NOW + timedelta(minutes=50)
    assert await looks.save(job, FOUND, next_look=again)
    after = await jobs.get(job.id)
    assert after == replace(
        before, readiness=FOUND, readiness_at=again, updated_at=FOUND.checked_at
    )


async def test_a_look_is_not_in_the_way_of_the_claim(
    database: Database, jobs: JobStore, looks: ReadinessStore, claims: ClaimStore
) -> None:
    """The job goes out at its time; what was found too late is dropped."""
    await due_look(database)
    (job,) = await looks.claim_due(now=NOW, limit=1)
    (claimed,) = (await claim(claims, now=NOW + HOUR)).jobs
    assert not await looks.save(job, FOUND, next_look=None)
    assert await jobs.get(job.id) == claimed
    assert claimed.readiness is None


async def test_a_look_is_not_in_the_way_of_a_change(
    database: Database, jobs: JobStore, looks: ReadinessStore
) -> None:
    """The change is taken, what the look found of the old job is not."""
    await due_look(database)
    (job,) = await looks.claim_due(now=NOW, limit=1)
    change = JobChange(asset_url="https://cdn.example.com/2.mp4")
    changed = await jobs.edit(job.id, change, now=NOW)
    assert not await looks.save(job, FOUND, next_look=None)
    assert await jobs.get(job.id) == changed
    assert [each.id for each in await looks.claim_due(now=NOW, limit=9)] == [job.id]


async def test_a_moved_job_is_looked_at_anew(
    database: Database, jobs: JobStore, looks: ReadinessStore
) -> None:
    """What was found before is gone, and the looks count from the new time."""
    await due_look(database)
    (job,) = await looks.claim_due(now=NOW, limit=1)
    assert await looks.save(job, FOUND, next_look=None)
    change = JobChange(scheduled_for=NOW + 3 * HOUR)
    moved = await jobs.edit(job.id, change, now=NOW)
    assert moved.readiness is not None
    assert moved.readiness.problems == (NO_ACCOUNT,)  # nobody is
    assert moved.readiness_at == NOW + 2 * HOUR
    assert await jobs.get(job.id) == moved
    assert await looks.claim_due(now=NOW + 2 * HOUR, limit=9)


async def test_the_minutes_crowd_is_the_projects_own(
    database: Database, looks: ReadinessStore
) -> None:
    """Jobs due in the same minute count, up to what anybody wants to know."""
    minute = NOW + HOUR
    job = await due_look(database, next_attempt_at=minute)
    others: list[Columns] = [
        {"next_attempt_at": minute + timedelta(seconds=59)},
        {"next_attempt_at": minute + timedelta(seconds=60)},
        {"next_attempt_at": minute - timedelta(seconds=1)},
        {"next_attempt_at": minute, "project_id": "proj_2"},
    ]
    for columns in others:
        await store_job(database, **columns)
    assert await looks.due_in_minute_of(job, at_most=7) == 2
    assert await looks.due_in_minute_of(job, at_most=1) == 1
