"""A page of a list costs the page, not the table, whatever is filtered and sorted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from app.domain.jobs.job import FailureReason, JobStatus
from app.store.db.engine import Database
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.requests.listing import JobFilter, JobOrder, JobPosition, JobSort
from app.store.jobs.tables import schedule_jobs
from tests.store.cost import measured
from tests.support.factories import NOW, job_row

FEW, MANY = 800, 3_200
SLACK = 60  # a level more of a tree here and there
PAGE = 10
BIG = "big"  # has half of all jobs
STEP = timedelta(minutes=10)

ORDERS = [JobOrder(sort=sort, descending=d) for sort in JobSort for d in (True, False)]
MIDDLE = JobPosition(id=f"{FEW // 2:08}", scheduled_for=NOW + FEW // 2 * STEP)
NO_STATUS, NO_REASON = frozenset[JobStatus](), frozenset[FailureReason]()
AUTH, PERMANENT = FailureReason.AUTH, FailureReason.PERMANENT
STATES = [
    (NO_STATUS, NO_REASON),
    *((frozenset({status}), NO_REASON) for status in JobStatus),
    (frozenset({JobStatus.RETRYING, JobStatus.FAILED}), NO_REASON),
    (NO_STATUS, frozenset({AUTH})),
    (NO_STATUS, frozenset({AUTH, PERMANENT})),
    (frozenset({JobStatus.FAILED, JobStatus.POSTED}), frozenset({PERMANENT})),
]
WINDOW = {"scheduled_from": NOW + 100 * STEP, "scheduled_to": NOW + 140 * STEP}
OTHERS: list[dict[str, Any]] = [
    {},
    WINDOW,
    {"scheduled_from": NOW + 100 * STEP},
    {"asset_id": "asset_7"},
    {"external_id": "ext_7"},
    {"asset_id": "asset_7", "external_id": "ext_7"} | WINDOW,
]


@dataclass(frozen=True)
class Case:
    """One list that a caller may ask for."""

    which: JobFilter
    order: JobOrder
    after: JobPosition | None = None

    def __str__(self) -> str:
        """Name what differs from all jobs, newest first."""
        return f"{self.which} {self.order} {self.after}"

    @property
    def may_cost_its_window(self) -> bool:
        """Tell whether half of an open window is read and sorted, which is allowed."""
        start, end = self.which.scheduled_from, self.which.scheduled_to
        return self.order.sort is JobSort.CREATED_AT and bool(start) != bool(end)


def cases(order: JobOrder) -> Iterator[Case]:
    """Combine every filter with an order, from the start and from the middle."""
    for project, (statuses, reasons), other in product((BIG, None), STATES, OTHERS):
        which = JobFilter(
            project_id=project, statuses=statuses, failure_reasons=reasons, **other
        )
        case = Case(which, order)
        if not case.may_cost_its_window and not (project is None and len(other) > 2):
            yield case
    for project in (BIG, None):
        yield Case(JobFilter(project_id=project), order, MIDDLE)
        failed = frozenset({JobStatus.FAILED})
        yield Case(JobFilter(project_id=project, statuses=failed), order, MIDDLE)


def row(number: int, status: JobStatus) -> dict[str, Any]:
    """Fill a row; the first ones of all fail, are retried or being processed."""
    reasons = list(FailureReason)
    columns: dict[str, Any] = {}
    if number < 50:
        status = (JobStatus.FAILED, JobStatus.RETRYING, JobStatus.PROCESSING)[
            number % 3
        ]
    if status is JobStatus.FAILED:
        columns["failure_reason"] = reasons[number // 3 % len(reasons)]
    return job_row(
        status,
        id=f"{number:08}",
        project_id=BIG if number < 50 or number % 2 else f"p_{number % 50}",
        asset_id=f"asset_{number % 100 if number < FEW else number}",
        external_id=f"ext_{number % 100 if number < FEW else number}",
        scheduled_for=NOW + number * STEP,
        **columns,
    )


async def fill(database: Database, numbers: range) -> None:
    """Add rows, posted ones before scheduled ones: lists of either pass the other."""
    half = (numbers.start + numbers.stop) // 2
    rows = [
        row(number, JobStatus.POSTED if number < half else JobStatus.SCHEDULED)
        for number in numbers
    ]
    await fill_with(database, rows)


async def fill_with(database: Database, rows: list[dict[str, Any]]) -> None:
    """Add rows, and let the database know what it holds then."""
    async with database.write() as connection:
        await connection.execute(insert(schedule_jobs), rows)
        await connection.execute(text("ANALYZE"))


async def cost_of(database: Database, cases: list[Case]) -> dict[Case, float]:
    """Return what each list costs: pages of Postgres, instructions of SQLite."""
    sent: list[tuple[str, Any]] = []

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        if call[2].startswith("SELECT"):
            sent.append((call[2], call[3]))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    costs = dict[Case, float]()
    for case in cases:
        sent.clear()
        await JobStore(database).list(
            case.which, case.order, limit=PAGE, after=case.after
        )
        costs[case] = await measured(database, *sent[0]) if sent else 0
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    return costs


@pytest.mark.parametrize("order", ORDERS, ids=lambda o: f"{o.sort} {o.descending}")
async def test_a_page_costs_the_same_in_a_table_of_any_size(
    database: Database, order: JobOrder
) -> None:
    """Four times the rows: the same pages of memory, the same work."""
    every = list(cases(order))
    await fill(database, range(FEW))
    before = await cost_of(database, every)
    await fill(database, range(FEW, MANY))
    after = await cost_of(database, every)
    grown = {
        str(case): (before[case], cost)
        for case, cost in after.items()
        if cost > 1.5 * before[case] + SLACK
    }
    assert grown == {}
