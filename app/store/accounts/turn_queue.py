"""The jobs that wait for their account's next inits, each for its turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Update, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.job import JobStatus, WaitingFor
from app.store.jobs.tables import schedule_jobs

_jobs = schedule_jobs.c


@dataclass(frozen=True, slots=True)
class UnsentJobs:
    """A project's jobs whose init is yet to come, and which of them are due."""

    project_id: str
    platform: str
    due_before: datetime

    def all(self) -> ColumnElement[bool]:
        """Match every one of them."""
        return and_(
            _jobs.project_id == self.project_id,
            _jobs.platform == self.platform,
            _jobs.init_sent_at.is_(None),
        )

    def due(self) -> ColumnElement[bool]:
        """Match those that wait for a worker."""
        return and_(
            self.all(),
            _jobs.status.in_((JobStatus.SCHEDULED, JobStatus.RETRYING)),
            _jobs.next_attempt_at < self.due_before,
        )


@dataclass(frozen=True, slots=True)
class Turns:
    """How a project's jobs were lined up."""

    preflights: (
        int  # that have a turn already: there the turns of those being run begin
    )
    crowd_until: datetime | None = None  # when it is on those that found no turn


async def line_up(
    connection: AsyncConnection,
    jobs: UnsentJobs,
    turns: Sequence[datetime],
    *,
    limit: int,
    now: datetime,
) -> Turns:
    """Give due jobs their turns; a few statements however many there are."""
    waiting = await _count(
        connection,
        jobs.all(),
        _jobs.waiting_for == WaitingFor.QUOTA,
        _jobs.next_attempt_at.between(jobs.due_before, turns[-1]),
    )
    running = await _count(connection, jobs.all(), _jobs.claim_token.is_not(None))
    for turn, room in _rooms(turns[:-1], limit, taken=waiting + running).items():
        # The next few by their time; what has its turn is due no longer.
        some = select(_jobs.id).where(jobs.due()).order_by(_jobs.scheduled_for)
        few = and_(_jobs.id.in_(some.limit(room)), jobs.due())
        if (await connection.execute(_moved(few, turn, now))).rowcount < room:
            return Turns(waiting)
    return Turns(waiting, crowd_until=turns[-1])


async def put_off(
    connection: AsyncConnection, jobs: UnsentJobs, *, until: datetime, now: datetime
) -> None:
    """Put off all that are due.

    What another worker puts off just now is left to it: two that wait for each other's
    rows could wait for ever.
    """
    free = select(_jobs.id).where(jobs.due()).with_for_update(skip_locked=True).cte()
    mine = and_(_jobs.id.in_(select(free.c.id)), jobs.due())
    await connection.execute(_moved(mine, until, now))


def _rooms(turns: Sequence[datetime], limit: int, *, taken: int) -> dict[datetime, int]:
    """Say how many more each turn has room for."""
    full, part = divmod(taken, limit)
    left = dict.fromkeys(turns[full:], limit)
    return left | dict.fromkeys(turns[full : full + 1], limit - part)


def _moved(which: ColumnElement[bool], to: datetime, now: datetime) -> Update:
    return (
        update(schedule_jobs)
        .where(which)
        .values(next_attempt_at=to, waiting_for=WaitingFor.QUOTA, updated_at=now)
    )


async def _count(connection: AsyncConnection, *which: ColumnElement[bool]) -> int:
    counted = select(func.count()).select_from(schedule_jobs).where(*which)
    count: int = (await connection.execute(counted)).scalar_one()
    return count
