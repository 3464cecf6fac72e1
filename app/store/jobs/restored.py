"""After a restore: jobs that may have been posted since the backup."""

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select

from app.domain.codes import RESTORED
from app.domain.jobs import transition as become
from app.domain.jobs.job import ErrorClass, JobStatus
from app.domain.jobs.outcome import Fault
from app.store.db.engine import Database
from app.store.jobs.rows import shown_from_row
from app.store.jobs.tables import schedule_jobs
from app.store.jobs.transitions import UNCHANGED, write_transitions

_jobs = schedule_jobs.c
_PAGE: Final = 500  # rows whose locks one transaction holds
_OVER: Final = (JobStatus.POSTED, JobStatus.FAILED)
_RESTORED: Final = Fault(
    error_class=ErrorClass.TRANSIENT,
    code=RESTORED,
    message="it may have been posted since the backup that was restored",
)


class RestoreStore:
    """Finds and ends jobs that may have been posted since a backup."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, *, now: datetime) -> int:
        """Return how many jobs would be ended."""
        statement = select(func.count()).where(_in_doubt(now))
        async with self._database.read() as connection:
            count: int = (await connection.execute(statement)).scalar_one()
        return count

    async def hold(self, *, now: datetime) -> int:
        """End them as unconfirmed, with events and history; return how many.

        Open inits and publish_ids stay in the record as guards. It may be repeated.
        """
        count, after = 0, ""
        while rows := await self._hold_page(after, now):
            count, after = count + rows[0], rows[1]
        return count

    async def _hold_page(self, after: str, now: datetime) -> tuple[int, str] | None:
        """Return how many were ended, and the last one of the page."""
        statement = (
            select(schedule_jobs)
            .where(_in_doubt(now), _jobs.id > after)
            .order_by(_jobs.id)
            .limit(_PAGE)
        )
        error = _RESTORED.to_error(now)
        async with self._database.write() as connection:
            rows = (await connection.execute(statement)).mappings().all()
            written = await write_transitions(
                connection,
                [
                    (job, become.doubted(job, error=error))
                    for job in map(shown_from_row, rows)
                ],
                guard=UNCHANGED,
                now=now,
            )
        return (len(written), rows[-1]["id"]) if rows else None


def _in_doubt(now: datetime) -> ColumnElement[bool]:
    """Match open jobs that were due or claimed, or have an open init.

    A lease or a next poll may end after the backup and be long over by now, so claims
    and open inits are matched besides the time.
    """
    return and_(
        _jobs.status.not_in(_OVER),
        or_(
            _jobs.next_attempt_at <= now,
            _jobs.claim_token.is_not(None),
            _jobs.init_sent_at.is_not(None),
            _jobs.publish_id.is_not(None),
        ),
    )
