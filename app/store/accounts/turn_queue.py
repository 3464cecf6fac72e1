"""Turns: when each of an account's due jobs may try its init."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    TextClause,
    Update,
    and_,
    case,
    func,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.jobs.job import JobStatus, WaitingFor
from app.store.db.engine import Database
from app.store.jobs.tables import IS_PROCESSING, schedule_jobs

_jobs = schedule_jobs.c


class JobsBeforeInit(Struct, frozen=True):
    """A project's jobs that have sent no init."""

    project_id: str
    platform: str
    due_before: datetime

    def all(self) -> ColumnElement[bool]:
        """Match all of them."""
        return and_(
            _jobs.project_id == self.project_id,
            _jobs.platform == self.platform,
            _jobs.init_sent_at.is_(None),
        )

    def due(self) -> ColumnElement[bool]:
        """Match those that are due and not claimed."""
        return and_(
            self.all(),
            _jobs.status.in_((JobStatus.SCHEDULED, JobStatus.RETRYING)),
            _jobs.next_attempt_at < self.due_before,
        )


class AssignedTurns(Struct, frozen=True):
    """How many jobs had a turn already, and until when those without are put off."""

    already_waiting: int  # jobs being run queue behind these
    put_off_rest_to: datetime | None = None  # None: every due job has a turn


async def assign_turns(
    connection: AsyncConnection,
    jobs: JobsBeforeInit,
    turns: Sequence[datetime],
    *,
    limit: int,
    now: datetime,
) -> AssignedTurns:
    """Move due jobs to their turns, ``limit`` to each.

    Takes a few statements however many jobs there are.
    """
    waiting = await _count(
        connection,
        jobs.all(),
        _jobs.waiting_for == WaitingFor.QUOTA,
        _jobs.next_attempt_at.between(jobs.due_before, turns[-1]),
    )
    claimed = _jobs.claim_token.is_not(None)
    running = await _count(connection, jobs.all(), IS_PROCESSING, claimed)
    free = _free_in_each(turns[:-1], limit, taken=waiting + running)
    for turn, count in free.items():
        # A job that was moved to its turn is no longer due.
        oldest = select(_jobs.id).where(jobs.due()).order_by(_jobs.scheduled_for)
        next_few = and_(_jobs.id.in_(oldest.limit(count)), jobs.due())
        move = _moved(next_few, turn, first=jobs.due_before, now=now)
        if (await connection.execute(move)).rowcount < count:
            return AssignedTurns(waiting)
    return AssignedTurns(waiting, put_off_rest_to=turns[-1])


async def put_off_due(
    database: Database,
    connection: AsyncConnection,
    jobs: JobsBeforeInit,
    *,
    until: datetime,
    now: datetime,
) -> None:
    """Put off all due jobs.

    Rows that another worker puts off at the same time are skipped: two workers that
    wait for each other's rows would deadlock.
    """
    due = select(_jobs.id).where(jobs.due())
    mine = and_(database.unlocked(due), jobs.due())
    move = _moved(mine, until, first=jobs.due_before, now=now)
    await connection.execute(move)


def _free_in_each(
    turns: Sequence[datetime], limit: int, *, taken: int
) -> dict[datetime, int]:
    """Return how many more jobs fit into each turn; full turns are left out."""
    full, part = divmod(taken, limit)
    free = dict.fromkeys(turns[full:], limit)
    return free | dict.fromkeys(turns[full : full + 1], limit - part)


def _moved(
    which: ColumnElement[bool], to: datetime, *, first: datetime, now: datetime
) -> Update:
    """Move jobs to a turn; one whose deadline comes sooner to that, to end missed.

    Nothing is moved before ``first``: it would be due still.
    """
    by, is_late = _jobs.publish_by, _jobs.publish_by < to
    at = case((and_(is_late, by > first), by), (is_late, first), else_=to)
    return (
        update(schedule_jobs)
        .where(which)
        .values(
            next_attempt_at=at,
            waiting_for=WaitingFor.QUOTA,
            updated_at=now,
        )
    )


async def _count(
    connection: AsyncConnection, *which: ColumnElement[bool] | TextClause
) -> int:
    counted = select(func.count()).select_from(schedule_jobs).where(*which)
    count: int = (await connection.execute(counted)).scalar_one()
    return count
