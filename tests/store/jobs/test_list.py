"""Listing and reading jobs."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain.errors import NotFound
from app.store.db.engine import Database
from app.store.jobs.job_store import JobFilter, JobStore
from tests.support.factories import (
    FAILED,
    NOW,
    POSTED,
    job_row,
    store_entry,
    store_job,
    store_rows,
)

EVERYTHING = JobFilter()


async def ids(jobs: JobStore, which: JobFilter, *, limit: int = 200) -> list[str]:
    """List and name the jobs."""
    return [job.id for job in await jobs.list(which, limit=limit)]


async def numbered(database: Database, numbers: range) -> None:
    """Store jobs whose ids are in the order of their numbers."""
    await store_rows(database, [job_row(id=f"job_{n:03}") for n in numbers])


async def pages(jobs: JobStore, *, limit: int) -> list[list[str]]:
    """Walk through the whole list."""
    found: list[list[str]] = []
    after = None
    while page := await jobs.list(EVERYTHING, limit=limit, after_id=after):
        assert page[-1].id != after, "the list goes on for ever"
        found.append([job.id for job in page])
        after = page[-1].id
    return found


async def test_the_newest_come_first(database: Database, jobs: JobStore) -> None:
    """The list is what was asked for last, up to the limit."""
    await numbered(database, range(5))
    assert await ids(jobs, EVERYTHING, limit=2) == ["job_004", "job_003"]


async def test_ids_sort_by_time_of_creation(jobs: JobStore, database: Database) -> None:
    """A job added later is listed earlier, whatever its own time."""
    await numbered(database, range(1))
    added = job_row(id="job_001", scheduled_for=NOW - timedelta(days=9))
    await store_rows(database, [added])
    assert await ids(jobs, EVERYTHING) == ["job_001", "job_000"]


async def test_pages_hold_every_job_once(database: Database, jobs: JobStore) -> None:
    """The last page may be short; none is repeated, none left out."""
    await numbered(database, range(5))
    assert await pages(jobs, limit=2) == [
        ["job_004", "job_003"],
        ["job_002", "job_001"],
        ["job_000"],
    ]


async def test_pages_are_stable_while_rows_come_and_go(
    database: Database, jobs: JobStore
) -> None:
    """What is added or removed between two pages shifts nothing."""
    await numbered(database, range(6))
    first = await jobs.list(EVERYTHING, limit=3)
    await numbered(database, range(6, 9))
    await jobs.delete(first[-1].id)
    second = await jobs.list(EVERYTHING, limit=3, after_id=first[-1].id)
    assert [job.id for job in second] == ["job_002", "job_001", "job_000"]


@pytest.mark.parametrize(
    ("which", "columns"),
    [
        (JobFilter(project_id="mine"), {"project_id": "mine"}),
        (JobFilter(status=POSTED), {"status": POSTED}),
        (JobFilter(platform="other"), {"platform": "other"}),
        (JobFilter(asset_id="asset_x"), {"asset_id": "asset_x"}),
    ],
    ids=["project", "status", "platform", "asset"],
)
async def test_each_filter_shows_only_its_jobs(
    database: Database, jobs: JobStore, which: JobFilter, columns: dict[str, Any]
) -> None:
    """What does not match is not listed."""
    await store_job(database)
    matching = await store_job(database, **columns)
    assert await ids(jobs, which) == [matching.id]


async def test_filters_add_up(database: Database, jobs: JobStore) -> None:
    """A job is listed if every filter fits."""
    await store_job(database, POSTED)
    await store_job(database, FAILED, project_id="mine")
    both = await store_job(database, POSTED, project_id="mine")
    assert await ids(jobs, JobFilter(project_id="mine", status=POSTED)) == [both.id]


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (NOW, None, ["late", "at_noon"]),
        (None, NOW, ["early"]),
        (NOW, NOW + timedelta(hours=1), ["at_noon"]),
    ],
    ids=["from", "to", "between"],
)
async def test_a_span_of_time_includes_its_start_and_not_its_end(
    database: Database,
    jobs: JobStore,
    start: datetime | None,
    end: datetime | None,
    found: list[str],
) -> None:
    """So that two spans side by side show each job once."""
    times = {"early": -1, "at_noon": 0, "late": 1}
    for asset, hours in times.items():
        at = NOW + timedelta(hours=hours)
        await store_job(database, asset_id=asset, scheduled_for=at)
    listed = await jobs.list(JobFilter(scheduled_from=start, scheduled_to=end), limit=9)
    assert [job.asset_id for job in listed] == found


async def test_another_projects_job_is_not_there(
    database: Database, jobs: JobStore
) -> None:
    """For a caller of one project, the others' jobs do not exist."""
    job = await store_job(database, project_id="theirs")
    assert await jobs.get(job.id, project_id="theirs") == job
    for read in (jobs.get, jobs.attempts):
        with pytest.raises(NotFound):
            await read(job.id, project_id="mine")
        with pytest.raises(NotFound):
            await read("unknown")


async def test_the_ledger_is_a_jobs_own(database: Database, jobs: JobStore) -> None:
    """Attempts come oldest first and never from another job."""
    mine, other = await store_job(database), await store_job(database)
    for number in (2, 1):
        await store_entry(database, mine, number=number)
    await store_entry(database, other, number=1)
    ledger = await jobs.attempts(mine.id)
    assert [entry.number for entry in ledger] == [1, 2]
