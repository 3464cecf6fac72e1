"""Cancel jobs at a person's request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain import codes
from app.domain.api_key import Actor
from app.domain.jobs import transition as become
from app.domain.jobs.job import ErrorClass, FailureReason, Job, JobStatus
from app.domain.jobs.outcome import Fault
from app.domain.jobs.transition import Transition
from app.store.db.engine import Database
from app.store.db.types import Row
from app.store.jobs.rows import readable
from app.store.jobs.tables import schedule_jobs
from app.store.jobs.transitions import UNCHANGED, write_transitions

_jobs = schedule_jobs.c
_PAGE: Final = 500  # rows whose locks one transaction holds
_OVER: Final = (JobStatus.POSTED, JobStatus.FAILED)
_CANCELLED: Final = Fault(
    error_class=ErrorClass.PERMANENT,
    code=codes.CANCELLED,
    message="a person cancelled it before it was sent",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelFilter:
    """Which jobs are cancelled; None matches all."""

    project_id: str
    scheduled_from: datetime | None = None  # inclusive
    scheduled_to: datetime | None = None  # exclusive
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class CancelResult:
    """How many jobs were cancelled or skipped; ended ones are not counted."""

    cancelled: int
    skipped: int  # TikTok may have them


def cancelled(job: Job, *, now: datetime, by: Actor | None) -> Transition:
    """Return the transition of a job that a person cancels."""
    error = _CANCELLED.to_error(now)
    return become.ended_unsent(job, reason=FailureReason.CANCELLED, error=error, by=by)


async def cancel_many(
    database: Database,
    which: CancelFilter,
    *,
    now: datetime,
    by: Actor | None,
    dry_run: bool,
) -> CancelResult:
    """Cancel every job that TikTok has nothing of, claimed ones too."""
    count = 0
    if dry_run:
        count = await _count(database, and_(_waiting(which), _unsent()))
    after = ""
    while not dry_run:
        async with database.write() as connection:
            page = await _page(connection, which, after)
            written = await write_transitions(
                connection,
                [(job, cancelled(job, now=now, by=by)) for job in readable(page)],
                guard=UNCHANGED,
                now=now,
            )
        count += len(written)
        if len(page) < _PAGE:
            break
        after = page[-1]["id"]
    left = await _count(database, _waiting(which))
    return CancelResult(count, left - count if dry_run else left)


async def _page(
    connection: AsyncConnection, which: CancelFilter, after: str
) -> Sequence[Row]:
    statement = (
        select(schedule_jobs)
        .where(_waiting(which), _unsent(), _jobs.id > after)
        .order_by(_jobs.id)
        .limit(_PAGE)
        .with_for_update()
    )
    return (await connection.execute(statement)).mappings().all()


def _waiting(which: CancelFilter) -> ColumnElement[bool]:
    conditions = [
        _jobs.project_id == which.project_id,
        _jobs.status.not_in(_OVER),
    ]
    if which.scheduled_from is not None:
        conditions.append(_jobs.scheduled_for >= which.scheduled_from)
    if which.scheduled_to is not None:
        conditions.append(_jobs.scheduled_for < which.scheduled_to)
    if which.external_id is not None:
        conditions.append(_jobs.external_id == which.external_id)
    return and_(*conditions)


def _unsent() -> ColumnElement[bool]:
    return _jobs.init_sent_at.is_(None)


async def _count(database: Database, which: ColumnElement[bool]) -> int:
    statement = select(func.count()).select_from(schedule_jobs).where(which)
    count: int = await database.value(statement)
    return count
