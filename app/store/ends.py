"""What attempts came to: the ends of many, with all that belongs to each, at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import FromClause, Insert, Text, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from app.domain.job import AttemptRecord, Job
from app.domain.transition import Transition, applied
from app.store.bulk import Given
from app.store.engine import Database
from app.store.outbox import JOB_LISTENER, Changed, tell_of_jobs
from app.store.tables import job_attempts, schedule_jobs
from app.store.together import Together
from app.store.writes import (
    CHANGED,
    all_owned,
    changed_values,
    links_given_up,
    revoke_links,
)

_jobs = schedule_jobs.c
_RECORDED: Final = tuple(field.name for field in fields(AttemptRecord))
_recorded = attrgetter(*_RECORDED)


@dataclass(frozen=True, slots=True)
class _End:
    job: Job  # as the attempt knows it
    change: Transition
    after: Job


class EndWriter:
    """Writes transitions under claim tokens, each with its ledger row and its events.

    One transaction for all that end at one time: as durable, at the price of one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        types = {name: _jobs[name].type for name in CHANGED}
        self._given = Given(
            {"id": Text(), "owned_by": Text(), **types}, is_sqlite=database.is_sqlite
        )
        columns = [job_attempts.c[name] for name in ("job_id", *_RECORDED)]
        self._entries = Given.like(columns, is_sqlite=database.is_sqlite)
        self._update = _update(self._given.table)
        self._insert = _insert(self._entries.table)
        self._together = Together(self._write_all, spawn=database.spawn)

    async def write(self, job: Job, change: Transition, *, now: datetime) -> Job | None:
        """Write an end, and return only once it is durable; None if the claim is lost.

        One that the database refuses is nobody else's loss.
        """
        end = _End(job, change, applied(job, change, now=now))
        return await self._together.ask(job.id, end)

    async def _write_all(self, asked: Mapping[str, _End]) -> dict[str, Job]:
        # In one order everywhere: no two workers wait for each other's rows.
        ends = [asked[job_id] for job_id in sorted(asked)]
        values = self._given.bind([_row(end) for end in ends])
        now = max(end.after.updated_at for end in ends)
        async with self._database.write() as connection:
            result = await connection.execute(self._update, values)
            listeners = {row.id: row.listener for row in result}
            written = [end for end in ends if end.job.id in listeners]
            await self._record(connection, written)
            await _tell(connection, written, listeners, now=now)
            links = links_given_up((end.job, end.change) for end in written)
            await revoke_links(connection, links, now=now)
        return {end.job.id: end.after for end in written}

    async def _record(
        self, connection: AsyncConnection, written: Iterable[_End]
    ) -> None:
        rows = [
            (end.job.id, *_recorded(end.change.entry))
            for end in written
            if end.change.entry is not None
        ]
        if rows:
            await connection.execute(self._insert, self._entries.bind(rows))


async def _tell(
    connection: AsyncConnection,
    written: Sequence[_End],
    listeners: Mapping[str, str | None],
    *,
    now: datetime,
) -> None:
    """Write the events of those that somebody wants to be told of: few, mostly none."""
    told = [end for end in written if listeners[end.job.id] is not None]
    if not told:
        return
    ids = [end.job.id for end in told]
    statement = select(schedule_jobs, JOB_LISTENER).where(_jobs.id.in_(ids))
    rows = (await connection.execute(statement)).mappings().all()
    found = {row["id"]: row for row in rows}
    changes = [Changed(end.job, end.change, found[end.job.id]) for end in told]
    await tell_of_jobs(connection, changes, now=now)


def _row(end: _End) -> tuple[Any, ...]:
    return (end.job.id, end.job.claim_token, *changed_values(end.after))


def _update(given: FromClause) -> ReturningUpdate[Any]:
    new = given.c
    return (
        update(schedule_jobs)
        .where(all_owned(given))
        .values({**{name: new[name] for name in CHANGED}, "abandoned_by": null()})
        .returning(_jobs.id, JOB_LISTENER)
    )


def _insert(given: FromClause) -> Insert:
    columns = ("job_id", *_RECORDED)
    return insert(job_attempts).from_select(
        columns, select(*[given.c[name] for name in columns])
    )
