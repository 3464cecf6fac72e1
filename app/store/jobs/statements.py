"""The statements that change a job, shared by the stores."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Text,
    and_,
    delete,
    insert,
    literal,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.job import AttemptRecord, Job, JobStatus
from app.domain.transition import Transition, applied
from app.store.jobs.rows import error_to_json, job_from_row
from app.store.jobs.tables import (
    job_attempts,
    job_history,
    media_links,
    schedule_jobs,
)
from app.store.webhooks.outbox import JOB_LISTENER, ChangedJob, tell_of_jobs

CHANGED: Final = (
    "last_error",
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
    "posted_at",
    "confirm_at",
    "confirm_tries",
    "claim_token",
    "claimed_by",
    "claimed_at",
    "updated_at",
)
"""The columns that a transition writes, beside ``abandoned_by``, which it clears."""

_all_but_error = attrgetter(*CHANGED[1:])

NO_CLAIM: dict[str, Any] = {
    "claim_token": None,
    "claimed_by": None,
    "claimed_at": None,
}


def owned(job: Job) -> ColumnElement[bool]:
    """Match the job's row only while the claim that read it still holds.

    A worker that lost its claim matches nothing, so it can write nothing.
    """
    columns = schedule_jobs.c
    return and_(
        columns.id == job.id,
        columns.status == JobStatus.PROCESSING,
        # As a literal, a missing token is no IS NULL: it matches no row at all.
        columns.claim_token == literal(job.claim_token, Text()),
    )


def all_owned(given: FromClause) -> ColumnElement[bool]:
    """Match the row of each ``id`` only while the claim ``owned_by`` still holds.

    Only what is being processed has a token, and a missing one matches nothing. That
    it is processing is not asked: statistics that know of no such rows would let
    Postgres look for each of them through the whole list.
    """
    columns = schedule_jobs.c
    return and_(columns.id == given.c.id, columns.claim_token == given.c.owned_by)


def in_state_of(job: Job) -> ColumnElement[bool]:
    """Match the job's row only while it is as it was read."""
    columns = schedule_jobs.c
    return and_(
        columns.id == job.id,
        columns.status == job.status,
        columns.updated_at == job.updated_at,
    )


async def write_transition(
    connection: AsyncConnection,
    job: Job,
    change: Transition,
    *,
    guard: ColumnElement[bool],
    now: datetime,
) -> Job | None:
    """Apply a transition with its ledger row and its events.

    None if the guard matched nothing.
    """
    columns = zip(CHANGED, changed_values(applied(job, change, now=now)), strict=True)
    statement = (
        update(schedule_jobs)
        .where(guard)
        .values({**dict(columns), "abandoned_by": None})
        .returning(schedule_jobs, JOB_LISTENER)
    )
    row = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        return None
    await tell_of_jobs(connection, [ChangedJob(job, change, row)], now=now)
    if change.entry is not None:
        await connection.execute(insert(job_attempts), _entry(job, change.entry))
    await revoke_links(connection, links_given_up([(job, change)]), now=now)
    return job_from_row(row)


async def delete_jobs(connection: AsyncConnection, ids: Sequence[str]) -> None:
    """Delete jobs with their ledgers and histories; their links go by themselves."""
    await connection.execute(delete(job_attempts).where(job_attempts.c.job_id.in_(ids)))
    await connection.execute(delete(job_history).where(job_history.c.job_id.in_(ids)))
    await connection.execute(delete(schedule_jobs).where(schedule_jobs.c.id.in_(ids)))


def changed_values(after: Job) -> tuple[Any, ...]:
    """Return what a transition writes into those columns."""
    return (error_to_json(after.last_error), *_all_but_error(after))


def links_given_up(changes: Iterable[tuple[Job, Transition]]) -> list[str]:
    """Return the tokens of the pull URLs that nobody needs any more."""
    return [
        job.media_token
        for job, change in changes
        if job.media_token is not None
        and (change.init_sent_at is None or change.to is JobStatus.POSTED)
    ]


async def revoke_links(
    connection: AsyncConnection, tokens: list[str], *, now: datetime
) -> None:
    """Let nobody fetch these videos any more."""
    links = media_links.c
    if tokens:
        await connection.execute(
            update(media_links)
            .where(links.token.in_(tokens), links.revoked_at.is_(None))
            .values(revoked_at=now)
        )


def _entry(job: Job, entry: AttemptRecord) -> dict[str, Any]:
    return {"job_id": job.id, **asdict(entry)}
