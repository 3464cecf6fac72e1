"""Postgres plans a list once, for all its values: that takes longer than its run."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Select, event, text

from app.store.db.engine import Database
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.requests.listing import (
    JobFilter,
    JobOrder,
    JobPosition,
    JobSort,
    page_of,
)
from tests.store.cost import measured
from tests.support.factories import NOW, POSTED, SCHEDULED, job_row, store_rows

JOBS = 600
MANY = 5_000_000
PROJECTS = 6_000
PAGE = 20
BIG = "big"  # has half of all jobs; the other projects have one each
END = JobPosition(id="0", scheduled_for=NOW - timedelta(days=1))
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
@pytest.mark.parametrize("project_id", [None, "p_3", "p_without_jobs"])
@pytest.mark.parametrize("after", [None, END], ids=["first", "last"])
@pytest.mark.parametrize(
    "window",
    [
        {},
        {"scheduled_from": NOW, "scheduled_to": NOW + timedelta(hours=1)},
        {"scheduled_from": NOW + timedelta(days=9000)},
    ],
    ids=["all", "window", "empty"],
)
async def test_a_list_is_planned_once(
    large: Database,
    window: dict[str, Any],
    after: JobPosition | None,
    project_id: str | None,
    sort: JobSort,
) -> None:
    """From its sixth use on, however many jobs there are, and whose."""
    which = JobFilter(project_id=project_id, **window)
    found = page_of(which, JobOrder(sort=sort), limit=51, after=after)
    assert found is not None
    async with large.read() as connection:
        for _ in range(PLANNED_WITH_VALUES + 1):
            await connection.execute(*found)
        assert (await connection.execute(KEPT)).scalar_one() == 1


@pytest.mark.parametrize("window", [{}, {"scheduled_from": NOW}], ids=["all", "from"])
async def test_a_large_project_among_small_ones_costs_its_page(
    database: Database, window: dict[str, Any]
) -> None:
    """The plan for an average project is right for it, too."""
    if database.is_sqlite:
        pytest.skip("SQLite plans by no statistics")
    rows = [
        job_row(
            id=f"{n:08}",
            project_id=BIG if n % 2 else f"p_{n}",
            scheduled_for=NOW + timedelta(minutes=n),
        )
        for n in range(PROJECTS)
    ]
    await store_rows(database, rows)
    async with database.write() as connection:
        await connection.execute(text("ANALYZE"))
    which = JobFilter(project_id=BIG, statuses=frozenset({SCHEDULED}), **window)
    order = JobOrder(sort=JobSort.SCHEDULED_FOR, descending=False)
    found = page_of(which, order, limit=PAGE, after=None)
    assert found is not None
    assert await pages_of(database, *found) < 2 * PAGE


async def pages_of(
    database: Database, statement: Select[Any], values: dict[str, Any]
) -> float:
    """Count the pages that the statement's plan reads."""
    sent = list[tuple[str, Any]]()

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        sent.append((call[2], call[3]))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    await database.rows(statement, values)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    return await measured(database, *sent[-1])


async def test_a_page_is_no_longer_than_its_limit(database: Database) -> None:
    """The statement reads one of a few numbers of rows."""
    await store_rows(database, [job_row() for _ in range(JOBS)])
    for limit in (1, 12, 60, 201, 250):
        page = await JobStore(database).list(JobFilter(), limit=limit)
        assert len(page) == limit
