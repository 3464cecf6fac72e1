"""How much is due and waits."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from app.store.engine import Database
from app.store.tables import schedule_jobs


@dataclass(frozen=True, slots=True)
class Backlog:
    """The jobs that are due and that no worker has."""

    due: int
    oldest: datetime | None
    unconfirmed: int = 0
    reconnect_required: int = 0


class BacklogStore:
    """Looks at the queue without touching it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self, *, now: datetime) -> Backlog:
        """Count what is due, by the index of due jobs."""
        jobs = schedule_jobs.c
        statement = select(func.count(), func.min(jobs.next_attempt_at)).where(
            jobs.next_attempt_at <= now, jobs.claim_token.is_(None)
        )
        async with self._database.read() as connection:
            due, oldest = (await connection.execute(statement)).one()
        return Backlog(due, oldest)
