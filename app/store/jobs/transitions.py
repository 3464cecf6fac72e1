"""Write transitions, each with its ledger row and its events, or not at all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Insert,
    Select,
    Text,
    Update,
    and_,
    insert,
    null,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.type_api import TypeEngine

from app.domain.events import events_of
from app.domain.jobs.history import history_of
from app.domain.jobs.job import AttemptRecord, Job, JobStatus
from app.domain.jobs.transition import Transition, applied
from app.domain.jobs.witness import Witness
from app.store.db.batcher import Batcher
from app.store.db.bulk_values import BulkValues
from app.store.db.engine import Database
from app.store.db.outage import refusals
from app.store.db.prepared import Prepared
from app.store.db.types import UtcDateTime
from app.store.jobs.history import write_history
from app.store.jobs.media_links import revoke_links
from app.store.jobs.rows import error_to_json
from app.store.jobs.tables import job_attempts, schedule_jobs
from app.store.webhooks.outbox import JOB_LISTENER, NOBODY_LISTENS, job_events, tell

_jobs = schedule_jobs.c

TRANSITION_COLUMNS: Final = (
    "last_error",
    "post_ids",
    "status",
    "attempts",
    "attempt_number",
    "next_attempt_at",
    "attempt_started_at",
    "init_sent_at",
    "publish_id",
    "failure_reason",
    "waiting_for",
    "delivery",
    "post_id",
    "post_url",
    "availability",
    "discarded_at",
    "posted_at",
    "confirm_at",
    "confirm_tries",
    "claim_token",
    "claimed_by",
    "claimed_at",
    "updated_at",
)
"""The columns that a transition writes, besides those that it clears."""

_CLEARED: Final = ("abandoned_by", "held_since")

_all_but_json = attrgetter(*TRANSITION_COLUMNS[2:])

# The columns of the ledger that the job's own columns do not repeat.
_LEDGER: Final = tuple(
    name
    for name in AttemptRecord.__struct_fields__
    if name not in {"number", "publish_id"}
)
_ledger_values = attrgetter(*_LEDGER)
_NO_ENTRY: Final = (None,) * len(_LEDGER)
_ENTRY: Final = tuple(f"entry_{name}" for name in _LEDGER)

_WORDS: Final = frozenset(
    {
        "id",
        "owned_by",
        "seen_status",
        "status",
        "failure_reason",
        "waiting_for",
        "delivery",
        "availability",
        "claim_token",
        "entry_outcome",
        "entry_decision",
        "entry_error_class",
    }
)
"""The columns whose values are made by us, without a comma."""


class Guard(Struct, frozen=True, eq=False):
    """What must still be true of a job's row for its transition to be written."""

    types: Mapping[str, TypeEngine[Any]]  # of the columns that it needs besides the id
    values: Callable[[Job], tuple[Any, ...]]  # theirs, of the job as it was read
    matches: Callable[[FromClause], ColumnElement[bool]]


class _Write(Struct, frozen=True):
    job: Job  # as it was read
    change: Transition
    after: Job


class TransitionWriter:
    """Writes transitions under claim tokens, those of the same moment together.

    On Postgres those that bring about nothing else are one statement, which commits on
    its own; the others share a transaction. Each is as durable as in its own.
    """

    def __init__(self, database: Database, *, witness: Witness | None = None) -> None:
        self._database = database
        self._witness = witness or Witness()
        self._alone = Batcher(self._write_alone, spawn=database.spawn)
        self._together = Batcher(self._write_together, spawn=database.spawn)
        self._is_told = False
        """Whether the latest transaction wrote events; so may the next."""

    async def write(self, job: Job, change: Transition, *, now: datetime) -> Job | None:
        """Write one, and return once it is durable; None if the claim is lost.

        One that the database refuses does not affect the others.
        """
        self._witness.note_end(job, change)
        write = _Write(job, change, applied(job, change, now=now))
        if self._may_be_alone(write):
            written = await self._alone.ask(job.id, write)
            if written is not None:
                return written
        return await self._together.ask(job.id, write)

    def _may_be_alone(self, write: _Write) -> bool:
        """Tell whether it brings about nothing else, as far as is known here."""
        if self._is_told or self._database.is_sqlite:
            return False
        at = write.after.updated_at
        return not (_links_over(write) or history_of(write.job, write.change, at=at))

    async def _write_alone(self, asked: Mapping[str, _Write]) -> dict[str, Job]:
        """Write those that nobody is told of; the others are left as they were."""
        statements = _statements(OWNED, is_sqlite=False)
        values = statements.bind(_in_order(asked))
        with refusals():
            rows = await self._database.run(statements.untold, values)
        return {job_id: asked[job_id].after for (job_id,) in rows}

    async def _write_together(self, asked: Mapping[str, _Write]) -> dict[str, Job]:
        now = max(write.after.updated_at for write in asked.values())
        with refusals():
            async with self._database.write() as connection:
                written, self._is_told = await _write_all(
                    connection, asked, guard=OWNED, now=now
                )
        return written


async def write_transitions(
    connection: AsyncConnection,
    changes: Iterable[tuple[Job, Transition]],
    *,
    guard: Guard,
    now: datetime,
) -> dict[str, Job]:
    """Write transitions and return the jobs as they are now, by id.

    A job whose guard is no longer true is not written and not returned.
    """
    writes = {
        job.id: _Write(job, change, applied(job, change, now=now))
        for job, change in changes
    }
    if not writes:
        return {}
    written, _ = await _write_all(connection, writes, guard=guard, now=now)
    return written


def all_owned(given: FromClause) -> ColumnElement[bool]:
    """Match the row of each ``id`` only while the claim ``owned_by`` still holds.

    A worker that lost its claim matches nothing, so it writes nothing. Only jobs being
    processed have a token, and NULL matches nothing. The status is not compared: if the
    statistics know no such rows, Postgres would scan the whole list for each of them.
    """
    return and_(_jobs.id == given.c.id, _jobs.claim_token == given.c.owned_by)


def _all_unchanged(given: FromClause) -> ColumnElement[bool]:
    return and_(
        _jobs.id == given.c.id,
        _jobs.status == given.c.seen_status,
        _jobs.updated_at == given.c.seen_at,
    )


OWNED: Final = Guard(
    {"owned_by": Text()},
    lambda job: (job.claim_token,),
    lambda given: all_owned(given),
)
"""The claim under which the job was read."""

UNCHANGED: Final = Guard(
    {"seen_status": Text(), "seen_at": UtcDateTime()},
    attrgetter("status", "updated_at"),
    _all_unchanged,
)
"""The job as it was read."""


class _Statements:
    """The statements for one guard on one kind of database."""

    def __init__(self, guard: Guard, *, is_sqlite: bool) -> None:
        self._guard_values = guard.values
        self._values = BulkValues(
            {
                "id": Text(),
                **guard.types,
                **{name: _jobs[name].type for name in TRANSITION_COLUMNS},
                **{f"entry_{name}": job_attempts.c[name].type for name in _LEDGER},
            },
            is_sqlite=is_sqlite,
            words=_WORDS,
        )
        table, its = self._values.table, self._values.is_in(_jobs.id)
        change = _update(table, guard, its)
        told = (_jobs.id, JOB_LISTENER)
        self.update = change.returning(*told)
        self.record = _record(table)
        self.update_and_record = Prepared(_and_recorded(change, table, told))
        untold = change.where(NOBODY_LISTENS)
        self.untold = Prepared(_and_recorded(untold, table, (_jobs.id,)))

    def bind(self, writes: Iterable[_Write]) -> dict[str, Any]:
        """Return the parameters for these writes."""
        return self._values.bind([self._row(write) for write in writes])

    def _row(self, write: _Write) -> tuple[Any, ...]:
        entry, after = write.change.entry, write.after
        ledger = _NO_ENTRY if entry is None else _ledger_values(entry)
        ids = list(after.post_ids) or None
        changed = (error_to_json(after.last_error), ids, *_all_but_json(after))
        return (after.id, *self._guard_values(write.job), *changed, *ledger)


@cache  # building and caching a statement costs more than running it
def _statements(guard: Guard, *, is_sqlite: bool) -> _Statements:
    return _Statements(guard, is_sqlite=is_sqlite)


async def _write_all(
    connection: AsyncConnection,
    asked: Mapping[str, _Write],
    *,
    guard: Guard,
    now: datetime,
) -> tuple[dict[str, Job], bool]:
    """Write all with what they bring about; tell also whether events were written."""
    writes = _in_order(asked)
    listeners = await _update_all(connection, writes, guard)
    written = [write for write in writes if write.job.id in listeners]
    told = await _tell(connection, written, listeners, now=now)
    over = [write.job for write in written if _links_over(write)]
    await revoke_links(connection, over, now=now)
    await write_history(
        connection,
        [
            entry
            for write in written
            for entry in history_of(write.job, write.change, at=now)
        ],
    )
    return {write.job.id: write.after for write in written}, told


def _in_order(asked: Mapping[str, _Write]) -> list[_Write]:
    """Sort: in the same order everywhere, no two workers wait for each other's rows."""
    return [asked[job_id] for job_id in sorted(asked)]


def _links_over(write: _Write) -> bool:
    """Tell whether pull URLs of the job end with its transition."""
    change = write.change
    is_over = change.init_sent_at is None or change.to is JobStatus.POSTED
    return is_over and write.job.media_token is not None


async def _update_all(
    connection: AsyncConnection, writes: Sequence[_Write], guard: Guard
) -> dict[str, str | None]:
    """Write jobs and ledger; return the listener of each job that was written."""
    is_sqlite = connection.dialect.name == "sqlite"
    statements = _statements(guard, is_sqlite=is_sqlite)
    values = statements.bind(writes)
    if not is_sqlite:
        rows = await statements.update_and_record.on(connection, values)
        return {row.id: row.listener for row in rows}
    # SQLite allows no data-changing statement inside another.
    result = await connection.execute(statements.update, values)
    listeners = {row.id: row.listener for row in result}
    if written := [write for write in writes if write.job.id in listeners]:
        await connection.execute(statements.record, statements.bind(written))
    return listeners


async def _tell(
    connection: AsyncConnection,
    written: Sequence[_Write],
    listeners: Mapping[str, str | None],
    *,
    now: datetime,
) -> bool:
    """Write the events of jobs whose project has an endpoint; False if none has."""
    told = [write for write in written if listeners[write.job.id] is not None]
    if not told:
        return False
    ids = [write.job.id for write in told]
    statement = select(schedule_jobs, JOB_LISTENER).where(_jobs.id.in_(ids))
    rows = (await connection.execute(statement)).mappings().all()
    found = {row["id"]: row for row in rows}
    events = [
        event
        for each in told
        for event in job_events(events_of(each.job, each.change), found[each.job.id])
    ]
    await tell(connection, events, now=now)
    return True


def _update(given: FromClause, guard: Guard, its: ColumnElement[bool]) -> Update:
    new = given.c
    return (
        update(schedule_jobs)
        .where(guard.matches(given), its)
        .values(
            {
                **{name: new[name] for name in TRANSITION_COLUMNS},
                **dict.fromkeys(_CLEARED, null()),
            }
        )
    )


def _record(source: FromClause) -> Insert:
    new = source.c
    rows = select(new.id, new.attempt_number, new.publish_id, *[new[n] for n in _ENTRY])
    return insert(job_attempts).from_select(
        ("job_id", "number", "publish_id", *_LEDGER),
        rows.where(new.entry_outcome.is_not(None)),
    )


def _and_recorded(
    change: Update, given: FromClause, columns: Sequence[ColumnElement[Any]]
) -> Select[Any]:
    """Write the ledger, too, and return these columns of the jobs that were written."""
    new = given.c
    entry = [new[name] for name in ("attempt_number", "publish_id", *_ENTRY)]
    ended = change.returning(*columns, *entry).cte("ended")
    asked = tuple(ended.c)[: len(columns)]
    return select(*asked).add_cte(_record(ended).cte("recorded"))
