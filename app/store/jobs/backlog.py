"""Count the jobs that are due and those that wait for a person."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, literal_column, select

from app.store.accounts.tables import RECONNECT_REQUIRED, accounts
from app.store.db.engine import Database
from app.store.jobs.tables import UNCONFIRMED, schedule_jobs

COUNTED_AT_MOST: Final = 100_000
"""Where counting stops: above it the exact figure no longer matters."""

_ONE: Final[ColumnElement[int]] = literal_column("1")
_jobs = schedule_jobs.c


@dataclass(frozen=True, slots=True)
class Backlog:
    """The queue at one moment."""

    due: int  # not claimed, or claimed with a lease that has run out
    oldest: datetime | None  # since when the first of them has been due
    unconfirmed: int = 0
    reconnect_required: int = 0


class BacklogStore:
    """Reads the queue."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self, *, now: datetime) -> Backlog:
        """Count on partial indexes that hold no finished jobs or usable accounts."""
        statement = select(
            _count(select(_ONE).where(_jobs.next_attempt_at <= now)),
            select(func.min(_jobs.next_attempt_at))
            .where(_jobs.next_attempt_at <= now)
            .scalar_subquery(),
            _count(select(_ONE).select_from(schedule_jobs).where(UNCONFIRMED)),
            _count(select(_ONE).select_from(accounts).where(RECONNECT_REQUIRED)),
        )
        async with self._database.read() as connection:
            return Backlog(*(await connection.execute(statement)).one())


def _count(rows: Select[int]) -> ScalarSelect[int]:
    some = rows.limit(COUNTED_AT_MOST).subquery()
    return select(func.count()).select_from(some).scalar_subquery()
