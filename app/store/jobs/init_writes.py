"""What attempts write about their init, before and after it, many in one statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Boolean, FromClause, Text, and_, or_, update
from sqlalchemy.sql.dml import ReturningUpdate

from app.domain.job import Job
from app.store.db.batcher import Batcher
from app.store.db.bulk_values import BulkValues
from app.store.db.engine import Database
from app.store.db.types import UtcDateTime
from app.store.jobs.tables import media_links, schedule_jobs
from app.store.jobs.transitions import all_owned

_jobs = schedule_jobs.c

_COLUMNS: Final = (
    "init_sent_at",
    "media_token",
    "waiting_for",
    "publish_id",
    "publish_started_at",
    "updated_at",
)
_column_values = attrgetter(*_COLUMNS)


@dataclass(frozen=True, slots=True)
class InitWrite:
    """A job as the attempt read it, and as its row is to become."""

    job: Job
    after: Job
    is_stamp: bool = False  # written before an init, which may be sent after it


class InitWriter:
    """Writes under the claim tokens of the jobs.

    With a media token, the pull URL made of it is good from the stamp on.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._values = BulkValues(
            {
                "id": Text(),
                "owned_by": Text(),
                "is_stamp": Boolean(),
                "seen": UtcDateTime(),
                **{name: _jobs[name].type for name in _COLUMNS},
            },
            is_sqlite=database.is_sqlite,
        )
        self._statement = _statement(self._values.table)
        self._batcher = Batcher(self._write_all, spawn=database.spawn)

    async def write(self, write: InitWrite) -> Job | None:
        """Write, and return only once it is durable.

        None if the claim is lost or, for a stamp, its lease is over.
        """
        return await self._batcher.ask(write.job.id, write)

    async def _write_all(self, asked: Mapping[str, InitWrite]) -> dict[str, Job]:
        writes = [asked[job_id] for job_id in sorted(asked)]
        values = self._values.bind([_row(write) for write in writes])
        links = {each.job.id: _link(each) for each in writes if _needs_link(each)}
        # One statement commits by itself; with links it is two that belong together.
        opened = self._database.write() if links else self._database.single()
        async with opened as connection:
            result = await connection.execute(self._statement, values)
            written = result.scalars().all()
            if good := [links[job_id] for job_id in written if job_id in links]:
                await connection.execute(self._database.insert_new(media_links), good)
        return {job_id: asked[job_id].after for job_id in written}


def _needs_link(write: InitWrite) -> bool:
    return write.is_stamp and write.after.media_token is not None


def _link(write: InitWrite) -> dict[str, Any]:
    return {
        "token": write.after.media_token,
        "job_id": write.job.id,
        "asset_url": write.job.asset_url,
        "created_at": write.after.init_sent_at,
    }


def _row(write: InitWrite) -> tuple[Any, ...]:
    job = write.job
    guards = (job.id, job.claim_token, write.is_stamp, job.init_sent_at)
    return (*guards, *_column_values(write.after))


def _statement(given: FromClause) -> ReturningUpdate[Any]:
    new = given.c
    return (
        update(schedule_jobs)
        .where(
            all_owned(given),
            or_(
                new.is_stamp.is_(False),
                and_(
                    _jobs.next_attempt_at > new.updated_at,
                    # The second half lets a stamp be repeated whose commit was lost.
                    or_(
                        _jobs.init_sent_at.is_not_distinct_from(new.seen),
                        _jobs.init_sent_at == new.init_sent_at,
                    ),
                ),
            ),
        )
        .values({name: new[name] for name in _COLUMNS})
        .returning(_jobs.id)
    )
