"""The statements that change a job, shared by the stores."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, Update, and_, insert, literal, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.job import AttemptRecord, Job, JobStatus
from app.domain.transition import Transition
from app.store.outbox import JOB_LISTENER, Changed, tell_of_jobs
from app.store.rows import error_to_json, job_from_row
from app.store.tables import job_attempts, media_links, schedule_jobs

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
    statement = (
        update(schedule_jobs)
        .where(guard)
        .values(**_columns(job, change), updated_at=now)
        .returning(schedule_jobs, JOB_LISTENER)
    )
    row = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        return None
    await tell_of_jobs(connection, [Changed(job, change, row)], now=now)
    if change.entry is not None:
        await connection.execute(insert(job_attempts), _entry(job, change.entry))
    if job.media_token is not None and _is_given_up(change):
        await connection.execute(_revoke(job.media_token, now))
    return job_from_row(row)


def _is_given_up(change: Transition) -> bool:
    """Tell whether nobody needs the init's video any more."""
    return change.init_sent_at is None or change.to is JobStatus.POSTED


def _revoke(token: str, now: datetime) -> Update:
    links = media_links.c
    return (
        update(media_links)
        .where(links.token == token, links.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def _columns(job: Job, change: Transition) -> dict[str, Any]:
    values = {
        "status": change.to,
        "attempts": change.attempts,
        "next_attempt_at": change.next_attempt_at,
        "attempt_started_at": change.attempt_started_at,
        "init_sent_at": change.init_sent_at,
        "publish_id": change.publish_id,
        "failure_reason": change.failure_reason,
        "last_error": error_to_json(change.last_error),
        "waiting_for": change.waiting_for,
        "delivery": change.delivery,
        "post_id": change.post_id,
        "post_url": change.post_url,
        "posted_at": change.posted_at,
        "confirm_at": change.confirm_at,
        "confirm_tries": change.confirm_tries,
        "attempt_number": job.attempt_number + (change.entry is not None),
        "abandoned_by": None,
    }
    return values if change.keeps_claim else values | NO_CLAIM


def _entry(job: Job, entry: AttemptRecord) -> dict[str, Any]:
    return {"job_id": job.id, **asdict(entry)}
