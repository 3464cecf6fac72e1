"""Figures for operators: what is due, in flight, failed or held, or needs a person."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import ColumnElement, ScalarSelect, Select, func, literal_column, select

from app.domain.jobs.hold import Hold
from app.domain.jobs.job import FailureReason, JobStatus
from app.store.accounts.tables import NEEDS_RECONNECT, accounts
from app.store.db.engine import Store
from app.store.jobs.holds import hold_of, holds, is_active
from app.store.jobs.tables import IS_UNCONFIRMED, schedule_jobs

COUNTED_AT_MOST: Final = 100_000
"""Where counting stops: above it the exact figure no longer matters."""

FAILED_WITHIN: Final = timedelta(days=1)

_ONE: Final[ColumnElement[int]] = literal_column("1")
_jobs = schedule_jobs.c


class Backlog(Struct, frozen=True):
    """The queue at one moment."""

    due: int  # not claimed, or claimed with a lease that has run out
    oldest: datetime | None  # since when the first of them has been due
    unconfirmed: int = 0
    reconnect_required: int = 0


class JobsAndHolds(Struct, frozen=True, kw_only=True):
    """Jobs and holds at one moment."""

    in_flight: int
    failed: Mapping[FailureReason, int]  # within a day
    holds: tuple[Hold, ...]


class BacklogStore(Store):
    """Reads the queue."""

    async def look(self, *, now: datetime) -> Backlog:
        """Count on partial indexes that hold no finished jobs or usable accounts."""
        statement = select(
            _count(select(_ONE).where(_jobs.next_attempt_at <= now)),
            select(func.min(_jobs.next_attempt_at))
            .where(_jobs.next_attempt_at <= now)
            .scalar_subquery(),
            _count(select(_ONE).select_from(schedule_jobs).where(IS_UNCONFIRMED)),
            _count(select(_ONE).select_from(accounts).where(NEEDS_RECONNECT)),
        )
        async with self._database.read() as connection:
            return Backlog(*(await connection.execute(statement)).one())

    async def jobs_and_holds(self, *, now: datetime) -> JobsAndHolds:
        """Read the rest, without an index of its own: an operator asks seldom."""
        in_flight = select(func.count()).where(_jobs.status == JobStatus.PROCESSING)
        lately = _jobs.updated_at > now - FAILED_WITHIN
        failed = (
            select(_jobs.failure_reason, func.count())
            .where(_jobs.status == JobStatus.FAILED, lately)
            .group_by(_jobs.failure_reason)
        )
        active = select(holds).where(is_active(now))
        async with self._database.read() as connection:
            reasons = (await connection.execute(failed)).all()
            kept = (await connection.execute(active)).mappings().all()
            return JobsAndHolds(
                in_flight=(await connection.execute(in_flight)).scalar_one(),
                failed={FailureReason(reason): count for reason, count in reasons},
                holds=tuple(map(hold_of, kept)),
            )


def _count(rows: Select[int]) -> ScalarSelect[int]:
    some = rows.limit(COUNTED_AT_MOST).subquery()
    return select(func.count()).select_from(some).scalar_subquery()
