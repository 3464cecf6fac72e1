"""What attempts came to: the ends of many, with all that belongs to each, at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import FromClause, Insert, Select, Text, insert, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from app.domain.job import AttemptRecord, Job
from app.domain.transition import Transition, applied
from app.store.db.batcher import Batcher
from app.store.db.bulk_values import BulkValues
from app.store.db.engine import Database
from app.store.jobs.statements import (
    CHANGED,
    all_owned,
    changed_values,
    links_given_up,
    revoke_links,
)
from app.store.jobs.tables import job_attempts, schedule_jobs
from app.store.webhooks.outbox import JOB_LISTENER, ChangedJob, tell_of_jobs

_jobs = schedule_jobs.c

# What the ledger says that the job's own columns do not, beside them in ``given``.
_SAID: Final = tuple(
    field.name
    for field in fields(AttemptRecord)
    if field.name not in {"number", "publish_id"}
)
_said = attrgetter(*_SAID)
_NO_ENTRY: Final = (None,) * len(_SAID)
_ENTRY: Final = tuple(f"entry_{name}" for name in _SAID)


@dataclass(frozen=True, slots=True)
class _End:
    job: Job  # as the attempt knows it
    change: Transition
    after: Job


class TransitionWriter:
    """Writes transitions under claim tokens, each with its ledger row and its events.

    One transaction for all that end at one time: as durable, at the price of one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._given = BulkValues(
            {
                "id": Text(),
                "owned_by": Text(),
                **{name: _jobs[name].type for name in CHANGED},
                **{f"entry_{name}": job_attempts.c[name].type for name in _SAID},
            },
            is_sqlite=database.is_sqlite,
        )
        self._update = _update(self._given.table)
        self._record = _record(self._given.table)
        self._update_and_record = _update_and_record(self._given.table)
        self._batcher = Batcher(self._write_all, spawn=database.spawn)

    async def write(self, job: Job, change: Transition, *, now: datetime) -> Job | None:
        """Write an end, and return only once it is durable; None if the claim is lost.

        One that the database refuses is nobody else's loss.
        """
        end = _End(job, change, applied(job, change, now=now))
        return await self._batcher.ask(job.id, end)

    async def _write_all(self, asked: Mapping[str, _End]) -> dict[str, Job]:
        # In one order everywhere: no two workers wait for each other's rows.
        ends = [asked[job_id] for job_id in sorted(asked)]
        now = max(end.after.updated_at for end in ends)
        async with self._database.write() as connection:
            listeners = await self._end(connection, ends)
            written = [end for end in ends if end.job.id in listeners]
            await _tell(connection, written, listeners, now=now)
            links = links_given_up((end.job, end.change) for end in written)
            await revoke_links(connection, links, now=now)
        return {end.job.id: end.after for end in written}

    async def _end(
        self, connection: AsyncConnection, ends: Sequence[_End]
    ) -> dict[str, str | None]:
        """Write ends and ledger; return the listener of each job still owned."""
        values = self._given.bind([_row(end) for end in ends])
        if not self._database.is_sqlite:
            result = await connection.execute(self._update_and_record, values)
            return {row.id: row.listener for row in result}
        # SQLite lets no statement that changes rows stand within another.
        result = await connection.execute(self._update, values)
        listeners = {row.id: row.listener for row in result}
        if written := [_row(end) for end in ends if end.job.id in listeners]:
            await connection.execute(self._record, self._given.bind(written))
        return listeners


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
    changes = [ChangedJob(end.job, end.change, found[end.job.id]) for end in told]
    await tell_of_jobs(connection, changes, now=now)


def _row(end: _End) -> tuple[Any, ...]:
    entry = end.change.entry
    said = _NO_ENTRY if entry is None else _said(entry)
    return (end.job.id, end.job.claim_token, *changed_values(end.after), *said)


def _update(given: FromClause) -> ReturningUpdate[Any]:
    new = given.c
    return (
        update(schedule_jobs)
        .where(all_owned(given))
        .values({**{name: new[name] for name in CHANGED}, "abandoned_by": null()})
        .returning(_jobs.id, JOB_LISTENER)
    )


def _record(said: FromClause) -> Insert:
    new = said.c
    rows = select(new.id, new.attempt_number, new.publish_id, *[new[n] for n in _ENTRY])
    return insert(job_attempts).from_select(
        ("job_id", "number", "publish_id", *_SAID),
        rows.where(new.entry_outcome.is_not(None)),
    )


def _update_and_record(given: FromClause) -> Select[Any]:
    new = given.c
    said = [new[name] for name in ("attempt_number", "publish_id", *_ENTRY)]
    ended = _update(given).returning(*said).cte("ended")
    return select(ended.c.id, ended.c.listener).add_cte(_record(ended).cte("recorded"))
