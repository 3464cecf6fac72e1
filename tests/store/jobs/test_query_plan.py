"""Claiming costs the same, however many jobs are over: by plan, not by the clock."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.jobs.job import JobStatus
from app.domain.jobs.outcome import HandedOn
from app.domain.jobs.redating import Bounds
from app.machine.clock import ClockWatch
from app.store.backlog import BacklogStore
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.confirmations import ConfirmationStore
from app.store.jobs.readiness import ReadinessStore
from app.store.jobs.recovery.redated import RedatingStore
from app.store.jobs.requests.changes import ChangeStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.requests.listing import JobFilter, JobOrder, JobPosition, JobSort
from app.store.retention.pruning import FIRST_ID, RetentionStore
from tests.store.claiming import claim, decided
from tests.store.cost import kept_plan
from tests.support.factories import (
    FAILED,
    LEASE,
    NOW,
    POSTED,
    SCHEDULED,
    job_row,
    new_job,
    store_row,
    store_rows,
    unconfirmed,
)

OVER = 2000
WAITING = 500
DUE = 100
SOME = 5
MANY = 500
JOBS = "schedule_jobs"
LOOKS = ("EXPLAIN", "PREPARE")

Statement = tuple[str, Any]  # with its parameters


@pytest.fixture
async def busy(database: Database) -> Database:
    """Give a table of finished jobs, with some due and more for later."""
    over = [
        job_row((POSTED, FAILED)[n % 2], project_id=f"p_{n % 20}") for n in range(OVER)
    ]
    times = [NOW + timedelta(minutes=n - DUE) for n in range(WAITING)]
    for rows in (over, [job_row(next_attempt_at=at) for at in times]):
        await store_rows(database, rows)
    async with database.write() as connection:
        await connection.execute(text("ANALYZE"))
    return database


@pytest.fixture
def sent(busy: Database) -> Iterator[list[Statement]]:
    """Collect the statements on jobs as they go to the database."""
    found: list[Statement] = []

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        if " schedule_jobs" in call[2] and not call[2].startswith(LOOKS):
            found.append((call[2], call[3]))

    event.listen(busy.engine.sync_engine, "before_cursor_execute", note)
    yield found
    event.remove(busy.engine.sync_engine, "before_cursor_execute", note)


async def plan_of(
    database: Database, sent: list[Statement], *, is_kept: bool = True
) -> list[str]:
    """Ask the database how it reads jobs for the newest statement, step by step.

    ``is_kept``: Postgres may keep a plan for all values.
    """
    async with database.write() as connection:
        if database.is_sqlite:
            return await _sqlite_plan(connection, sent[-1])
        first = await _postgres_plan(connection, sent[-1])
        if not is_kept:
            return first
        # A prepared statement is soon planned without its values: both must be good.
        (kept,) = await kept_plan(connection, sent[-1][0], "(FORMAT JSON)")
        return first + _steps_of(kept)


async def _sqlite_plan(connection: AsyncConnection, statement: Statement) -> list[str]:
    sql, parameters = statement
    explained = await connection.exec_driver_sql(
        f"EXPLAIN QUERY PLAN {sql}", parameters
    )
    rows = explained.all()
    words = ("schedule_jobs", "TEMP B-TREE")
    return [row.detail for row in rows if any(word in row.detail for word in words)]


async def _postgres_plan(
    connection: AsyncConnection, statement: Statement
) -> list[str]:
    sql, parameters = statement
    explain = f"EXPLAIN (FORMAT JSON) {sql}"
    found = (await connection.exec_driver_sql(explain, parameters)).scalar_one()
    return _steps_of(found)


def _steps_of(found: Any) -> list[str]:  # noqa: ANN401  what EXPLAIN says, as JSON
    plan = json.loads(found) if isinstance(found, str) else found
    return list(_steps(plan[0]["Plan"]))


def _steps(node: dict[str, Any]) -> Iterator[str]:
    if node.get("Relation Name", JOBS) == JOBS:
        yield f"{node['Node Type']} {node.get('Index Name', '')}"
    for child in node.get("Plans", []):
        yield from _steps(child)


def reads_all(plan: list[str]) -> list[str]:
    """Find the steps whose cost grows with the table."""
    costly = ("SCAN schedule_jobs", "Seq Scan", "TEMP B-TREE", "Sort")
    return [step for step in plan if any(word in step for word in costly)]


async def test_a_claim_reads_only_what_is_due(
    busy: Database, sent: list[Statement]
) -> None:
    """One range of the due index, in its order; the rows by their ids."""
    await claim(ClaimStore(busy, lease=LEASE))
    plan = await plan_of(busy, sent)
    assert any("ix_schedule_jobs_due" in step for step in plan)
    assert reads_all(plan) == []


async def test_a_claim_by_two_clocks_reads_no_more(
    busy: Database, sent: list[Statement]
) -> None:
    """The database's own time bounds the same range of the same index."""
    watch = ClockWatch(lambda: NOW, tolerance=timedelta(seconds=5))
    claims = ClaimStore(busy, lease=LEASE, watch=watch)
    await claim(claims)
    plan = await plan_of(busy, sent)
    assert any("ix_schedule_jobs_due" in step for step in plan)
    assert reads_all(plan) == []
    await claims.next_due()
    assert reads_all(await plan_of(busy, sent)) == []


async def test_counting_what_waits_reads_indexes_alone(
    busy: Database, sent: list[Statement]
) -> None:
    """Whoever scrapes metrics costs the same, however many jobs are over."""
    found = await BacklogStore(busy).look(now=NOW)
    assert found.due == DUE + 1  # the last of them falls due just now
    # A plan for any time seems far dearer: it is never kept.
    plan = await plan_of(busy, sent, is_kept=False)
    assert any("ix_schedule_jobs_due" in step for step in plan)
    assert any("ix_schedule_jobs_unconfirmed" in step for step in plan)
    # Scanning an index of what waits for a person alone is no scan of the table.
    few = {step for step in plan if "ix_schedule_jobs_unconfirmed" in step}
    assert set(reads_all(plan)) <= few
    assert not [step for step in plan if step.startswith(("Index Scan", "Bitmap"))]


async def test_the_next_due_time_is_the_indexs_first(
    busy: Database, sent: list[Statement]
) -> None:
    """An idle runner's question costs nothing."""
    await ClaimStore(busy, lease=LEASE).next_due()
    plan = await plan_of(busy, sent)
    assert any("ix_schedule_jobs_due" in step for step in plan)
    assert reads_all(plan) == []


async def test_without_its_index_a_claim_would_read_all(
    busy: Database, sent: list[Statement]
) -> None:
    """The two tests above would notice."""
    await claim(ClaimStore(busy, lease=LEASE))
    async with busy.write() as connection:
        await connection.execute(text("DROP INDEX ix_schedule_jobs_due"))
    assert reads_all(await plan_of(busy, sent)) != []


async def test_a_repeated_request_finds_its_job_by_index(
    busy: Database, sent: list[Statement]
) -> None:
    """A double click costs two look-ups, not a walk through the table."""
    jobs = JobStore(busy)
    asked = new_job(scheduled_for=None)
    for _ in range(2):
        await jobs.add(asked, now=NOW)
    plan = await plan_of(busy, sent)
    found_few = {step for step in plan if "Sort" in step or "TEMP B-TREE" in step}
    assert set(reads_all(plan)) == found_few  # at most two rows to be put in order


async def test_a_projects_page_is_a_range_of_an_index_for_each_state(
    busy: Database, sent: list[Statement]
) -> None:
    """What is sorted are the first rows of each: see test_list_cost for the cost."""
    place = JobPosition(id="f")
    await JobStore(busy).list(JobFilter(project_id="p_3"), limit=5, after=place)
    plan = await plan_of(busy, sent)
    assert any("ix_schedule_jobs_project_created" in step for step in plan)
    assert not any("SCAN schedule_jobs" in step or "Seq Scan" in step for step in plan)


async def test_a_look_ahead_reads_only_what_is_to_be_looked_at(
    busy: Database, sent: list[Statement]
) -> None:
    """One range of an index that holds nothing else."""
    await ReadinessStore(busy).claim_due(now=NOW, limit=8)
    plan = await plan_of(busy, sent)
    assert any("ix_schedule_jobs_readiness" in step for step in plan)
    assert reads_all(plan) == []


async def test_what_a_wrong_clock_put_off_is_found_by_indexes(
    busy: Database, sent: list[Statement]
) -> None:
    """What waits for its own time, however much that is, is not looked at."""
    hour = timedelta(hours=1)
    bounds = Bounds(
        lease=LEASE, longest=hour, delivery=hour, slack=timedelta(seconds=11)
    )
    await RedatingStore(busy, bounds).run(now=NOW)
    plan = await plan_of(busy, sent[:1])  # the others write what was found
    assert any("ix_schedule_jobs_processing" in step for step in plan)
    assert any("ix_schedule_jobs_processing" in step for step in plan)
    assert not any("Seq Scan" in step or "_due" in step for step in plan)
    # Whole, and small: what is being processed, and Post Nows that are not over.
    small = ("ix_schedule_jobs_processing", "uq_schedule_jobs_guarding_post_now")
    scans = [step for step in plan if "SCAN schedule_jobs" in step]
    assert all(step.endswith(small) for step in scans)
    plan = await plan_of(busy, sent)
    assert any("ix_schedule_jobs_confirm" in step for step in plan)
    assert reads_all(plan) == []


async def test_a_watched_projects_changes_are_one_range(
    busy: Database, sent: list[Statement]
) -> None:
    """A look each second costs what changed of late, not what there is."""
    await ChangeStore(busy).since(NOW, {"p_3"}, limit=5)
    plan = await plan_of(busy, sent)
    assert any("ix_schedule_jobs_changes" in step for step in plan)
    assert not any("SCAN schedule_jobs" in step or "Seq Scan" in step for step in plan)


async def test_what_attempts_write_finds_its_rows_by_id(
    busy: Database, sent: list[Statement]
) -> None:
    """Marks and ends of some jobs: one look-up each, however many there are."""
    claims = ClaimStore(busy, lease=LEASE)
    jobs = (await claim(claims, limit=SOME)).jobs
    stamps = await asyncio.gather(*(claims.stamp_init(job, now=NOW) for job in jobs))
    assert reads_all(await plan_of(busy, sent)) == []
    owned = [job for job in stamps if job is not None]
    assert len(owned) == SOME
    ends = (
        claims.apply(job, decided(job, HandedOn(resume_at=NOW)), now=NOW)
        for job in owned
    )
    await asyncio.gather(*ends)
    plan = await plan_of(busy, sent)
    assert any("pk_" in step or "autoindex" in step for step in plan)
    # Postgres may sort what it is given: as many rows as there are jobs to write.
    assert [step for step in reads_all(plan) if "Sort" not in step] == []


async def test_many_ends_are_not_compared_each_with_each(
    busy: Database, sent: list[Statement]
) -> None:
    """Postgres expects as many rows as it is given, so it hashes or sorts them."""
    if busy.is_sqlite:
        pytest.skip("it looks up one after the other")
    await store_rows(busy, [job_row() for _ in range(MANY)])
    claims = ClaimStore(busy, lease=LEASE)
    jobs = (await claim(claims, limit=MANY)).jobs
    ends = (
        claims.apply(job, decided(job, HandedOn(resume_at=NOW)), now=NOW)
        for job in jobs
    )
    await asyncio.gather(*ends)
    plan = await plan_of(busy, sent)
    assert not any("Nested Loop" in step for step in plan)


async def test_a_confirmation_reads_only_what_is_in_doubt(
    busy: Database, sent: list[Statement]
) -> None:
    """One range of an index that holds nothing else."""
    await ConfirmationStore(busy).claim_due(now=NOW, limit=20)
    plan = await plan_of(busy, sent)
    assert any("ix_schedule_jobs_confirm" in step for step in plan)
    assert reads_all(plan) == []


async def test_a_batch_to_be_pruned_is_a_range_of_ids(
    busy: Database, sent: list[Statement]
) -> None:
    """Nothing else is done if it is empty, as the last batch is."""
    long_ago = NOW - timedelta(days=400)
    await RetentionStore(busy).prune_jobs(before=long_ago, after_id=FIRST_ID, limit=9)
    assert len(sent) == 1
    plan = await plan_of(busy, sent)
    assert any("pk_" in step or "autoindex" in step for step in plan)
    assert reads_all(plan) == []


async def test_a_publish_of_nobodys_is_looked_for_by_index(
    busy: Database, sent: list[Statement]
) -> None:
    """The ledger is not read from end to end, however long it is."""
    job = await store_row(busy, unconfirmed())
    await ConfirmationStore(busy).orphan(job, "open_1", since=NOW)
    async with busy.write() as connection:
        if not busy.is_sqlite:  # whose tests have no ledger worth an index
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN QUERY PLAN" if busy.is_sqlite else "EXPLAIN"
        rows = await connection.exec_driver_sql(f"{explain} {sent[-1][0]}", sent[-1][1])
        plan = "\n".join(str(row) for row in rows)
    assert "ix_job_attempts_publish_id" in plan
    assert "SCAN job_attempts" not in plan


@pytest.mark.parametrize("status", [SCHEDULED, POSTED, FAILED])
async def test_a_projects_list_does_not_read_past_the_jobs_of_others(
    busy: Database, sent: list[Statement], status: JobStatus
) -> None:
    """Whatever the statistics say, the indexes of all projects do not serve it.

    A project with most of the jobs seems to be in them as well as in its own; but all
    jobs of others may come first there.
    """
    which = JobFilter(project_id="p_1", statuses=frozenset({status}))
    order = JobOrder(sort=JobSort.SCHEDULED_FOR, descending=False)
    await JobStore(busy).list(which, order, limit=10)
    sql, parameters = sent[-1]
    async with busy.write() as connection:
        await connection.execute(text("DROP INDEX ix_schedule_jobs_project_scheduled"))
        explain = "EXPLAIN QUERY PLAN" if busy.is_sqlite else "EXPLAIN"
        rows = await connection.exec_driver_sql(f"{explain} {sql}", parameters)
        plan = "\n".join(str(row) for row in rows)
    assert "ix_schedule_jobs_other" not in plan
    assert "ix_schedule_jobs_posted" not in plan


@pytest.mark.parametrize(
    "window",
    [{"scheduled_from": NOW}, {"scheduled_to": NOW + timedelta(days=1)}],
    ids=["from", "to"],
)
async def test_a_window_with_one_end_is_read_as_one_with_two(
    busy: Database, sent: list[Statement], window: dict[str, Any]
) -> None:
    """A plan without values takes a third of the table for a window with one end."""
    assert len(await JobStore(busy).list(JobFilter(**window), limit=200)) == 200
    assert "scheduled_for >= " in sent[-1][0]
    assert "scheduled_for < " in sent[-1][0]


async def test_jobs_put_off_too_far_are_looked_for_in_an_indexs_order(
    busy: Database, sent: list[Statement]
) -> None:
    """Or the plan is the whole table, if most jobs of the past are over."""
    bounds = Bounds(lease=LEASE, longest=LEASE, delivery=LEASE, slack=LEASE)
    await RedatingStore(busy, bounds).run(now=NOW)
    look = next(sql for sql, _ in sent if "UNION ALL" in sql)
    order = "ORDER BY schedule_jobs.failure_reason, schedule_jobs.scheduled_for"
    assert order in look
