"""After a restore: jobs that may have been posted since the backup."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select, update

from app.domain.codes import RESTORED
from app.domain.jobs import transition as become
from app.domain.jobs.job import ErrorClass, Job, JobStatus
from app.domain.jobs.outcome import Fault
from app.domain.jobs.transition import Transition
from app.store.db.engine import Database, Store
from app.store.jobs.rows import shown_from_row
from app.store.jobs.tables import schedule_jobs
from app.store.jobs.transitions import UNCHANGED, write_transitions
from app.store.runners import runners

_jobs = schedule_jobs.c
NOTHING: Final[Mapping[str, None]] = MappingProxyType({})
_PAGE: Final = 500  # rows whose locks one transaction holds
_OVER: Final = (JobStatus.POSTED, JobStatus.FAILED)
_RESTORED: Final = Fault(
    error_class=ErrorClass.TRANSIENT,
    code=RESTORED,
    message="it may have been posted since the backup that was restored",
)


class RestoreStore(Store):
    """Finds and ends jobs that may have been posted since a backup."""

    async def count(self, *, now: datetime) -> int:
        """Return how many jobs would be ended."""
        statement = select(func.count()).where(may_be_posted(now))
        return await self._database.value(statement)

    async def end_doubtful(self, *, now: datetime) -> int:
        """End them as unconfirmed, with events and history; return how many.

        Open inits and publish_ids stay in the record as guards. It may be repeated.
        Runners that the backup knows are over: nobody waits for their word.
        """
        async with self._database.single() as connection:
            await connection.execute(update(runners).values(server=None))
        error = _RESTORED.to_error(now)
        return await end_each(
            self._database,
            may_be_posted(now),
            lambda job: become.doubted(job, error=error),
            now=now,
        )


async def end_each(
    database: Database,
    which: ColumnElement[bool],
    change: Callable[[Job], Transition],
    *,
    now: datetime,
    forgets: Mapping[str, None] = NOTHING,
) -> int:
    """Write a change of each job that matches, a page at a time; return how many.

    ``forgets`` are columns that are emptied besides.
    """
    count, after = 0, ""
    while True:
        page = select(schedule_jobs).where(which, _jobs.id > after)
        page = page.order_by(_jobs.id).limit(_PAGE)
        async with database.write() as connection:
            rows = (await connection.execute(page)).mappings().all()
            jobs = [shown_from_row(row) for row in rows]
            changes = [(job, change(job)) for job in jobs]
            written = await write_transitions(
                connection, changes, guard=UNCHANGED, now=now
            )
            if forgets and written:
                emptied = update(schedule_jobs).where(_jobs.id.in_(list(written)))
                await connection.execute(emptied.values(forgets))
        if not rows:
            return count
        count, after = count + len(written), jobs[-1].id


def may_be_posted(now: datetime) -> ColumnElement[bool]:
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
