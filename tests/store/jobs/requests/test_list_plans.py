"""Postgres plans a list of all projects once: that takes longer than its run."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from app.store.db.engine import Database
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.requests.listing import JobFilter, JobOrder, JobSort, page_of
from tests.support.factories import NOW, POSTED, SCHEDULED, job_row, store_rows

JOBS = 600
MANY = 5_000_000
PLANNED_WITH_VALUES = 5  # uses of a statement, before Postgres compares estimates
KEPT = text(
    "SELECT sum(generic_plans) FROM pg_prepared_statements"
    " WHERE statement LIKE 'SELECT found.id%'"
)


@pytest.fixture
async def large(database: Database) -> Database:
    """Give a table that Postgres takes for one of millions of jobs."""
    if database.is_sqlite:
        pytest.skip("SQLite plans a statement once")
    rows = [
        job_row(
            (POSTED, SCHEDULED)[n % 2],
            project_id=f"p_{n % 20}",
            scheduled_for=NOW + timedelta(minutes=n),
        )
        for n in range(JOBS)
    ]
    await store_rows(database, rows)
    counted = f"UPDATE pg_class SET reltuples = {MANY} WHERE relname = 'schedule_jobs'"
    async with database.write() as connection:
        await connection.execute(text("ANALYZE"))
        await connection.execute(text(counted))
    return database


@pytest.mark.parametrize("sort", JobSort)
@pytest.mark.parametrize(
    "which",
    [
        JobFilter(),
        JobFilter(scheduled_from=NOW, scheduled_to=NOW + timedelta(hours=1)),
        JobFilter(scheduled_from=NOW + timedelta(days=9000)),
    ],
    ids=["all", "window", "empty"],
)
async def test_a_list_of_all_projects_is_planned_once(
    large: Database, which: JobFilter, sort: JobSort
) -> None:
    """From its sixth use on, however many jobs there are."""
    found = page_of(which, JobOrder(sort=sort), limit=51, after=None)
    assert found is not None
    async with large.read() as connection:
        for _ in range(PLANNED_WITH_VALUES + 1):
            await connection.execute(*found)
        assert (await connection.execute(KEPT)).scalar_one() == 1


async def test_a_page_is_no_longer_than_its_limit(database: Database) -> None:
    """The statement reads one of a few numbers of rows."""
    await store_rows(database, [job_row() for _ in range(JOBS)])
    for limit in (1, 12, 60, 201, 250):
        page = await JobStore(database).list(JobFilter(), limit=limit)
        assert len(page) == limit
