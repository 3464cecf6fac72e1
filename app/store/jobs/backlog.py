"""How much is due and waits, and how much waits for a person."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, literal_column, select

from app.store.accounts.tables import RECONNECT_REQUIRED, accounts
from app.store.db.engine import Database
from app.store.jobs.tables import UNCONFIRMED, schedule_jobs

COUNTED_AT_MOST: Final = 100_000
"""Where counting stops: beyond it a figure says no more than that it is too many."""

_ONE: Final[ColumnElement[int]] = literal_column("1")
_jobs = schedule_jobs.c


@dataclass(frozen=True, slots=True)
class Backlog:
    """What the queue holds at one moment."""

    due: int  # nobody has them, or whoever had them let its lease run out
    oldest: datetime | None  # since when the first of them is due
    unconfirmed: int = 0
    reconnect_required: int = 0


class BacklogStore:
    """Looks at the queue without touching it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self, *, now: datetime) -> Backlog:
        """Read each figure off an index that finished jobs and good accounts leave."""
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
