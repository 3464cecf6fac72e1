"""Queries for an operator: is it posting, and what needs a person."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select

from app.domain.jobs.hold import Hold
from app.domain.jobs.job import FailureReason, JobStatus
from app.store.db.engine import Database
from app.store.jobs.holds import hold_of, holds, is_active
from app.store.jobs.tables import schedule_jobs

FAILED_WITHIN: Final = timedelta(days=1)

_jobs = schedule_jobs.c


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsAndHolds:
    """Jobs and holds at one moment."""

    in_flight: int
    failed: Mapping[FailureReason, int]  # within a day
    holds: tuple[Hold, ...]


class StatusStore:
    """Reads without an index of its own: an operator asks seldom."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self, *, now: datetime) -> JobsAndHolds:
        """Read everything in one transaction; raises StoreUnavailable."""
        in_flight = select(func.count()).where(_jobs.status == JobStatus.PROCESSING)
        lately = _jobs.updated_at > now - FAILED_WITHIN
        failed = (
            select(_jobs.failure_reason, func.count())
            .where(_jobs.status == JobStatus.FAILED, lately)
            .group_by(_jobs.failure_reason)
        )
        active = select(holds).where(is_active(now))
        async with self._database.read() as connection:
            reasons = (await connection.execute(failed)).tuples().all()
            kept = (await connection.execute(active)).mappings().all()
            return JobsAndHolds(
                in_flight=(await connection.execute(in_flight)).scalar_one(),
                failed={FailureReason(reason): count for reason, count in reasons},
                holds=tuple(map(hold_of, kept)),
            )
