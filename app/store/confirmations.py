"""Jobs that are over and in doubt, and what TikTok's webhooks said about them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import and_, exists, func, select, update

from app.domain.job import Job, JobStatus
from app.domain.transition import Transition
from app.store.engine import Database
from app.store.rows import job_from_row
from app.store.tables import accounts, schedule_jobs, tiktok_events
from app.store.writes import in_state_of, write_transition

_jobs = schedule_jobs.c

LEASE: Final = timedelta(minutes=2)
"""How long one worker has for a confirmation before another may try."""


@dataclass(frozen=True, slots=True)
class Clues:
    """What may tell which publish an unanswered init became."""

    publish_ids: tuple[str, ...]  # told by webhooks, and nobody's yet
    rivals: int  # other unanswered inits of the account that they could belong to


class ConfirmationStore:
    """Claims doubtful jobs and corrects their record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim_due(self, *, now: datetime, limit: int) -> tuple[Job, ...]:
        """Take jobs that are to be looked at again, for this worker alone."""
        due = (
            select(_jobs.id)
            .where(_jobs.confirm_at <= now)
            .order_by(_jobs.confirm_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("due")
        )
        statement = (
            update(schedule_jobs)
            .where(_jobs.id.in_(select(due.c.id)), _jobs.confirm_at <= now)
            .values(confirm_at=now + LEASE, updated_at=now)
            .returning(schedule_jobs)
        )
        async with self._database.write() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return tuple(job_from_row(row) for row in rows)

    async def apply(self, job: Job, change: Transition, *, now: datetime) -> Job | None:
        """Correct a job's record; None if it changed since it was claimed."""
        async with self._database.write() as connection:
            return await write_transition(
                connection, job, change, guard=in_state_of(job), now=now
            )

    async def clues(self, job: Job, open_id: str, *, since: datetime) -> Clues:
        """Return the publishes of an account that no job knows of."""
        owned = exists().where(_jobs.publish_id == tiktok_events.c.publish_id)
        told = (
            select(tiktok_events.c.publish_id)
            .where(
                tiktok_events.c.open_id == open_id,
                tiktok_events.c.received_at >= since,
                tiktok_events.c.publish_id.is_not(None),
                ~owned,
            )
            .distinct()
        )
        projects = select(accounts.c.project_id).where(
            accounts.c.platform == job.platform, accounts.c.open_id == open_id
        )
        rivals = select(func.count()).where(
            _jobs.project_id.in_(projects),
            _jobs.platform == job.platform,
            _jobs.id != job.id,
            _jobs.status != JobStatus.POSTED,
            _jobs.init_sent_at.is_not(None),
            _jobs.publish_id.is_(None),
        )
        async with self._database.read() as connection:
            publish_ids = (await connection.execute(told)).scalars().all()
            count: int = (await connection.execute(rivals)).scalar_one()
        return Clues(tuple(publish_ids), count)

    async def is_known(self, platform: str, post_id: str) -> bool:
        """Tell whether a job has this TikTok video already."""
        statement = select(
            exists().where(and_(_jobs.platform == platform, _jobs.post_id == post_id))
        )
        async with self._database.read() as connection:
            known: bool = (await connection.execute(statement)).scalar_one()
        return known
