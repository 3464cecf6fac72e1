"""Idempotency keys of requests: each names one job of its project."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import IdempotencyKeyReused
from app.domain.jobs.idempotency import RequestKey
from app.domain.jobs.job import Job
from app.store.db.engine import Database
from app.store.jobs.rows import shown_from_row
from app.store.jobs.tables import request_keys, schedule_jobs

_keys = request_keys.c


async def take_key(
    database: Database, connection: AsyncConnection, key: RequestKey, job: Job
) -> Job | None:
    """Assign a key to a job, or return the job that already has it.

    A second request waits for the first one's transaction. Raises IdempotencyKeyReused.
    """
    values = {"job_id": job.id, "digest": key.digest}
    new = database.insert_new(request_keys).values(
        project_id=job.project_id, key=key.value, **values
    )
    if (await connection.execute(new)).rowcount:
        return None
    found = (
        select(schedule_jobs, _keys.digest)
        .join(request_keys, _keys.job_id == schedule_jobs.c.id)
        .where(_keys.project_id == job.project_id, _keys.key == key.value)
    )
    row = (await connection.execute(found)).mappings().one_or_none()
    if row is None:  # an older version deleted the job and left its key
        await _write(connection, key, job, values)
        return None
    if row["digest"] != key.digest:
        raise IdempotencyKeyReused
    return shown_from_row(row)


async def point_key(connection: AsyncConnection, key: RequestKey, job: Job) -> None:
    """Assign a taken key to another job."""
    await _write(connection, key, job, {"job_id": job.id})


async def _write(
    connection: AsyncConnection, key: RequestKey, job: Job, values: dict[str, str]
) -> None:
    statement = (
        update(request_keys)
        .where(_keys.project_id == job.project_id, _keys.key == key.value)
        .values(**values)
    )
    await connection.execute(statement)
