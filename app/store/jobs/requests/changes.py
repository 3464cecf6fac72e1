"""Find jobs that changed lately, for the stream."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import ColumnElement, select

from app.domain.jobs.job import Job
from app.store.db.engine import Store
from app.store.jobs.rows import shown_from_row
from app.store.jobs.tables import schedule_jobs

_AT_ONCE: Final = 500  # SQLite and Postgres limit the parameters of a statement
_CLOCKS_DIFFER: Final = timedelta(hours=1)
_jobs = schedule_jobs.c


def written_since(moment: datetime) -> ColumnElement[bool]:
    """Match jobs written since then: few, found by an index.

    Use it with a condition on a time that has no index. It allows for differing clocks.
    """
    return _jobs.updated_at >= moment - _CLOCKS_DIFFER


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
        async with self._database.read() as connection:
            for some in _parts(sorted(project_ids)):
                statement = (
                    select(_jobs.project_id, _jobs.id, _jobs.updated_at)
                    .where(_jobs.project_id.in_(some), _jobs.updated_at >= moment)
                    .order_by(_jobs.updated_at.desc())
                    .limit(limit)
                )
                rows = await connection.execute(statement)
                found += [Change(*row) for row in rows]
        return sorted(found, key=lambda change: change.at, reverse=True)[:limit]

    async def jobs(self, job_ids: Collection[str]) -> list[Job]:
        """Return those jobs that still exist, oldest change first."""
        found: list[Job] = []
        async with self._database.read() as connection:
            for some in _parts(sorted(job_ids)):
                statement = select(schedule_jobs).where(_jobs.id.in_(some))
                rows = await connection.execute(statement)
                found += [shown_from_row(row) for row in rows.mappings()]
        return sorted(found, key=lambda job: job.updated_at)


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]
