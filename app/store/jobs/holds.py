"""Holds: which projects' due jobs wait, and how long.

A claim reads them in its own statement and puts held jobs off. Those have
``held_since``; they become due again when the hold is released.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Table,
    Text,
    case,
    delete,
    func,
    literal,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from app.domain.api_key import Actor
from app.domain.errors import NotFound
from app.domain.jobs.history import HistoryEntry, HistoryKind
from app.domain.jobs.hold import WITHOUT_END, Hold
from app.domain.jobs.idempotency_keys import iso_millis
from app.domain.jobs.job import Job
from app.store.db.engine import Store
from app.store.db.metadata import metadata
from app.store.db.notify import hint
from app.store.db.types import Row, UtcDateTime
from app.store.jobs.history import write_for_all, write_history
from app.store.jobs.tables import schedule_jobs

EVERY_PROJECT: Final = "|"
"""The key of the hold of all projects; project names contain no |."""

holds = Table(
    "holds",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
)

_RELEASED: Final = HistoryKind.RELEASED
_holds = holds.c
_jobs = schedule_jobs.c


def held_until(now: ColumnElement[datetime]) -> ColumnElement[datetime | None]:
    """Return a column for RETURNING: the end of a job's longest hold, or NULL."""
    end = func.coalesce(_holds.until, literal(WITHOUT_END, UtcDateTime()))
    longest = select(func.max(end, type_=UtcDateTime())).where(*_holding(now))
    # Looked at once for all the jobs; mostly there is none.
    is_any = select(_holds.project_id).exists()
    return case((is_any, longest.scalar_subquery())).label("held_until")


def is_held(now: ColumnElement[datetime]) -> ColumnElement[bool]:
    """Return a column for RETURNING: whether a job is held."""
    return select(_holds.project_id).where(*_holding(now)).exists().label("is_held")


class HoldStore(Store):
    """Sets, shows and releases holds; None stands for all projects."""

    async def put(self, hold: Hold, *, now: datetime) -> bool:
        """Set or change a project's hold; True if there was none."""
        key = hold.project_id or EVERY_PROJECT
        values = {"reason": hold.reason, "until": hold.until, "created_at": now}
        new = self._database.insert_new(holds).values(project_id=key, **values)
        async with self._database.write() as connection:
            former = await _active(connection, key, now)
            if not (await connection.execute(new)).rowcount:
                changed = update(holds).where(_holds.project_id == key)
                await connection.execute(changed.values(**values))
                await _let_go(connection, key)  # to be put off again until the new end
        return former is None

    async def get(self, project_id: str | None, *, now: datetime) -> Hold:
        """Return the current hold; raises NotFound."""
        async with self._database.read() as connection:
            hold = await _active(connection, project_id or EVERY_PROJECT, now)
        if hold is None:
            raise NotFound
        return hold

    async def delete(
        self, project_id: str | None, *, now: datetime, by: Actor | None = None
    ) -> None:
        """Take a hold away and let what it kept back go on; raises NotFound."""
        key = project_id or EVERY_PROJECT
        async with self._database.write() as connection:
            former = await _active(connection, key, now)
            await connection.execute(delete(holds).where(_holds.project_id == key))
            ids = await _let_go(connection, key)
            await write_for_all(connection, ids, _RELEASED, at=now, by=by)
            await hint(connection)
        if former is None:
            raise NotFound

    async def let_go(self, *, now: datetime) -> int:
        """Release held jobs that no hold applies to any more; return how many.

        A claim that began before a hold was released may put jobs off after that.
        """
        of_it = or_(
            _holds.project_id == _jobs.project_id, _holds.project_id == EVERY_PROJECT
        )
        still = select(_holds.project_id).where(of_it, is_active(now)).exists()
        statement = _released().where(~still)
        async with self._database.write() as connection:
            ids = (await connection.execute(statement)).scalars().all()
            await write_for_all(connection, ids, _RELEASED, at=now)
            if ids:
                await hint(connection)
        return len(ids)


def _holding(
    now: ColumnElement[datetime],
) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the conditions of a hold of the job that a RETURNING is about."""
    # Text, since SQLAlchemy drops table names in SQLite's RETURNING, and then
    # project_id = project_id would match every hold.
    project_id = literal_column("schedule_jobs.project_id", Text())
    its = or_(_holds.project_id == project_id, _holds.project_id == EVERY_PROJECT)
    return its, is_active(now)


def is_active(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """Match holds that have not ended."""
    return or_(_holds.until.is_(None), _holds.until > now)


def hold_of(row: Row) -> Hold:
    """Read a hold."""
    key = row["project_id"]
    project_id = None if key == EVERY_PROJECT else key
    return Hold(project_id=project_id, reason=row["reason"], until=row["until"])


async def _active(connection: AsyncConnection, key: str, now: datetime) -> Hold | None:
    found = select(holds).where(_holds.project_id == key, is_active(now))
    row = (await connection.execute(found)).mappings().one_or_none()
    return None if row is None else hold_of(row)


async def tell_of_holds(
    connection: AsyncConnection, jobs: Collection[Job], *, now: datetime
) -> None:
    """Write into the history of jobs that a hold keeps them back, and why."""
    active = select(holds).where(is_active(now))
    found = {row.project_id: row for row in await connection.execute(active)}
    entries = []
    for job in jobs:
        if hold := found.get(job.project_id) or found.get(EVERY_PROJECT):
            until = None if hold.until is None else iso_millis(hold.until)
            told = {"reason": hold.reason, "until": until}
            kind = HistoryKind.HELD
            entries.append(HistoryEntry(job_id=job.id, at=now, kind=kind, data=told))
    await write_history(connection, entries)


async def _let_go(connection: AsyncConnection, key: str) -> Sequence[str]:
    """Make due what was kept back; the next claim asks for holds anew."""
    statement = _released()
    if key != EVERY_PROJECT:
        statement = statement.where(_jobs.project_id == key)
    return [row.id for row in await connection.execute(statement)]


def _released() -> ReturningUpdate[Any]:
    """Make held jobs due at their own time, in whose order they then go.

    Older versions left the mark on jobs that a person cancelled: those stay over.
    """
    waiting = _jobs.next_attempt_at.is_not(None), _jobs.claim_token.is_(None)
    return (
        update(schedule_jobs)
        .where(_jobs.held_since.is_not(None), *waiting)
        .values(next_attempt_at=_jobs.scheduled_for, held_since=None)
        .returning(_jobs.id)
    )
