"""Jobs for tests: a value to ask with, a row in any state.

    job = await store_job(database, POSTED, asset_id="asset_1")

A factory fills in only what the state needs; everything can be overridden.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

from sqlalchemy import func, insert, select
from uuid_utils.compat import uuid7

from app.domain.jobs.idempotency_keys import idempotency_key
from app.domain.jobs.job import (
    Delivery,
    ErrorClass,
    FailureReason,
    Job,
    JobStatus,
    LastError,
    NewJob,
    Transfer,
)
from app.domain.posts.post import Post, PrivacyLevel
from app.store.db.engine import Database
from app.store.jobs.rows import error_to_json, job_from_row, post_to_json
from app.store.jobs.tables import job_attempts, schedule_jobs

NOW: Final = datetime(2026, 4, 9, 12, tzinfo=UTC)
LEASE: Final = timedelta(seconds=300)

SCHEDULED: Final = JobStatus.SCHEDULED
PROCESSING: Final = JobStatus.PROCESSING
RETRYING: Final = JobStatus.RETRYING
POSTED: Final = JobStatus.POSTED
FAILED: Final = JobStatus.FAILED

A_POST: Final = Post(privacy_level=PrivacyLevel.SELF_ONLY)
AN_ERROR: Final = LastError(
    error_class=ErrorClass.TRANSIENT,
    code="internal_error",
    message="something broke",
    log_id="log-0",
    at=NOW - timedelta(hours=1),
)

_serial = count(1)


def new_job(**changes: object) -> NewJob:
    """Make a request for a job that is due; each call names another asset."""
    asked: dict[str, Any] = {
        "project_id": "proj_1",
        "platform": "tiktok",
        "asset_id": f"asset_{next(_serial)}",
        "asset_url": "https://cdn.example.com/v.mp4",
        "post": A_POST,
        "scheduled_for": NOW,
        "max_attempts": 5,
    }
    return NewJob(**asked | changes)


def job_row(status: JobStatus = SCHEDULED, **columns: object) -> dict[str, Any]:
    """Fill a row of ``schedule_jobs`` that its state allows.

    A ``processing`` row is claimed under a lease that began at ``NOW``; see
    ``handed_on`` and ``abandoned`` for the other two kinds.
    """
    asked = new_job()
    row: dict[str, Any] = {
        "id": str(uuid7()),
        "project_id": asked.project_id,
        "platform": asked.platform,
        "asset_id": asked.asset_id,
        "asset_url": asked.asset_url,
        "post": post_to_json(asked.post),
        "status": status,
        "scheduled_for": NOW,
        "post_now": False,
        "max_attempts": asked.max_attempts,
        "next_attempt_at": NOW,
        "created_at": NOW - timedelta(days=1),
        "updated_at": NOW - timedelta(days=1),
    }
    return _with_key({**_EMPTY, **row, **_NEEDED[status], **columns})


def handed_on(**columns: object) -> dict[str, Any]:
    """Fill a row in flight at TikTok that no worker owns."""
    return job_row(
        PROCESSING, **_UNCLAIMED | _IN_FLIGHT | {"next_attempt_at": NOW} | columns
    )


def abandoned(**columns: object) -> dict[str, Any]:
    """Fill a row whose worker let its lease run out at ``NOW``."""
    began = {"claimed_at": NOW - LEASE, "attempt_started_at": NOW - LEASE}
    return job_row(PROCESSING, **began | {"next_attempt_at": NOW} | columns)


def unconfirmed(**columns: object) -> dict[str, Any]:
    """Fill a failed row whose init may have been taken by TikTok."""
    ended = {"failure_reason": FailureReason.UNCONFIRMED, "init_sent_at": NOW}
    return job_row(FAILED, **ended | columns)


async def store_job(
    database: Database,
    status: JobStatus = SCHEDULED,
    **columns: object,
) -> Job:
    """Put a job in a state into the database."""
    return await store_row(database, job_row(status, **columns))


async def store_row(database: Database, row: dict[str, Any]) -> Job:
    """Put one filled row into the database."""
    statement = insert(schedule_jobs).values(row).returning(schedule_jobs)
    async with database.write() as connection:
        return job_from_row((await connection.execute(statement)).mappings().one())


async def store_rows(database: Database, rows: Sequence[dict[str, Any]]) -> None:
    """Put many filled rows into the database at once."""
    async with database.write() as connection:
        await connection.execute(insert(schedule_jobs), list(rows))


async def count_jobs(database: Database) -> int:
    """Count all jobs."""
    rows = select(func.count()).select_from(schedule_jobs)
    async with database.read() as connection:
        return (await connection.execute(rows)).scalar_one()


async def store_entry(database: Database, job: Job, *, number: int) -> None:
    """Store a ledger row with the number that the next attempt would take."""
    entry = {
        "job_id": job.id,
        "number": number,
        "started_at": NOW - timedelta(hours=1),
        "finished_at": NOW,
        "outcome": "transient",
        "decision": "retrying",
    }
    async with database.write() as connection:
        await connection.execute(insert(job_attempts), entry)


def _with_key(row: dict[str, Any]) -> dict[str, Any]:
    parts = ("project_id", "platform", "asset_id", "scheduled_for")
    key = idempotency_key(**{part: row[part] for part in parts})
    return {**row, "idempotency_key": row.get("idempotency_key") or key}


# The columns that a new job leaves empty.
_EMPTY: Final = {
    column.name: None if column.nullable else 0 for column in schedule_jobs.c
} | {"transfer": Transfer.PULL}
_UNCLAIMED: Final[dict[str, Any]] = {
    "claim_token": None,
    "claimed_by": None,
    "claimed_at": None,
}
_IN_FLIGHT: Final[dict[str, Any]] = {
    "init_sent_at": NOW - timedelta(seconds=30),
    "publish_id": "pub_1",
    "publish_started_at": NOW - timedelta(seconds=29),
}
_NEEDED: Final[dict[JobStatus, dict[str, Any]]] = {
    SCHEDULED: {},
    PROCESSING: {
        "claim_token": "token_1",
        "claimed_by": "worker_1",
        "claimed_at": NOW,
        "attempt_started_at": NOW,
        "next_attempt_at": NOW + LEASE,
    },
    RETRYING: {"attempts": 1, "last_error": error_to_json(AN_ERROR)},
    POSTED: {
        "posted_at": NOW,
        "delivery": Delivery.PUBLISHED,
        "next_attempt_at": None,
        **_IN_FLIGHT,
    },
    FAILED: {
        "attempts": 1,
        "failure_reason": FailureReason.PERMANENT,
        "last_error": error_to_json(AN_ERROR),
        "next_attempt_at": None,
    },
}
