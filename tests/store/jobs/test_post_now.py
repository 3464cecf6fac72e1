"""Post Now: a double click is one post."""

import asyncio
from datetime import timedelta

import pytest

from app.domain.jobs.job import JobStatus
from app.store.db.engine import Database
from app.store.jobs.requests.job_store import JobStore
from tests.support.factories import (
    FAILED,
    NOW,
    POSTED,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    count_jobs,
    new_job,
    store_job,
)

CLICKS = 50


async def test_post_now_clicked_fifty_times_at_once_is_one_job(
    processes: list[Database],
) -> None:
    """The clock moves on between two clicks; the job stays the first one."""
    stores = [JobStore(process) for process in processes]
    asked = new_job(scheduled_for=None)
    answers = await asyncio.gather(
        *(
            stores[n % len(stores)].add(asked, now=NOW + timedelta(milliseconds=n))
            for n in range(CLICKS)
        )
    )
    assert sum(created for _, created in answers) == 1
    assert len({job.id for job, _ in answers}) == 1
    assert await count_jobs(processes[0]) == 1


@pytest.mark.parametrize("status", [SCHEDULED, PROCESSING, RETRYING])
async def test_an_unfinished_post_now_guards(
    database: Database, jobs: JobStore, status: JobStatus
) -> None:
    """Until the first Post Now is over, a second one finds it."""
    first = await store_job(database, status, asset_id="asset_9", post_now=True)
    later = NOW + timedelta(minutes=5)
    found = await jobs.add(new_job(asset_id="asset_9", scheduled_for=None), now=later)
    assert found == (first, False)


@pytest.mark.parametrize("status", [POSTED, FAILED])
async def test_a_finished_post_now_guards_no_more(
    database: Database, jobs: JobStore, status: JobStatus
) -> None:
    """Posted, or failed with nothing at TikTok: the person may post again."""
    await store_job(database, status, asset_id="asset_9", post_now=True)
    later = NOW + timedelta(minutes=5)
    _, created = await jobs.add(
        new_job(asset_id="asset_9", scheduled_for=None), now=later
    )
    assert created


async def test_a_failed_post_now_with_an_open_init_guards(
    database: Database, jobs: JobStore
) -> None:
    """Its video may still come out: a new one could be the second post."""
    first = await store_job(
        database, FAILED, asset_id="asset_9", post_now=True, init_sent_at=NOW
    )
    later = NOW + timedelta(days=2)
    found = await jobs.add(new_job(asset_id="asset_9", scheduled_for=None), now=later)
    assert found == (first, False)


async def test_a_scheduled_job_does_not_guard_post_now(
    database: Database, jobs: JobStore
) -> None:
    """Only Post Now jobs are double clicks of each other."""
    tomorrow = NOW + timedelta(days=1)
    await store_job(database, asset_id="asset_9", scheduled_for=tomorrow)
    asked = new_job(asset_id="asset_9", scheduled_for=None)
    _, created = await jobs.add(asked, now=NOW)
    assert created


async def test_what_guards_goes_before_what_is_over(
    database: Database, jobs: JobStore
) -> None:
    """If an old job has the new one's very millisecond, the running one answers."""
    await store_job(database, POSTED, asset_id="asset_9", post_now=True)
    running = await store_job(
        database,
        PROCESSING,
        asset_id="asset_9",
        post_now=True,
        scheduled_for=NOW - timedelta(minutes=1),
    )
    found = await jobs.add(new_job(asset_id="asset_9", scheduled_for=None), now=NOW)
    assert found == (running, False)
