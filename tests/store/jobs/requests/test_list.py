"""Listing and reading jobs."""

from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from random import Random
from typing import Any, TypeVar

import pytest

from app.domain.errors import NotFound
from app.domain.jobs.job import FailureReason, Job, JobStatus
from app.store.db.engine import Database
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.requests.listing import (
    JobFilter,
    JobOrder,
    JobPosition,
    JobSort,
    _statement,
    position_of,
)
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
T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


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
    while page := await jobs.list(EVERYTHING, limit=limit, after=after):
        assert after != JobPosition(id=page[-1].id), "the list goes on for ever"
        found.append([job.id for job in page])
        after = JobPosition(id=page[-1].id)
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
    second = await jobs.list(EVERYTHING, limit=3, after=JobPosition(id=first[-1].id))
    assert [job.id for job in second] == ["job_002", "job_001", "job_000"]


@pytest.mark.parametrize(
    ("which", "columns"),
    [
        (JobFilter(project_id="mine"), {"project_id": "mine"}),
        (JobFilter(statuses=frozenset({POSTED})), {"status": POSTED}),
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
    assert await ids(
        jobs, JobFilter(project_id="mine", statuses=frozenset({POSTED}))
    ) == [both.id]


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
    """Two windows side by side show each job once."""
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


def a_row(chance: Random) -> dict[str, Any]:
    """Fill a row of any kind; few names and times, so that filters find some."""
    status = chance.choice(list(JobStatus))
    columns: dict[str, Any] = {}
    if status is FAILED:
        columns["failure_reason"] = chance.choice(list(FailureReason))
    return job_row(
        status,
        project_id=chance.choice(["mine", "theirs"]),
        asset_id=chance.choice(["asset_x", "asset_y", "asset_z"]),
        external_id=chance.choice(["ext", None]),
        scheduled_for=NOW + timedelta(hours=chance.randrange(5)),
        idempotency_key=str(chance.random()),
        **columns,
    )


def a_filter(chance: Random) -> JobFilter:
    """Ask for anything."""
    hours = sorted(chance.sample(range(6), 2))
    start, end = (NOW + timedelta(hours=each) for each in hours)

    def perhaps(value: T) -> T | None:
        return chance.choice([value, None, None])

    def some(values: type[E]) -> frozenset[E]:
        return frozenset(chance.sample(list(values), chance.choice([0, 0, 1, 3])))

    return JobFilter(
        project_id=perhaps("mine"),
        statuses=some(JobStatus),
        failure_reasons=some(FailureReason),
        asset_id=perhaps("asset_x"),
        external_id=perhaps("ext"),
        scheduled_from=perhaps(start),
        scheduled_to=perhaps(end),
    )


def fits(job: Job, which: JobFilter) -> bool:
    """Say in plain words what a filter means."""
    return (
        which.project_id in (None, job.project_id)
        and (not which.statuses or job.status in which.statuses)
        and (not which.failure_reasons or job.failure_reason in which.failure_reasons)
        and which.asset_id in (None, job.asset_id)
        and which.external_id in (None, job.external_id)
        and (which.scheduled_from is None or job.scheduled_for >= which.scheduled_from)
        and (which.scheduled_to is None or job.scheduled_for < which.scheduled_to)
    )


@pytest.mark.parametrize("sort", JobSort)
@pytest.mark.parametrize("descending", [True, False])
async def test_any_filter_in_any_order_page_by_page(
    database: Database, jobs: JobStore, sort: JobSort, descending: bool
) -> None:
    """The pages put together are what fits, in that order, each job once."""
    chance, order = Random(7), JobOrder(sort=sort, descending=descending)
    rows = [a_row(chance) for _ in range(80)]
    await store_rows(database, rows)
    every = await jobs.list(EVERYTHING, limit=100)
    assert len(every) == len(rows)
    by = attrgetter(*(("scheduled_for", "id") if sort == "scheduledFor" else ("id",)))
    for which in (a_filter(chance) for _ in range(25)):
        listed: list[Job] = []
        after = None
        while page := await jobs.list(which, order, limit=9, after=after):
            listed += page
            after = position_of(page[-1], order)
        wanted = [job for job in every if fits(job, which)]
        assert listed == sorted(wanted, key=by, reverse=descending), which


async def test_a_statement_is_put_together_once(
    database: Database, jobs: JobStore
) -> None:
    """It takes 25 ms, in which nobody else's post gets its turn: once for a shape."""
    await store_rows(
        database,
        [job_row(id=f"job_{n}", project_id=f"proj_{n}") for n in range(5)],
    )
    _statement.cache_clear()
    for number in range(5):
        which = JobFilter(
            project_id=f"proj_{number}", scheduled_from=NOW - timedelta(days=number)
        )
        assert await ids(jobs, which, limit=number + 1) == [f"job_{number}"]
    assert _statement.cache_info().misses == 1
    for number in range(5):
        which = JobFilter(project_id=f"proj_{number}")
        assert await jobs.list(which, limit=1, after=JobPosition(id="job_0")) == ()
    assert _statement.cache_info().misses == 2
