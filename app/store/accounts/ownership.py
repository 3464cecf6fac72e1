"""Which TikTok person a job belongs to: bound once, moved only on request."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from app.domain.accounts.account import Account
from app.domain.accounts.account_readiness import (
    NO_ACCOUNT,
    OTHER_ACCOUNT,
)
from app.domain.api_key import Actor
from app.domain.jobs.history import HistoryKind
from app.domain.jobs.job import JobStatus
from app.domain.jobs.readiness import Readiness
from app.store.accounts.tables import accounts, former_accounts
from app.store.db.engine import Database
from app.store.db.types import Json, UtcDateTime, unseen
from app.store.jobs.history import write_for_all
from app.store.jobs.rows import readiness_to_json
from app.store.jobs.tables import NOT_PROCESSING, UNBOUND, in_state, schedule_jobs

_jobs = schedule_jobs.c
_accounts = accounts.c
_former = former_accounts.c
_IS_SCHEDULED: Final = _jobs.status == literal(JobStatus.SCHEDULED, Text())
_WAITING: Final = (JobStatus.SCHEDULED, JobStatus.RETRYING)
_PAGE: Final = 500  # rows whose locks one transaction holds


class RebindResult(NamedTuple):
    """How many jobs of another person were moved or skipped."""

    moved: int
    skipped: int  # TikTok may have them, or a worker has claimed them


def projects_of(platform: str, open_id: str) -> Select[str]:
    """Select the projects that have or had a TikTok person connected."""
    present = select(_accounts.project_id).where(
        _accounts.platform == unseen(platform), _accounts.open_id == unseen(open_id)
    )
    before = select(_former.project_id).where(
        _former.platform == unseen(platform), _former.open_id == unseen(open_id)
    )
    return select(union(present, before).subquery().c.project_id)


def of_person(platform: str, open_id: str) -> ColumnElement[bool]:
    """Match the jobs of a TikTok person, whoever is connected now.

    A job in flight without an owner was sent by a version without owners: it may belong
    to anybody who was connected there.
    """
    return and_(
        _jobs.platform == unseen(platform),
        _jobs.project_id.in_(projects_of(platform, open_id)),
        or_(_jobs.open_id == unseen(open_id), _jobs.open_id.is_(None)),
    )


async def bind_jobs(database: Database, account: Account) -> None:
    """Give the jobs without an owner to the person who is connected, some at a time.

    Nothing is bound once somebody else is connected, or nobody. Jobs that others are
    writing are skipped: whoever removes or replaces the account binds them. Until then
    they are the connected person's anyway.
    """
    is_done = False
    while not is_done:
        async with database.write() as connection:
            bound = await connection.execute(_page_of_unbound(database, account))
            is_done = not bound.all()


def _page_of_unbound(database: Database, account: Account) -> ReturningUpdate[str]:
    unbound = and_(
        _jobs.project_id == account.project_id,
        _jobs.platform == account.platform,
        UNBOUND,
        _is_connected(account, account.open_id),
    )
    rows = select(_jobs.id).where(unbound).limit(_PAGE)
    return (
        update(schedule_jobs)
        .where(database.unlocked(rows), unbound)
        .values(open_id=account.open_id)
        .returning(_jobs.id)
    )


def _is_connected(account: Account, open_id: str | None = None) -> ColumnElement[bool]:
    """Match while an account of that name is connected: this person's, or anybody's."""
    named = (
        _accounts.project_id == account.project_id,
        _accounts.platform == account.platform,
    )
    person = () if open_id is None else (_accounts.open_id == open_id,)
    return exists().where(*named, *person)


async def remember_person(
    database: Database, connection: AsyncConnection, account: Account
) -> None:
    """Record that a project had a person connected, whose jobs remain.

    Those without an owner are the person's: few are left after ``bind_jobs``.
    """
    await connection.execute(
        update(schedule_jobs)
        .where(
            _jobs.project_id == account.project_id,
            _jobs.platform == account.platform,
            UNBOUND,
        )
        .values(open_id=account.open_id)
    )
    await connection.execute(
        database.insert_new(former_accounts).values(
            platform=account.platform,
            open_id=account.open_id,
            project_id=account.project_id,
        )
    )


async def show_person(database: Database, account: Account, *, now: datetime) -> None:
    """Show on waiting jobs whether the right person is connected, some at a time."""
    others = _readiness(Readiness(now, (OTHER_ACCOUNT,)))
    mine = _jobs.open_id == account.open_id
    which = and_(
        or_(~mine, _jobs.readiness.is_not(None)),
        _is_connected(account, account.open_id),
    )
    values = {
        "readiness": case((mine, null()), else_=others),
        # Findings on the person's own jobs may be about the account: check again.
        "readiness_at": case(
            (and_(mine, _IS_SCHEDULED), literal(now, UtcDateTime())),
            else_=_jobs.readiness_at,
        ),
        "updated_at": now,
    }
    await _show(database, account, which, values)


async def show_nobody(database: Database, account: Account, *, now: datetime) -> None:
    """Show on waiting jobs that nobody is connected any more, some at a time.

    Who connects meanwhile shows all of them who is: a page that began before is waited
    for, and one that begins later finds the account.
    """
    nobody = _readiness(Readiness(now, (NO_ACCOUNT,)))
    values = {"readiness": nobody, "updated_at": now}
    await _show(database, account, ~_is_connected(account), values)


async def _show(
    database: Database,
    account: Account,
    which: ColumnElement[bool],
    values: dict[str, Any],
) -> None:
    for status in _WAITING:
        after, is_full = "", True
        while is_full:
            in_one_state = and_(in_state(status), NOT_PROCESSING, which)
            page = _page_of_waiting(database, account, in_one_state, after)
            async with database.write() as connection:
                found = await connection.execute(page.values(values))
                shown = found.scalars().all()
            is_full = len(shown) == _PAGE
            after = max(shown, default=after)


def _page_of_waiting(
    database: Database, account: Account, which: ColumnElement[bool], after: str
) -> ReturningUpdate[str]:
    waiting = and_(
        _jobs.project_id == account.project_id,
        _jobs.platform == account.platform,
        which,
    )
    # The reason is constant; named, the order matches the index's.
    order = (_jobs.failure_reason, _jobs.id)
    rows = select(_jobs.id).where(waiting, _jobs.id > after).order_by(*order)
    return (
        update(schedule_jobs)
        .where(database.unlocked(rows.limit(_PAGE)), waiting)
        .returning(_jobs.id)
    )


async def rebind_jobs(
    database: Database, account: Account, *, now: datetime, by: Actor | None
) -> RebindResult:
    """Move another person's jobs to the person who is connected now.

    Jobs that are posted, in flight or claimed keep their owner.
    """
    moved = 0
    while True:
        async with database.write() as connection:
            page = await _move_page(database, connection, account, now=now, by=by)
        moved += page
        if page < _PAGE:
            break
    left = select(func.count()).select_from(schedule_jobs).where(_elsewhere(account))
    skipped: int = await database.value(left)
    return RebindResult(moved, skipped)


async def _move_page(
    database: Database,
    connection: AsyncConnection,
    account: Account,
    *,
    now: datetime,
    by: Actor | None,
) -> int:
    movable = and_(
        _elsewhere(account), _jobs.init_sent_at.is_(None), _jobs.claim_token.is_(None)
    )
    rows = select(_jobs.id).where(movable).order_by(_jobs.id).limit(_PAGE)
    waits = and_(
        _IS_SCHEDULED,
        _jobs.readiness_at.is_not(None) | _jobs.readiness.is_not(None),
    )
    moved = await connection.execute(
        update(schedule_jobs)
        .where(database.unlocked(rows), movable)
        .values(
            open_id=account.open_id,
            readiness=null(),
            readiness_at=case((waits, literal(now, UtcDateTime()))),
            updated_at=now,
        )
        .returning(_jobs.id)
    )
    job_ids = moved.scalars().all()
    told = {"openId": account.open_id}
    await write_for_all(
        connection, job_ids, HistoryKind.MOVED, at=now, data=told, by=by
    )
    return len(job_ids)


def _elsewhere(account: Account) -> ColumnElement[bool]:
    return and_(
        _jobs.project_id == account.project_id,
        _jobs.platform == account.platform,
        _jobs.open_id != account.open_id,
        _jobs.status != literal(JobStatus.POSTED, Text()),
    )


def _readiness(found: Readiness) -> ColumnElement[Any]:
    return literal(readiness_to_json(found), Json)
