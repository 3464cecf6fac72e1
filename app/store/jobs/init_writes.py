"""Write what attempts record about their inits, many in one statement."""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Boolean, FromClause, Text, and_, func, or_, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from app.domain.jobs.job import Job
from app.domain.jobs.witness import Witness
from app.store.db.batcher import Batcher
from app.store.db.bulk_values import BulkValues
from app.store.db.engine import Database
from app.store.db.outage import refusals
from app.store.db.prepared import Prepared
from app.store.db.types import UtcDateTime
from app.store.jobs.media_links import open_links
from app.store.jobs.rows import readiness_to_json
from app.store.jobs.tables import schedule_jobs
from app.store.jobs.transitions import all_owned
from app.store.retention.tombstones import remember

_jobs = schedule_jobs.c

INIT_COLUMNS: Final = (
    "init_sent_at",
    "open_id",
    "creator_username",
    "media_token",
    "waiting_for",
    "publish_id",
    "publish_started_at",
    "updated_at",
)
"""What is written of every init."""

UPLOAD_COLUMNS: Final = (
    "upload_url",
    "upload_issued_at",
    "uploaded_bytes",
    "source_size",
    "source_etag",
    "upload_repeats",
)
"""More columns that are written where we upload the bytes ourselves."""


class InitWrite(Struct, frozen=True):
    """A job as the attempt read it, and its row's new values."""

    job: Job
    after: Job
    buries: bool = False  # the job's earlier publish is given up for another
    is_stamp: bool = False  # written before an init is sent


class InitWriter:
    """Writes under the claim tokens of the jobs.

    With a media token, its pull URL is valid from the stamp on.
    """

    def __init__(
        self,
        database: Database,
        *,
        more: tuple[str, ...] = (),
        witness: Witness | None = None,
    ) -> None:
        """Take the columns that are written besides an init's own."""
        self._database = database
        self._witness = witness or Witness()
        columns = (*INIT_COLUMNS, *more)
        self._column_values = attrgetter(*columns)
        self._values = BulkValues(
            {
                "id": Text(),
                "owned_by": Text(),
                "is_stamp": Boolean(),
                "seen": UtcDateTime(),
                **{name: _jobs[name].type for name in columns},
                "readiness": _jobs.readiness.type,
            },
            is_sqlite=database.is_sqlite,
            words={"id", "owned_by", "media_token", "waiting_for"},
        )
        self._statement = Prepared(_statement(self._values.table, columns))
        self._batcher = Batcher(self._write_all, spawn=database.spawn)

    async def write(self, write: InitWrite) -> Job | None:
        """Write, and return once it is durable.

        None if the claim is lost or, for a stamp, its lease is over.
        """
        # What TikTok did is a fact, written or not; a stamp lets something be done.
        if not write.is_stamp:
            self._witness.note(write.after)
        written = await self._batcher.ask(write.job.id, write)
        if written is not None and write.is_stamp:
            self._witness.note(written)
        return written

    async def _write_all(self, asked: Mapping[str, InitWrite]) -> dict[str, Job]:
        writes = [asked[job_id] for job_id in sorted(asked)]
        values = self._values.bind([self._row(write) for write in writes])
        # One statement commits on its own; several need a transaction.
        alone = not any(each.buries or _opens_links(each) for each in writes)
        with refusals():
            return await self._written(asked, values, alone=alone)

    async def _written(
        self, asked: Mapping[str, InitWrite], values: Mapping[str, Any], *, alone: bool
    ) -> dict[str, Job]:
        if alone:
            rows = await self._database.mark(self._statement, values)
            return {job_id: asked[job_id].after for (job_id,) in rows}
        async with self._database.marking() as connection:
            rows = await self._statement.on(connection, values)
            written = {job_id: asked[job_id] for (job_id,) in rows}
            await self._write_beside(connection, written.values())
        return {job_id: write.after for job_id, write in written.items()}

    async def _write_beside(
        self, connection: AsyncConnection, writes: Iterable[InitWrite]
    ) -> None:
        """Enable the pull URLs, and record the publishes that are given up."""
        stamped = [write.after for write in writes if write.is_stamp]
        await open_links(self._database, connection, stamped)
        former = [write.job.publish_id for write in writes if write.buries]
        await remember(self._database, connection, former)

    def _row(self, write: InitWrite) -> tuple[Any, ...]:
        job = write.job
        guards = (job.id, job.claim_token, write.is_stamp, job.init_sent_at)
        found = job.readiness
        remarked = readiness_to_json(found) if found and found.at_init else None
        return (*guards, *self._column_values(write.after), remarked)


def _opens_links(write: InitWrite) -> bool:
    return write.is_stamp and write.after.media_token is not None


def _statement(given: FromClause, columns: tuple[str, ...]) -> ReturningUpdate[Any]:
    new = given.c
    return (
        update(schedule_jobs)
        .where(
            all_owned(given),
            or_(
                new.is_stamp.is_(False),
                and_(
                    _jobs.next_attempt_at > new.updated_at,
                    # The second half allows repeating a stamp whose commit got no
                    # answer.
                    or_(
                        _jobs.init_sent_at.is_not_distinct_from(new.seen),
                        _jobs.init_sent_at == new.init_sent_at,
                    ),
                ),
            ),
        )
        .values(
            {
                **{name: new[name] for name in columns},
                "readiness": func.coalesce(new.readiness, _jobs.readiness),
            }
        )
        .returning(_jobs.id)
    )
