"""Find jobs that changed lately, for the stream."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import ARRAY, Column, ColumnElement, and_, any_, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.jobs.job import Job
from app.store.db.engine import Store
from app.store.db.types import unseen_since
from app.store.jobs.rows import shown_from_row
from app.store.jobs.tables import schedule_jobs

_AT_ONCE: Final = 500  # SQLite and Postgres limit the parameters of a statement
_PAGE: Final = 2000  # rows: more in one piece would keep the loop from others
_CLOCKS_DIFFER: Final = timedelta(hours=1)
_jobs = schedule_jobs.c


def written_since(moment: datetime) -> ColumnElement[bool]:
    """Match jobs written since then: few, found by an index.

    Use it with a condition on a time that has no index. It allows for differing clocks.
    """
    return unseen_since(_jobs.updated_at, moment - _CLOCKS_DIFFER)


class Change(Struct, frozen=True):
    """A job's id, and when it was written."""

    project_id: str
    job_id: str
    at: datetime


class ChangeStore(Store):
    """Reads changes."""

    async def since(
        self, moment: datetime, project_ids: Collection[str], *, limit: int
    ) -> list[Change]:
        """Return the changes of some projects since a time, newest first."""
        found: list[Change] = []
        if not project_ids:
            return found
        async with self._database.read() as connection:
            for some in _parts(sorted(project_ids)):
                is_new = and_(self._among(_jobs.project_id, some), _since(moment))
                found += await _newest(connection, is_new, limit)
        return sorted(found, key=lambda change: change.at, reverse=True)[:limit]

    async def jobs(self, job_ids: Collection[str]) -> list[Job]:
        """Return those jobs that still exist, oldest change first."""
        found: list[Job] = []
        if not job_ids:
            return found
        async with self._database.read() as connection:
            for some in _parts(sorted(job_ids)):
                statement = select(schedule_jobs).where(self._among(_jobs.id, some))
                rows = await connection.execute(statement)
                found += [shown_from_row(row) for row in rows.mappings()]
        return sorted(found, key=lambda job: job.updated_at)

    def _among(self, key: Column[str], values: Sequence[str]) -> ColumnElement[bool]:
        """Match some keys: on Postgres one parameter, as many take long to write."""
        if self._database.is_sqlite:
            return key.in_(values)
        return key == any_(literal(values, ARRAY(key.type)))


async def _newest(
    connection: AsyncConnection, is_new: ColumnElement[bool], limit: int
) -> list[Change]:
    found: list[Change] = []
    where = is_new
    while len(found) < limit:
        page = min(_PAGE, limit - len(found))
        statement = (
            select(_jobs.project_id, _jobs.id, _jobs.updated_at)
            .where(where)
            .order_by(_jobs.updated_at.desc(), _jobs.id.desc())
            .limit(page)
        )
        rows = (await connection.execute(statement)).all()
        found += [Change(*row) for row in rows]
        if len(rows) < page:
            break
        where = and_(is_new, _older_than(found[-1]))
    return found


def _since(moment: datetime) -> ColumnElement[bool]:
    return _jobs.updated_at >= moment


def _older_than(last: Change) -> ColumnElement[bool]:
    is_before = or_(_jobs.updated_at < last.at, _jobs.id < last.job_id)
    return and_(_jobs.updated_at <= last.at, is_before)


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]
