"""The owners' side of the jobs table: add, show, list, edit, delete, retry, cancel."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from msgspec.structs import replace
from sqlalchemy import and_, case, false, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from app.domain import errors
from app.domain.api_key import Actor
from app.domain.jobs import transition as become
from app.domain.jobs.edit import (
    UNSET,
    JobChange,
    check_cancellable,
    check_deletable,
    check_retryable,
    edited,
    was_cancelled_at_tiktok,
)
from app.domain.jobs.history import HistoryEntry, HistoryKind
from app.domain.jobs.idempotency_keys import RequestKey, idempotency_key, to_millis
from app.domain.jobs.job import AttemptRecord, Job, JobStatus, NewJob, Transfer
from app.domain.jobs.readiness import (
    PreflightTimes,
    Readiness,
    first_preflight,
    url_problems,
)
from app.domain.naming import camel
from app.domain.posts.asset_url import MAX_URL_LENGTH
from app.store.api_keys import actor
from app.store.db.engine import Database
from app.store.db.locks import Sleep
from app.store.db.notify import hint, is_hinted_at
from app.store.db.types import Row
from app.store.jobs.history import MOST_SHOWN, read_history, write_history
from app.store.jobs.readiness import readiness_after_change
from app.store.jobs.requests.bulk_actions import cancellation
from app.store.jobs.requests.insert_writer import InsertWriter
from app.store.jobs.requests.listing import (
    NEWEST_FIRST,
    JobFilter,
    JobOrder,
    JobPosition,
    page_of,
)
from app.store.jobs.requests.request_keys import (
    had_key,
    keep_own_key,
    point_key,
    take_key,
)
from app.store.jobs.rows import (
    UNREADABLE,
    attempt_from_row,
    job_from_row,
    post_to_json,
    readiness_to_json,
    shown_from_row,
)
from app.store.jobs.tables import GUARDING_POST_NOW, job_attempts, schedule_jobs
from app.store.jobs.transitions import UNCHANGED, write_transitions
from app.store.retention.pruning import refuse_if_pruned
from app.store.retention.tombstones import delete_jobs, remember

_jobs = schedule_jobs.c
_ADD_TRIES = 5


class _TwinGone(Exception):
    """A job's twin ended or was deleted between two statements."""


class JobStore:
    """The jobs, for their owners.

    ``project_id`` limits what a caller can reach; None reaches every project.
    """

    def __init__(
        self,
        database: Database,
        *,
        preflights: PreflightTimes = (),
        longest_pulled: int = MAX_URL_LENGTH,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take how long before its time a job is checked, and a pulled URL's limit."""
        self._database = database
        self._sleep = sleep
        self._preflights = preflights
        self._edited = partial(
            edited, preflights=preflights, longest_pulled=longest_pulled
        )
        self._inserts = InsertWriter(database)

    async def add(
        self,
        new: NewJob,
        *,
        now: datetime,
        key: RequestKey | None = None,
        by: str | None = None,
    ) -> tuple[Job, bool]:
        """Store a job, or find the one this request repeats; True if it is new.

        ``by`` is the id of the caller's API key. The database's unique indexes prevent
        a second row. Raises TooLongAgo where an earlier row may have been pruned,
        IdempotencyKeyReused, and MayHaveBeenStored if the database went away and does
        not come back.
        """
        job = _new_job(new, now, self._preflights, by=by)
        unknown = False
        for _ in range(_ADD_TRIES):
            try:
                found = await self._add(job, key, now=now)
            except errors.WriteUnknown:
                unknown = True  # the next insert finds out, by the unique keys
                continue
            except errors.StoreUnavailable as error:
                if unknown:
                    raise errors.MayHaveBeenStored(job.id) from error
                raise
            except _TwinGone:
                continue
            return found, found.id == job.id
        if unknown:
            raise errors.MayHaveBeenStored(job.id)
        raise errors.StoreUnavailable("the job could not be stored; try again")

    async def _add(self, job: Job, key: RequestKey | None, *, now: datetime) -> Job:
        """Insert a job, or find its twin; raises _TwinGone if there is neither."""
        if key is None:
            if (written := await self._inserts.write(job, now=now)) is not None:
                return written
            async with self._database.read() as connection:
                if (twin := await _find_twin(connection, job)) is None:
                    raise _TwinGone
                return twin
        async with self._database.write() as connection:
            if first := await take_key(self._database, connection, key, job):
                return first
            if written := await self._inserts.write_within(connection, job, now=now):
                return written
            if (twin := await _find_twin(connection, job)) is None:
                raise _TwinGone  # rolls back: the key is free again
            await point_key(connection, key, twin)
            return twin

    async def find_twin(self, new: NewJob, *, now: datetime) -> Job | None:
        """Return the existing job that a request would get; raises TooLongAgo."""
        job = _new_job(new, now, ())
        async with self._database.read() as connection:
            if (twin := await _find_twin(connection, job)) is None:
                await refuse_if_pruned(connection, job.scheduled_for, now=now)
        return twin

    async def get(self, job_id: str, *, project_id: str | None = None) -> Job:
        """Return a job; raises NotFound."""
        async with self._database.read() as connection:
            return await _get(connection, job_id, project_id)

    async def list(
        self,
        which: JobFilter,
        order: JobOrder = NEWEST_FIRST,
        *,
        limit: int,
        after: JobPosition | None = None,
    ) -> tuple[Job, ...]:
        """Return the first jobs after a position, or the first of all."""
        found = page_of(which, order, limit=limit, after=after)
        rows = await self._database.rows(*found) if found else ()
        return tuple(shown_from_row(row) for row in rows[:limit])

    async def attempts(
        self, job_id: str, *, project_id: str | None = None
    ) -> tuple[AttemptRecord, ...]:
        """Return a job's ledger, oldest first; raises NotFound."""
        async with self._database.read() as connection:
            await _get(connection, job_id, project_id)
            return await _ledger(connection, job_id)

    async def edit(
        self,
        job_id: str,
        change: JobChange,
        *,
        now: datetime,
        project_id: str | None = None,
        by: Actor | None = None,
    ) -> Job:
        """Change a job that TikTok has nothing of.

        Raises NotFound, JobNotEditable, InvalidInput, DuplicateJob when the new time
        makes it another job's twin, and TooLongAgo when it may make it a pruned one's.
        """
        if change.scheduled_for is not UNSET:
            await keep_own_key(
                self._database, job_id, project_id=project_id, sleep=self._sleep
            )
        try:
            async with self._database.write() as connection:
                row = await _row(connection, job_id, project_id, lock=True)
                job = _to_change(row)
                after = self._edited(job, change, now=now)
                after = await _looked_at(connection, job, after, now=now)
                labels = change.is_label
                values = _labels(after) if labels else _editable(after, row["post"])
                await connection.execute(
                    update(schedule_jobs).where(_jobs.id == job.id).values(values)
                )
                await write_history(connection, _edits(job, after, now, by))
                if after.scheduled_for != job.scheduled_for:
                    await refuse_if_pruned(connection, after.scheduled_for, now=now)
                if is_hinted_at(after.next_attempt_at, now=now):
                    await hint(connection)
                return after
        except IntegrityError as error:
            raise errors.DuplicateJob from error

    async def delete(self, job_id: str, *, project_id: str | None = None) -> None:
        """Delete a job; raises NotFound or JobNotDeletable."""
        async with self._database.write() as connection:
            job = await _get(connection, job_id, project_id, lock=True)
            check_deletable(job)
            await delete_jobs(self._database, connection, [job.id])

    async def retry(
        self,
        job_id: str,
        *,
        now: datetime,
        accept_duplicate_risk: bool = False,
        project_id: str | None = None,
        by: Actor | None = None,
    ) -> Job:
        """Retry a failed job; if the risk is accepted, an open init is given up.

        Raises NotFound, JobNotRetryable, TooLate, OutcomeUnknown, and DuplicateJob when
        a newer Post Now of the same asset is waiting.
        """
        try:
            async with self._database.write() as connection:
                job = await _get(connection, job_id, project_id, lock=True)
                check_retryable(
                    job, accept_duplicate_risk=accept_duplicate_risk, now=now
                )
                change = become.rescheduled(
                    job, now=now, gives_up=accept_duplicate_risk, by=by
                )
                if job.in_flight and job.publish_id and accept_duplicate_risk:
                    await remember(self._database, connection, [job.publish_id])
                written = await write_transitions(
                    connection, [(job, change)], guard=UNCHANGED, now=now
                )
                await hint(connection)
        except IntegrityError as error:
            raise errors.DuplicateJob from error
        return written[job.id]  # its row was locked as it was read

    async def cancel(
        self,
        job_id: str,
        *,
        now: datetime,
        cancelled_publish: str | None = None,
        project_id: str | None = None,
        by: Actor | None = None,
    ) -> Job:
        """Cancel a job that TikTok has nothing of, or whose publish TikTok cancelled.

        Raises NotFound or JobNotCancellable.
        """
        async with self._database.write() as connection:
            job = await _get(connection, job_id, project_id, lock=True)
            asked = job.publish_id == cancelled_publish is not None
            proven = asked and (job.in_flight or was_cancelled_at_tiktok(job))
            if not proven and not check_cancellable(job):
                return job
            if proven:  # no attempt's end has it, and TikTok may send events about it
                await remember(self._database, connection, [job.publish_id])
            change = cancellation(job, now=now, by=by)
            written = await write_transitions(
                connection, [(job, change)], guard=UNCHANGED, now=now
            )
        return written[job.id]  # its row was locked as it was read

    async def history(
        self, job_id: str, *, project_id: str | None = None
    ) -> tuple[Job, tuple[AttemptRecord, ...], tuple[HistoryEntry, ...], Actor | None]:
        """Return a job, its ledger, the rest of its history, and who asked for it.

        Raises NotFound.
        """
        async with self._database.read() as connection:
            job = await _get(connection, job_id, project_id)
            ledger = await _ledger(connection, job_id)
            entries = await read_history(connection, job_id)
            by = job.created_by and await actor(connection, job.created_by)
        return job, ledger, entries, by or None


async def _looked_at(
    connection: AsyncConnection, job: Job, after: Job, *, now: datetime
) -> Job:
    """Return a changed job with what its account and links tell of it.

    What was found before stays if the change cannot have made it untrue.
    """
    kept = after.readiness is not None and after.readiness is job.readiness
    if kept or after.status is not JobStatus.SCHEDULED:
        return after
    return replace(
        after, readiness=await readiness_after_change(connection, after, now=now)
    )


_EDITABLE: Final = (
    "asset_url",
    "asset_urls",
    "transfer",
    "post",
    "scheduled_for",
    "publish_by",
    "max_attempts",
    "external_id",
    "metadata",
)


def _edits(job: Job, after: Job, now: datetime, by: Actor | None) -> list[HistoryEntry]:
    """Return a history entry with the fields that a person changed."""
    changed = [name for name in _EDITABLE if getattr(job, name) != getattr(after, name)]
    if not changed:
        return []
    return [
        HistoryEntry(
            job_id=job.id,
            at=now,
            kind=HistoryKind.EDITED,
            data={"fields": [camel(name) for name in changed]},
            by=by,
        )
    ]


async def _find_twin(connection: AsyncConnection, job: Job) -> Job | None:
    same_key = _jobs.idempotency_key == job.idempotency_key
    had_it = _jobs.id == had_key(job.project_id, job.idempotency_key)
    if job.post_now:
        guarding = and_(
            _jobs.project_id == job.project_id,
            _jobs.platform == job.platform,
            _jobs.asset_id == job.asset_id,
            GUARDING_POST_NOW,
        )
    else:
        guarding = false()
    # A Post Now that still guards comes before an old twin, and the key's current job
    # before an earlier one.
    statement = (
        select(schedule_jobs)
        .where(or_(guarding, same_key, had_it))
        .order_by(case((guarding, 0), (same_key, 1), else_=2))
        .limit(1)
    )
    row = (await connection.execute(statement)).mappings().one_or_none()
    return None if row is None else shown_from_row(row)


async def _ledger(
    connection: AsyncConnection, job_id: str
) -> tuple[AttemptRecord, ...]:
    """Return the newest ``MOST_SHOWN`` of a job's attempts, oldest first."""
    statement = (
        select(job_attempts)
        .where(job_attempts.c.job_id == job_id)
        .order_by(job_attempts.c.number.desc())
        .limit(MOST_SHOWN)
    )
    rows = (await connection.execute(statement)).mappings().all()
    return tuple(attempt_from_row(row) for row in reversed(rows))


async def _get(
    connection: AsyncConnection,
    job_id: str,
    project_id: str | None,
    *,
    lock: bool = False,
) -> Job:
    row = await _row(connection, job_id, project_id, lock=lock)
    if not lock:
        return shown_from_row(row)
    return _to_change(row)


def _to_change(row: Row) -> Job:
    """Read a row that is to be changed; raises JobUnreadable."""
    try:
        return job_from_row(row)
    except UNREADABLE:
        raise errors.JobUnreadable(
            "a newer version of this service wrote this job; change it there"
        ) from None


async def _row(
    connection: AsyncConnection, job_id: str, project_id: str | None, *, lock: bool
) -> Row:
    statement = select(schedule_jobs).where(_jobs.id == job_id)
    if project_id is not None:
        statement = statement.where(_jobs.project_id == project_id)
    if lock:
        statement = statement.with_for_update()
    row = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        raise errors.NotFound
    return row


def _new_job(
    new: NewJob, now: datetime, preflights: PreflightTimes, *, by: str | None = None
) -> Job:
    at = to_millis(new.scheduled_for or now)
    looks = preflights if new.scheduled_for is not None else ()
    wrong = tuple(url_problems(new.asset_url, new.asset_urls, at=at))
    return Job(
        id=str(uuid7()),
        project_id=new.project_id,
        platform=new.platform,
        asset_id=new.asset_id,
        asset_url=new.asset_url,
        asset_urls=new.asset_urls,
        transfer=new.transfer or Transfer.PULL,
        post=new.post,
        status=JobStatus.SCHEDULED,
        scheduled_for=at,
        post_now=new.scheduled_for is None,
        idempotency_key=idempotency_key(
            project_id=new.project_id,
            platform=new.platform,
            asset_id=new.asset_id,
            scheduled_for=at,
        ),
        attempts=0,
        max_attempts=new.max_attempts,
        next_attempt_at=at,
        publish_by=None if new.publish_by is None else to_millis(new.publish_by),
        external_id=new.external_id,
        metadata=new.metadata,
        readiness_at=first_preflight(at, now=now, preflights=looks),
        readiness=Readiness(now, wrong) if wrong else None,
        created_at=now,
        created_by=by,
        updated_at=now,
    )


def _editable(job: Job, former_post: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an edit writes; what a newer version knows of the post is kept."""
    return {
        "asset_url": job.asset_url,
        "asset_urls": list(job.asset_urls) or None,
        "transfer": job.transfer,
        "post": post_to_json(job.post, former_post),
        "scheduled_for": job.scheduled_for,
        "post_now": job.post_now,
        "idempotency_key": job.idempotency_key,
        "publish_by": job.publish_by,
        "max_attempts": job.max_attempts,
        "next_attempt_at": job.next_attempt_at,
        "waiting_for": job.waiting_for,
        "readiness_at": job.readiness_at,
        "readiness": readiness_to_json(job.readiness),
        **_labels(job),
    }


def _labels(job: Job) -> dict[str, Any]:
    """Return the columns that no worker writes, so they may change at any time."""
    return {
        "external_id": job.external_id,
        "metadata": job.metadata,
        "updated_at": job.updated_at,
    }
