"""Claim readiness checks, and write their results."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, func, literal_column, select, update

from app.domain.events import EventType, puts_at_risk
from app.domain.jobs.job import Job
from app.domain.jobs.readiness import Readiness
from app.store.db.engine import Database
from app.store.db.locks import unlocked
from app.store.jobs.rows import readable, readiness_to_json
from app.store.jobs.tables import schedule_jobs
from app.store.webhooks.outbox import JOB_LISTENER, job_events, tell

LEASE: Final = timedelta(minutes=2)
"""How long a worker has for a check before another may try."""

_MINUTE: Final = timedelta(minutes=1)
_jobs = schedule_jobs.c
# A literal, so that the planner uses the partial index.
_SCHEDULED = _jobs.status == literal_column("'scheduled'")


class ReadinessStore:
    """Claims readiness checks, not jobs: it writes no status and no claim."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim_due(self, *, now: datetime, limit: int) -> tuple[Job, ...]:
        """Claim jobs whose check is due."""
        due = and_(_SCHEDULED, _jobs.readiness_at <= now, _jobs.scheduled_for > now)
        first = select(_jobs.id).where(due).order_by(_jobs.readiness_at).limit(limit)
        statement = (
            update(schedule_jobs)
            .where(unlocked(first, is_sqlite=self._database.is_sqlite), due)
            .values(readiness_at=now + LEASE)
            .returning(schedule_jobs)
        )
        async with self._database.write() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return readable(rows)

    async def save(
        self, job: Job, found: Readiness, *, next_look: datetime | None
    ) -> bool:
        """Write a check's result; False if the job was changed or claimed meanwhile."""
        statement = (
            update(schedule_jobs)
            .where(
                _jobs.id == job.id,
                _SCHEDULED,
                _jobs.readiness_at == job.readiness_at,
            )
            .values(
                readiness=readiness_to_json(found),
                readiness_at=next_look,
                updated_at=found.checked_at,
            )
            .returning(schedule_jobs, JOB_LISTENER)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
            if row is not None and puts_at_risk(found, job.readiness):
                events = job_events([EventType.JOB_AT_RISK], row)
                await tell(connection, events, now=found.checked_at)
        return row is not None

    async def due_in_minute_of(self, job: Job, *, at_most: int) -> int:
        """Count the project's jobs due in the job's minute, up to a limit."""
        minute = job.scheduled_for.replace(second=0, microsecond=0)
        found = (
            select(_jobs.id)
            .where(
                _jobs.next_attempt_at >= minute,
                _jobs.next_attempt_at < minute + _MINUTE,
                _jobs.project_id == job.project_id,
                _jobs.platform == job.platform,
            )
            .limit(at_most)
            .subquery()
        )
        statement = select(func.count()).select_from(found)
        count: int = await self._database.value(statement)
        return count
