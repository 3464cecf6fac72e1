"""Retry or cancel many jobs of a project: one transaction per page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    false,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from app.domain import codes
from app.domain.api_key import Actor
from app.domain.errors import DuplicateJob
from app.domain.jobs import transition as become
from app.domain.jobs.history import HistoryKind
from app.domain.jobs.job import ErrorClass, FailureReason, Job, JobStatus, WaitingFor
from app.domain.jobs.outcome import Fault
from app.domain.jobs.transition import Transition
from app.store.db.engine import Database
from app.store.db.notify import hint
from app.store.db.types import Row, UtcDateTime
from app.store.jobs.history import write_for_all
from app.store.jobs.rows import readable
from app.store.jobs.tables import NOT_PROCESSING, in_state, schedule_jobs
from app.store.jobs.transitions import UNCHANGED, write_transitions

_PAGE: Final = 500  # rows whose locks one transaction holds
_jobs = schedule_jobs.c
_others = schedule_jobs.alias("others").c
_UNSENT: Final = _jobs.init_sent_at.is_(None)
_OVER: Final = (JobStatus.POSTED, JobStatus.FAILED)
_CANCELLED: Final = Fault(
    error_class=ErrorClass.PERMANENT,
    code=codes.CANCELLED,
    message="a person cancelled it before it was sent",
)


class RetryFilter(Struct, frozen=True, kw_only=True):
    """Which failed jobs are retried."""

    project_id: str
    reason: FailureReason
    scheduled_from: datetime | None = None  # inclusive; None: no limit


class RetryResult(Struct, frozen=True):
    """How many failed jobs were retried or skipped."""

    retried: int
    skipped: int  # they failed for the same reason and are not safe to retry


async def retry_failed(
    database: Database,
    which: RetryFilter,
    *,
    now: datetime,
    by: Actor | None = None,
) -> RetryResult:
    """Retry failed jobs as ``JobStore.retry`` does, without accepting risks.

    Raises DuplicateJob if Post Nows of the same assets were added meanwhile.
    """
    retried = 0
    page = _retry_page(database, which, now)
    try:
        while True:
            async with database.write() as connection:
                ids = (await connection.execute(page)).scalars().all()
                await write_for_all(connection, ids, HistoryKind.RETRIED, at=now, by=by)
                await hint(connection)
            moved = len(ids)
            retried += moved
            if moved < _PAGE:
                break
    except IntegrityError as error:
        raise DuplicateJob from error
    return RetryResult(retried, await _how_many(database, _failed(which)))


def _retry_page(
    database: Database, which: RetryFilter, now: datetime
) -> ReturningUpdate[str]:
    page = (
        select(_jobs.id)
        .where(_failed(which), _safe(which.reason, now))
        # Jobs that fail again meanwhile are left out, or this might never end.
        .where(_jobs.updated_at <= now)
        .order_by(_jobs.id)
        .limit(_PAGE)
    )
    if which.scheduled_from is not None:
        page = page.where(_jobs.scheduled_for >= which.scheduled_from)
    return (
        update(schedule_jobs)
        .where(database.unlocked(page), _failed(which))
        .values(**_rescheduled(now))
        .returning(_jobs.id)
    )


def _failed(which: RetryFilter) -> ColumnElement[bool]:
    return and_(
        _jobs.project_id == which.project_id,
        in_state(which.reason),
        NOT_PROCESSING,
    )


def _safe(reason: FailureReason, now: datetime) -> ColumnElement[bool]:
    """Match jobs that need no decision, as ``domain.jobs.edit.check_retryable``."""
    if reason is FailureReason.UNCONFIRMED:
        return false()
    known = or_(_jobs.init_sent_at.is_(None), _jobs.publish_id.is_not(None))
    if reason is FailureReason.MISSED:
        known &= or_(_jobs.publish_by.is_(None), _jobs.publish_by > now)
    guarding = and_(
        _others.status != JobStatus.POSTED,
        or_(_others.status != JobStatus.FAILED, _others.init_sent_at.is_not(None)),
    )
    # Of several Post Nows of one asset, only the newest is retried.
    newer = and_(
        _others.status == JobStatus.FAILED,
        _others.failure_reason == reason,
        _others.id > _jobs.id,
    )
    rival = (
        select(literal_column("1"))
        .where(
            _others.project_id == _jobs.project_id,
            _others.platform == _jobs.platform,
            _others.asset_id == _jobs.asset_id,
            _others.post_now,
            _others.id != _jobs.id,
            or_(guarding, newer),
        )
        .exists()
    )
    return and_(known, or_(_jobs.post_now.is_(False), ~rival))


def _rescheduled(now: datetime) -> dict[str, Any]:
    """Return what ``domain.jobs.transition.rescheduled`` gives a safe job."""
    fresh = _jobs.init_sent_at.is_(None)
    return {
        "status": JobStatus.SCHEDULED,
        "attempts": 0,
        "next_attempt_at": case(
            (and_(fresh, _jobs.scheduled_for > now), _jobs.scheduled_for),
            else_=literal(now, UtcDateTime()),
        ),
        "attempt_started_at": None,
        "publish_id": case((fresh, null()), else_=_jobs.publish_id),
        "failure_reason": None,
        "last_error": null(),
        "waiting_for": case((fresh, null()), else_=WaitingFor.TIKTOK),
        "confirm_at": None,
        "confirm_tries": 0,
        "abandoned_by": None,
        "held_since": None,
        "updated_at": now,
        "claim_token": None,
        "claimed_by": None,
        "claimed_at": None,
    }


class CancelFilter(Struct, frozen=True, kw_only=True):
    """Which jobs are cancelled; None matches all."""

    project_id: str
    scheduled_from: datetime | None = None  # inclusive
    scheduled_to: datetime | None = None  # exclusive
    external_id: str | None = None


class CancelResult(Struct, frozen=True):
    """How many jobs were cancelled or skipped; ended ones are not counted."""

    cancelled: int
    skipped: int  # TikTok may have them


def cancellation(job: Job, *, now: datetime, by: Actor | None) -> Transition:
    """Return the transition of a job that a person cancels."""
    error = _CANCELLED.to_error(now)
    return become.ended_unsent(job, reason=FailureReason.CANCELLED, error=error, by=by)


async def cancel_many(
    database: Database,
    which: CancelFilter,
    *,
    now: datetime,
    by: Actor | None,
    dry_run: bool,
) -> CancelResult:
    """Cancel every job that TikTok has nothing of, claimed ones too."""
    count = 0
    if dry_run:
        count = await _how_many(database, and_(_waiting(which), _UNSENT))
    after = ""
    while not dry_run:
        async with database.write() as connection:
            page = await _cancel_page(connection, which, after)
            written = await write_transitions(
                connection,
                [(job, cancellation(job, now=now, by=by)) for job in readable(page)],
                guard=UNCHANGED,
                now=now,
            )
        count += len(written)
        if len(page) < _PAGE:
            break
        after = page[-1]["id"]
    left = await _how_many(database, _waiting(which))
    return CancelResult(count, left - count if dry_run else left)


async def _cancel_page(
    connection: AsyncConnection, which: CancelFilter, after: str
) -> Sequence[Row]:
    statement = (
        select(schedule_jobs)
        .where(_waiting(which), _UNSENT, _jobs.id > after)
        .order_by(_jobs.id)
        .limit(_PAGE)
        .with_for_update()
    )
    return (await connection.execute(statement)).mappings().all()


def _waiting(which: CancelFilter) -> ColumnElement[bool]:
    conditions = [
        _jobs.project_id == which.project_id,
        _jobs.status.not_in(_OVER),
    ]
    if which.scheduled_from is not None:
        conditions.append(_jobs.scheduled_for >= which.scheduled_from)
    if which.scheduled_to is not None:
        conditions.append(_jobs.scheduled_for < which.scheduled_to)
    if which.external_id is not None:
        conditions.append(_jobs.external_id == which.external_id)
    return and_(*conditions)


async def _how_many(database: Database, which: ColumnElement[bool]) -> int:
    statement = select(func.count()).select_from(schedule_jobs).where(which)
    return await database.value(statement)
