"""Insert new jobs, unless they exist already."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from msgspec.structs import replace
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Row,
    Text,
    bindparam,
    case,
    func,
    literal,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.dml import ReturningInsert

from app.domain.jobs.job import Job, JobStatus
from app.domain.jobs.retention import may_be_pruned
from app.store.accounts.tables import accounts
from app.store.db.batcher import Batcher
from app.store.db.bulk_values import BulkValues
from app.store.db.engine import Database
from app.store.db.notify import NOTIFY, is_hinted_at
from app.store.db.prepared import Prepared
from app.store.db.types import UtcDateTime, database_time
from app.store.jobs.holds import is_held
from app.store.jobs.readiness import (
    account_trouble,
    first_readiness,
    problems_in_json,
    with_account,
)
from app.store.jobs.requests.request_keys import is_former_key
from app.store.jobs.rows import post_to_json, readiness_from_json
from app.store.jobs.tables import schedule_jobs
from app.store.retention.pruning import refuse_if_pruned

_jobs = schedule_jobs.c
_accounts = accounts.c

# The other columns of a new job are constant or follow from these.
_COLUMNS: Final = (
    "post",
    "asset_urls",
    "id",
    "project_id",
    "platform",
    "asset_id",
    "asset_url",
    "transfer",
    "scheduled_for",
    "post_now",
    "idempotency_key",
    "max_attempts",
    "publish_by",
    "external_id",
    "metadata",
    "readiness_at",
    "created_at",
    "created_by",
)
_all_but_json = attrgetter(*_COLUMNS[2:])


class InsertWriter:
    """Inserts new jobs, those of the same moment in one statement.

    The database's unique indexes decide which of them are new.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        types = {name: _jobs[name].type for name in _COLUMNS}
        self._values = BulkValues(
            types | {"link_problems": Text()}, is_sqlite=database.is_sqlite
        )
        # Made once: building and caching a statement costs more than running it.
        insert = _insert(database, self._values.table)
        self._insert = Prepared(insert)
        held = is_held(bindparam("held_at", type_=UtcDateTime()))
        hint = (NOTIFY,) if database.has_hints else ()
        self._insert_due = Prepared(insert.returning(held, *hint))
        self._batcher = Batcher(self._write_all, spawn=database.spawn)

    async def write(self, job: Job, *, now: datetime) -> Job | None:
        """Insert a row, and return it once it is durable; None if it has a twin.

        It belongs to the person connected at that moment, and shows at once what would
        keep it back. Raises TooLongAgo where an earlier row may have been pruned.
        """
        if may_be_pruned(job.scheduled_for, now=now):
            async with self._database.write() as connection:
                return await self.write_within(connection, job, now=now)
        if is_hinted_at(job.scheduled_for, now=now):
            # Alone, without waiting for others. Groups hold no Post Now, so that the
            # order of keys prevents a deadlock of two groups.
            rows = await self._database.run(self._insert_due, self._bind_due(job))
            return _stored_due(job, rows)
        return await self._batcher.ask(job.id, job)

    async def write_within(
        self, connection: AsyncConnection, job: Job, *, now: datetime
    ) -> Job | None:
        """Insert a row in the caller's transaction; None if it has a twin.

        Raises TooLongAgo.
        """
        due = is_hinted_at(job.scheduled_for, now=now)
        write = self._write_due if due else self._write_one
        if written := await write(connection, job):
            await refuse_if_pruned(connection, job.scheduled_for, now=now)
        return written

    async def put_back(self, connection: AsyncConnection, job: Job) -> None:
        """Insert a row that was there already, unless it has a twin by now."""
        await self._write_one(connection, job)

    async def _write_one(self, connection: AsyncConnection, job: Job) -> Job | None:
        rows = await self._insert.on(connection, self._bind([job]))
        return _stored(job, rows[0]) if rows else None

    async def _write_due(self, connection: AsyncConnection, job: Job) -> Job | None:
        """Insert a row that is due, and see whether its project is on hold."""
        rows = await self._insert_due.on(connection, self._bind_due(job))
        return _stored_due(job, rows)

    async def _write_all(self, asked: Mapping[str, Job]) -> dict[str, Job]:
        jobs = sorted(asked.values(), key=attrgetter("idempotency_key"))
        rows = await self._database.run(self._insert, self._bind(jobs))
        return {row.id: _stored(asked[row.id], row) for row in rows}

    def _bind_due(self, job: Job) -> dict[str, Any]:
        return {"held_at": job.created_at, **self._bind([job])}

    def _bind(self, jobs: Sequence[Job]) -> dict[str, Any]:
        looked_at = jobs[0].created_at.isoformat()
        values = self._values.bind([_row(job) for job in jobs])
        return {"looked_at": looked_at, **values}


def _row(job: Job) -> tuple[Any, ...]:
    urls = list(job.asset_urls) or None
    post, found = post_to_json(job.post), problems_in_json(job.readiness)
    return (post, urls, *_all_but_json(job), found)


def _stored_due(job: Job, rows: Sequence[Row[Any]]) -> Job | None:
    """Return a job as it was inserted, and whether its project is on hold."""
    if not rows:
        return None
    stored, is_held_now = _stored(job, rows[0]), rows[0].is_held
    return replace(stored, held_since=job.created_at) if is_held_now else stored


def _stored(job: Job, row: Row[Any]) -> Job:
    found = None if row.readiness is None else readiness_from_json(row.readiness)
    return replace(job, open_id=row.open_id, readiness=found)


def _insert(database: Database, given: FromClause) -> ReturningInsert[Any]:
    new = given.c
    values = {
        **{name: new[name] for name in _COLUMNS},
        "open_id": _accounts.open_id,
        "readiness": first_readiness(
            (account_trouble(new.scheduled_for), new.link_problems),
            bindparam("looked_at", type_=Text()),
            is_sqlite=database.is_sqlite,
        ),
        "status": literal(JobStatus.SCHEDULED, Text()),
        "attempts": literal(0, Integer()),
        "attempt_number": literal(0, Integer()),
        "next_attempt_at": _due(new, is_sqlite=database.is_sqlite),
        "updated_at": new.created_at,
    }
    known = is_former_key(new.project_id, new.idempotency_key)
    # A join may change the order of the rows, which is what prevents deadlocks.
    rows = (
        select(*values.values())
        .select_from(with_account(given))
        .where(~known)
        .order_by(new.idempotency_key)
    )
    return (
        database.insert_new(schedule_jobs)
        .from_select(list(values), rows)
        .returning(_jobs.id, _jobs.open_id, _jobs.readiness)
    )


def _due(
    new: ReadOnlyColumnCollection[str, Any], *, is_sqlite: bool
) -> ColumnElement[datetime]:
    """Let nobody's Post Now wait because the clock of the API is ahead."""
    if is_sqlite:  # it has no clock but the machine's
        due: ColumnElement[datetime] = new.scheduled_for
        return due
    at_once = func.least(new.scheduled_for, database_time())
    return case((new.post_now, at_once), else_=new.scheduled_for)
