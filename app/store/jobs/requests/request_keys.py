"""Idempotency keys that name a job beside its own: a caller's, and its former ones."""

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Exists,
    ScalarSelect,
    Text,
    and_,
    exists,
    literal,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import IdempotencyKeyReused
from app.domain.jobs.idempotency_keys import RequestKey
from app.domain.jobs.job import Job
from app.store.db.engine import Database
from app.store.db.locks import Sleep, writers_done
from app.store.jobs.rows import shown_from_row
from app.store.jobs.tables import request_keys, schedule_jobs

_keys = request_keys.c
_jobs = schedule_jobs.c

# No caller's key begins with a blank.
_FORMER: Final = " "


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


async def keep_own_key(
    database: Database, job_id: str, *, project_id: str | None, sleep: Sleep
) -> None:
    """Let the key of a job that is about to get another time stand for it for good.

    In a transaction of its own, before the change, which waits for inserts that began
    earlier: an insert that then finds the key free sees that it is kept. Raises
    StoreUnavailable.
    """
    which = _jobs.id == job_id
    if project_id is not None:
        which = and_(which, _jobs.project_id == project_id)
    kept = select(
        _jobs.project_id, _as_former(_jobs.idempotency_key), _jobs.id, literal("")
    ).where(which)
    names = ["project_id", "key", "job_id", "digest"]
    async with database.single() as connection:
        await connection.execute(
            database.insert_new(request_keys).from_select(names, kept)
        )
    await writers_done(database, schedule_jobs, sleep=sleep)


def is_former_key(project_id: ColumnElement[Any], key: ColumnElement[Any]) -> Exists:
    """Tell whether a job of the project had this key before it got another time."""
    return exists().where(*_of_former(project_id, key))


def had_key(project_id: str, key: str) -> ScalarSelect[str]:
    """Find the job of a project that had this key before it got another time."""
    names = literal(project_id), literal(key)
    return select(_keys.job_id).where(*_of_former(*names)).scalar_subquery()


def _of_former(
    project_id: ColumnElement[Any], key: ColumnElement[Any]
) -> tuple[ColumnElement[bool], ...]:
    return _keys.project_id == project_id, _keys.key == _as_former(key)


def _as_former(key: ColumnElement[Any]) -> ColumnElement[str]:
    return literal(_FORMER, Text()) + key


async def _write(
    connection: AsyncConnection, key: RequestKey, job: Job, values: dict[str, str]
) -> None:
    statement = (
        update(request_keys)
        .where(_keys.project_id == job.project_id, _keys.key == key.value)
        .values(**values)
    )
    await connection.execute(statement)
