"""Delete old records, in batches small enough to block nobody.

How far the pruning of jobs has got is written before the first job is deleted. Nobody
can tell any more whether a job of an older time was posted, so none is accepted: that
is what stops a repeated request from posting again.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from msgspec import Struct
from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    Table,
    Text,
    and_,
    delete,
    literal,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import TooLongAgo
from app.domain.jobs.job import FailureReason, JobStatus
from app.domain.jobs.retention import LEAST_KEPT, may_be_pruned
from app.store.accounts.tables import account_quotas, oauth_states
from app.store.db.engine import Store, upsert
from app.store.db.metadata import metadata
from app.store.db.types import UtcDateTime, unseen
from app.store.jobs.tables import schedule_jobs, tiktok_events
from app.store.retention.tombstones import delete_jobs, lost_inits, remember

# Up to when records may be deleted, one row for each kind.
pruned = Table(
    "pruned",
    metadata,
    Column("what", Text, primary_key=True),
    Column("before", UtcDateTime, nullable=False),
)

_jobs = schedule_jobs.c
_events = tiktok_events.c
_quotas = account_quotas.c

FIRST_ID: Final = ""
"""Sorts before every id."""


class Pruned(StrEnum):
    """The kinds of records that are pruned up to one time."""

    RECORDS = "records"  # jobs with their dependent rows, and TikTok's events
    LEFTOVERS = "leftovers"  # rows that mean nothing any more, at any retention


class Batch(Struct, frozen=True):
    """What one statement deleted."""

    count: int
    last_id: str  # the next batch begins behind it


class RetentionStore(Store):
    """Deletes old records; several workers may do so at once."""

    async def begin(self, what: Pruned, *, before: datetime, step: timedelta) -> bool:
        """Write that everything before a time may be deleted from now on.

        False if the mark is less than a ``step`` older: another worker is doing it.
        """
        fresh = upsert(pruned, is_sqlite=self._database.is_sqlite)
        fresh = fresh.values(what=what, before=before)
        statement = fresh.on_conflict_do_update(
            index_elements=[pruned.c.what],
            set_={"before": before},
            where=pruned.c.before <= before - step,
        ).returning(pruned.c.what)
        async with self._database.single() as connection:
            return (await connection.execute(statement)).scalar() is not None

    async def prune_jobs(self, *, before: datetime, after_id: str, limit: int) -> Batch:
        """Delete some jobs that are over for good, with their ledgers and links.

        Rows that another worker is deleting are skipped.
        """
        some = (
            select(_jobs.id)
            .where(_jobs.id > unseen(after_id), _jobs.id < unseen(_first_id_at(before)))
            .where(_over_for_good(before))
            .order_by(_jobs.id)
            .limit(unseen(literal(limit, Integer())))
            .with_for_update(skip_locked=True)
        )
        async with self._database.write() as connection:
            ids = list((await connection.execute(some)).scalars())
            if ids:
                await delete_jobs(self._database, connection, ids)
        return Batch(len(ids), max(ids, default=after_id))

    async def prune_events(
        self, *, before: datetime, after_id: str, limit: int
    ) -> Batch:
        """Delete some of TikTok's events that were received before a time."""
        some = (
            select(_events.id, _events.publish_id)
            .where(_events.id > after_id, _events.id < _first_id_at(before))
            .where(_events.received_at < before)
            .order_by(_events.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self._database.write() as connection:
            rows = (await connection.execute(some)).all()
            ids = [row.id for row in rows]
            publishes = {row.publish_id for row in rows}
            await remember(self._database, connection, publishes)
            await _delete(connection, tiktok_events, _events.id.in_(ids))
        return Batch(len(ids), max(ids, default=after_id))

    async def prune_leftovers(self, *, before: datetime) -> int:
        """Delete rows that nobody will need.

        These are unfinished sign-ins, idle quotas, and lost inits too old for events
        from TikTok.
        """
        idle = and_(
            _quotas.idle_at < before,
            or_(_quotas.rest_until.is_(None), _quotas.rest_until < before),
        )
        useless = (
            (oauth_states, oauth_states.c.expires_at < before),
            (account_quotas, idle),
            (lost_inits, lost_inits.c.left_at < before - LEAST_KEPT),
        )
        async with self._database.write() as connection:
            return sum([await _delete(connection, *each) for each in useless])


async def refuse_if_pruned(
    connection: AsyncConnection, scheduled_for: datetime, *, now: datetime
) -> None:
    """Raise TooLongAgo for a time whose records may be deleted.

    Call it after the statement that writes the time, in the same transaction: if that
    succeeded only because a record was deleted, the mark is visible here.
    """
    if not may_be_pruned(scheduled_for, now=now):
        return
    statement = select(pruned.c.before).where(pruned.c.what == Pruned.RECORDS)
    before = (await connection.execute(statement)).scalar()
    if before is not None and scheduled_for < before:
        raise TooLongAgo


def _over_for_good(before: datetime) -> ColumnElement[bool]:
    """Match jobs that ended before a time and guard against no second post."""
    return and_(
        _jobs.scheduled_for < unseen(before),
        _jobs.updated_at < unseen(before),
        _jobs.confirm_at.is_(None),
        or_(
            _jobs.status == JobStatus.POSTED,
            and_(
                _jobs.status == JobStatus.FAILED,
                _jobs.init_sent_at.is_(None),
                _jobs.failure_reason != FailureReason.UNCONFIRMED,
            ),
        ),
    )


def _first_id_at(moment: datetime) -> str:
    """Return a text that sorts before every UUIDv7 made from a moment on.

    https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
    """
    milliseconds = int(moment.timestamp() * 1000)
    return str(UUID(int=milliseconds << 80))


async def _delete(
    connection: AsyncConnection, table: Table, which: ColumnElement[bool]
) -> int:
    return (await connection.execute(delete(table).where(which))).rowcount
