"""Find and correct times that only a wrong clock can have written."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Select,
    Update,
    and_,
    case,
    or_,
    select,
    union_all,
    update,
)

from app.domain.jobs.backoff import CONFIRM_STEPS
from app.domain.jobs.job import JobStatus
from app.domain.jobs.redating import Bounds, Dated, redated
from app.machine.clock import ClockWatch
from app.store.db.engine import Database
from app.store.db.notify import hint
from app.store.db.types import database_time
from app.store.jobs.tables import (
    GUARDING_POST_NOW,
    IS_PROCESSING,
    NEITHER,
    in_state,
    schedule_jobs,
)
from app.store.webhooks.tables import webhook_events

_jobs = schedule_jobs.c
_events = webhook_events.c
_PAGE: Final = 500


class RedatingStore:
    """Corrects jobs and events that a clock which was ahead put off too far."""

    def __init__(
        self, database: Database, bounds: Bounds, *, watch: ClockWatch | None = None
    ) -> None:
        """Take the possible bounds, and a watch of our clock and the database's.

        With a watch nothing is changed while the two clocks are too far apart.
        """
        self._database = database
        self._bounds = bounds
        self._watch = None if database.is_sqlite else watch

    async def run(self, *, now: datetime) -> int:
        """Correct such times; return how many. Raises StoreUnavailable."""
        if not await self._is_right(now):
            return 0
        return await self._let_jobs_go_on(now) + await self._ask_and_send(now)

    async def _let_jobs_go_on(self, now: datetime) -> int:
        async with self._database.read() as connection:
            rows = await connection.execute(_too_far_ahead(now, self._bounds))
            found = [Dated(**row) for row in rows.mappings()]
        times = [(job, redated(job, now=now, bounds=self._bounds)) for job in found]
        return await self._write(
            [(job, at) for job, at in times if at is not None], now=now
        )

    async def _ask_and_send(self, now: datetime) -> int:
        """Let TikTok be asked, and events be sent, at once instead of too late."""
        async with self._database.write() as connection:
            found = [
                await connection.execute(each) for each in _at_once(now, self._bounds)
            ]
        return sum(each.rowcount for each in found)

    async def _is_right(self, now: datetime) -> bool:
        if self._watch is None:
            return True
        theirs: datetime = await self._database.value(select(database_time()))
        return abs(now - theirs) <= self._watch.tolerance

    async def _write(
        self, times: Iterable[tuple[Dated, datetime]], *, now: datetime
    ) -> int:
        count = 0
        async with self._database.write() as connection:
            for job, at in times:
                changed = await connection.execute(
                    update(schedule_jobs)
                    .where(
                        _jobs.id == job.id,
                        _jobs.next_attempt_at == job.next_attempt_at,
                        _jobs.updated_at == job.updated_at,
                    )
                    .values(next_attempt_at=at, updated_at=now)
                )
                count += changed.rowcount
            if count:
                await hint(connection)
        return count


def _at_once(now: datetime, bounds: Bounds) -> tuple[Update, Update]:
    """Make confirmations and deliveries due that wait longer than any can."""
    ahead = now + bounds.slack
    confirmations = _furthest(
        _jobs.id,
        _jobs.confirm_at,
        or_(_jobs.updated_at > ahead, _jobs.confirm_at > ahead + CONFIRM_STEPS[-1]),
        ahead=ahead,
    )
    deliveries = _furthest(
        _events.position,
        _events.next_attempt_at,
        or_(
            _events.created_at > ahead,
            _events.last_attempt_at > ahead,
            _events.next_attempt_at > ahead + bounds.delivery,
        ),
        ahead=ahead,
    )
    return (
        confirmations.values(confirm_at=now, updated_at=now),
        deliveries.values(next_attempt_at=now),
    )


def _furthest(
    key: Column[Any],
    at: Column[Any],
    is_wrong: ColumnElement[bool],
    *,
    ahead: datetime,
) -> Update:
    """Match what is wrong of a page of rows, the furthest ahead first, by an index."""
    page = select(key).where(at > ahead).order_by(at.desc()).limit(_PAGE)
    return update(key.table).where(key.in_(page), at > ahead, is_wrong)


def _too_far_ahead(now: datetime, bounds: Bounds) -> CompoundSelect[*tuple[object]]:
    """Select them by indexes only, without jobs that wait for their scheduled time."""
    ahead = now + bounds.slack
    late = and_(
        in_state(JobStatus.SCHEDULED),
        NEITHER,
        _jobs.scheduled_for <= now,
        _waits_too_long(now, bounds),
    )
    kinds = (
        and_(IS_PROCESSING, _unindexed(_jobs.next_attempt_at) > ahead),
        and_(in_state(JobStatus.RETRYING), NEITHER, _waits_too_long(now, bounds)),
        and_(
            GUARDING_POST_NOW,
            _unindexed(_jobs.status) == JobStatus.SCHEDULED,
            _unindexed(_jobs.scheduled_for) > ahead,
            _jobs.held_since.is_(None),
        ),
    )
    # The index's order keeps a plan from reading the table: most jobs of the past are
    # over, but no statistics tell that of two columns.
    by_time = (_jobs.failure_reason, _jobs.scheduled_for, _jobs.id)
    return union_all(*map(_select, kinds), _select(late, *by_time))


def _select(
    kind: ColumnElement[bool], *order: ColumnElement[Any]
) -> Select[*tuple[object]]:
    rows = (
        select(
            _jobs.id,
            _jobs.next_attempt_at,
            _jobs.updated_at,
            _jobs.scheduled_for,
            _jobs.post_now,
            _jobs.claim_token.is_not(None).label("is_claimed"),
        )
        .where(kind)
        .order_by(*order)
        .limit(_PAGE)
    )
    return select(rows.subquery())


def _unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Keep a plan from an index that has every job to come in it."""
    return case((_jobs.id.is_not(None), column), else_=None)


def _waits_too_long(now: datetime, bounds: Bounds) -> ColumnElement[bool]:
    longest = now + bounds.longest + bounds.slack
    at = _unindexed(_jobs.next_attempt_at)
    return and_(
        at > now + bounds.slack,
        or_(_jobs.updated_at > now + bounds.slack, at > longest),
        at != _jobs.scheduled_for,
        _jobs.held_since.is_(None),
    )
