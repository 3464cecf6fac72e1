"""Keep the ids of a deleted job's publishes: events about them may still come.

Without them, an event about a deleted job's init could be taken for another job's.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    Table,
    Text,
    and_,
    delete,
    func,
    or_,
    select,
    union,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from app.domain.jobs.job import JobStatus
from app.store.db.engine import Database
from app.store.db.metadata import metadata
from app.store.db.types import UtcDateTime
from app.store.jobs.tables import (
    job_attempts,
    job_history,
    request_keys,
    schedule_jobs,
)

# TikTok may send events about a publish long after its job is deleted, for instance
# when a draft is posted at last. No other job must take it for its own.
past_publishes = Table(
    "past_publishes",
    metadata,
    Column("publish_id", Text, primary_key=True),
)

# Unanswered inits of deleted jobs. TikTok may send events about them for some days, and
# no other job must take them for its own.
lost_inits = Table(
    "lost_inits",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("left_at", UtcDateTime, nullable=False),
    Index("ix_lost_inits_project", "project_id", "left_at"),
)

_Columns = ReadOnlyColumnCollection[str, Any]
_jobs = schedule_jobs.c
_attempts = job_attempts.c

# The ends of attempts in the ledger that may have left an open init.
_LEFT_OPEN: Final = ("unconfirmed", "abandoned")


def left_an_init(jobs: _Columns = _jobs) -> ColumnElement[bool]:
    """Match a job's attempt whose init was never answered; events may still come."""
    return and_(
        _attempts.job_id == jobs.id,
        _attempts.outcome.in_(_LEFT_OPEN),
        _attempts.publish_id.is_(None),
    )


def was_followed(jobs: _Columns = _jobs) -> ColumnElement[bool]:
    """Match an attempt after which another init was or may be sent."""
    return or_(
        _attempts.number < jobs.attempt_number,
        jobs.status.not_in([JobStatus.FAILED, JobStatus.POSTED]),
    )


async def delete_jobs(
    database: Database, connection: AsyncConnection, job_ids: Sequence[str]
) -> None:
    """Delete jobs with their dependent rows; keep the ids of their publishes."""
    await remember(database, connection, await _publishes(connection, job_ids))
    left_at = func.max(_attempts.finished_at)
    left = (
        select(_jobs.id, _jobs.project_id, _jobs.platform, left_at)
        .where(_jobs.id.in_(job_ids), left_an_init(), was_followed())
        .group_by(_jobs.id, _jobs.project_id, _jobs.platform)
    )
    columns = ["job_id", "project_id", "platform", "left_at"]
    await connection.execute(database.insert_new(lost_inits).from_select(columns, left))
    for column in (_attempts.job_id, job_history.c.job_id, request_keys.c.job_id):
        await connection.execute(delete(column.table).where(column.in_(job_ids)))
    # The links are deleted by their foreign key.
    await connection.execute(delete(schedule_jobs).where(_jobs.id.in_(job_ids)))


async def remember(
    database: Database, connection: AsyncConnection, publish_ids: Iterable[str | None]
) -> None:
    """Keep publish_ids, so that none is ever taken for another job's."""
    rows = [{"publish_id": each} for each in sorted(filter(None, publish_ids))]
    if rows:
        await connection.execute(database.insert_new(past_publishes), rows)


async def _publishes(
    connection: AsyncConnection, job_ids: Sequence[str]
) -> Iterable[str | None]:
    """Return the publish_ids of jobs and their earlier attempts."""
    newest = select(_jobs.publish_id).where(_jobs.id.in_(job_ids))
    former = select(_attempts.publish_id).where(_attempts.job_id.in_(job_ids))
    return (await connection.execute(union(newest, former))).scalars().all()
