"""Adding a job: never two rows for one request."""

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import StoreUnavailable
from app.domain.jobs.idempotency_keys import idempotency_key
from app.domain.jobs.job import Job
from app.store.db.engine import Database
from app.store.jobs.requests import job_store as jobs_module
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.tables import schedule_jobs
from tests.support.factories import NOW, SCHEDULED, count_jobs, new_job

REQUESTS = 50


async def test_a_new_job_waits_for_its_time(jobs: JobStore) -> None:
    """What was asked for is stored, with no attempt made and due at its time."""
    at = NOW + timedelta(days=14)
    asked = new_job(scheduled_for=at, max_attempts=3)
    job, created = await jobs.add(asked, now=NOW)
    assert created
    assert job == await jobs.get(job.id)
    assert (job.project_id, job.platform) == (asked.project_id, asked.platform)
    assert (job.asset_id, job.asset_url) == (asked.asset_id, asked.asset_url)
    assert (job.post, job.max_attempts) == (asked.post, 3)
    assert (job.status, job.attempts, job.post_now) == (SCHEDULED, 0, False)
    assert job.scheduled_for == job.next_attempt_at == at
    assert job.created_at == job.updated_at == NOW


async def test_the_key_is_made_of_what_is_stored(jobs: JobStore) -> None:
    """Whoever reads the job can compute its key, to the stored millisecond."""
    at = NOW + timedelta(microseconds=123_999)
    job, _ = await jobs.add(new_job(scheduled_for=at), now=NOW)
    assert job.scheduled_for == NOW + timedelta(milliseconds=123)
    assert job.idempotency_key == idempotency_key(
        project_id=job.project_id,
        platform=job.platform,
        asset_id=job.asset_id,
        scheduled_for=job.scheduled_for,
    )


async def test_one_request_sent_fifty_times_at_once_is_one_job(
    processes: list[Database],
) -> None:
    """Whatever the concurrency: one row, one answer that it is new, one id."""
    stores = [JobStore(process) for process in processes]
    asked = new_job()
    answers = await asyncio.gather(
        *(stores[n % len(stores)].add(asked, now=NOW) for n in range(REQUESTS))
    )
    assert sum(created for _, created in answers) == 1
    assert len({job.id for job, _ in answers}) == 1
    assert await count_jobs(processes[0]) == 1


async def test_a_repeated_request_gets_the_stored_job(jobs: JobStore) -> None:
    """The answer is what is stored, not what was asked the second time."""
    asked = new_job()
    first, _ = await jobs.add(asked, now=NOW)
    changed = structs.replace(
        asked, asset_url="https://cdn.example.com/2.mp4", max_attempts=9
    )
    assert await jobs.add(changed, now=NOW + timedelta(hours=1)) == (first, False)


async def test_one_moment_in_two_zones_is_one_job(jobs: JobStore) -> None:
    """A time is a moment, however it is written."""
    asked = new_job()
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    first, _ = await jobs.add(asked, now=NOW)
    again, created = await jobs.add(
        structs.replace(asked, scheduled_for=elsewhere), now=NOW
    )
    assert (again.id, created) == (first.id, False)


@pytest.mark.parametrize("field", ["project_id", "platform", "asset_id"])
@pytest.mark.parametrize("at", [NOW, None], ids=["scheduled", "post_now"])
async def test_each_part_of_the_key_makes_another_job(
    jobs: JobStore, field: str, at: datetime | None
) -> None:
    """Another project, platform or asset is another post."""
    asked = new_job(scheduled_for=at)
    changes: dict[str, Any] = {field: "other"}
    await jobs.add(asked, now=NOW)
    _, created = await jobs.add(structs.replace(asked, **changes), now=NOW)
    assert created


async def test_another_time_makes_another_job(jobs: JobStore) -> None:
    """The same video may be posted again later, if that was asked for."""
    asked = new_job()
    await jobs.add(asked, now=NOW)
    later = structs.replace(asked, scheduled_for=NOW + timedelta(milliseconds=1))
    _, created = await jobs.add(later, now=NOW)
    assert created


@pytest.mark.parametrize("field", ["project_id", "platform", "asset_id"])
async def test_the_keys_separator_is_refused(
    database: Database, jobs: JobStore, field: str
) -> None:
    """Two different requests can never share a key."""
    with pytest.raises(ValueError, match=r"contains '\|'"):
        await jobs.add(new_job(**{field: "a|b"}), now=NOW)
    assert await count_jobs(database) == 0


async def test_a_twin_that_goes_away_meanwhile_is_replaced(
    database: Database, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted between the insert and the look for it: the request makes the job."""
    find_twin = jobs_module._find_twin

    async def find_too_late(connection: AsyncConnection, job: Job) -> Job | None:
        async with database.write() as another:
            await another.execute(delete(schedule_jobs))
        return await find_twin(connection, job)

    asked = new_job()
    first, _ = await jobs.add(asked, now=NOW)
    monkeypatch.setattr(jobs_module, "_find_twin", find_too_late)
    again, created = await jobs.add(asked, now=NOW)
    assert created
    assert again.id != first.id


async def test_a_twin_that_is_never_found_ends_in_an_error(
    jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that conflicts and cannot be seen is no reason to try for ever."""

    async def find_nothing(_: AsyncConnection, __: Job) -> None:
        return None

    asked = new_job()
    await jobs.add(asked, now=NOW)
    monkeypatch.setattr(jobs_module, "_find_twin", find_nothing)
    with pytest.raises(StoreUnavailable):
        await jobs.add(asked, now=NOW)
