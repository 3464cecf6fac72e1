"""Store each of TikTok's events once, and bring forward the checks it asks for."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Update, and_, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from app.domain.accounts.account import PLATFORM, RemovalReason
from app.domain.jobs.job import Availability, Delivery, JobStatus
from app.domain.tiktok_event import EventKind, TikTokEvent
from app.store.accounts.ownership import of_person
from app.store.accounts.reconnect import explain_loss
from app.store.accounts.tables import USABLE, accounts
from app.store.db.engine import Store
from app.store.jobs.requests.changes import written_since
from app.store.jobs.tables import schedule_jobs, tiktok_events

INIT_TOLD_WITHIN: Final = timedelta(days=4)
"""How long after an init events about it may come: TikTok retries for 72 hours.

https://developers.tiktok.com/doc/webhooks-overview
"""

_jobs = schedule_jobs.c
_accounts = accounts.c

_OPEN: Final = _jobs.init_sent_at.is_not(None)
_UNCLAIMED: Final = and_(
    _jobs.claim_token.is_(None),
    _jobs.status.not_in([JobStatus.POSTED, JobStatus.FAILED]),
)


class HintResult(Struct, frozen=True):
    """What an event caused."""

    repeated: bool = False
    jobs: int = 0  # checked with TikTok now
    accounts: int = 0  # to be checked, or lost for a new reason


class TikTokEventStore(Store):
    """Stores events and schedules their checks, in one transaction."""

    async def add(
        self, event: TikTokEvent, *, created_at: datetime, now: datetime
    ) -> HintResult:
        """Store an event and bring forward the checks it asks for.

        A claimed job is skipped: its worker asks TikTok anyway.
        """
        values = {
            "id": str(uuid7()),
            "dedup_key": event.dedup_key,
            "event": event.name,
            "open_id": event.open_id,
            "publish_id": event.publish_id,
            "post_id": event.post_id,
            "created_at": created_at,
            "received_at": now,
            "body": event.body,
        }
        insert = self._database.insert_new(tiktok_events).values(values)
        async with self._database.write() as connection:
            new = await connection.execute(insert.returning(tiktok_events.c.id))
            if new.scalar_one_or_none() is None:
                return HintResult(repeated=True)
            if event.kind is EventKind.ACCESS_REMOVED:
                return await _access_removed(connection, event, created_at, now)
            if event.kind is None or event.publish_id is None:
                return HintResult()
            return HintResult(
                jobs=await _check_now(connection, event, event.publish_id, now)
            )


async def _access_removed(
    connection: AsyncConnection, event: TikTokEvent, created_at: datetime, now: datetime
) -> HintResult:
    """Schedule a check with TikTok: a new grant must survive an old event.

    For an account that is lost already, store the reason at once.
    """
    reason = event.removal or RemovalReason.UNKNOWN
    theirs = and_(_accounts.platform == PLATFORM, _accounts.open_id == event.open_id)
    checked = await connection.execute(
        update(accounts)
        .where(theirs, USABLE)
        .values(removal_reason=reason, removal_check_at=now)
    )
    lost = and_(
        theirs,
        # TikTok's times are cut to whole seconds.
        _accounts.connected_at < created_at + timedelta(seconds=1),
    )
    told = await explain_loss(connection, lost, reason=reason, now=now)
    return HintResult(accounts=checked.rowcount + told)


async def _check_now(
    connection: AsyncConnection, event: TikTokEvent, publish_id: str, now: datetime
) -> int:
    """Bring forward the check of a publish's job, or of the jobs it may belong to."""
    named = and_(_jobs.publish_id == publish_id, _of_person(event.open_id))
    owner = select(_jobs.id).where(named).limit(1)
    if (await connection.execute(owner)).scalar() is None:
        named = _unanswered(event.open_id, now)
    waiting = _next_attempt(now).where(named, _OPEN, _UNCLAIMED)
    over = _next_confirmation(now).where(named, _is_news(event))
    return sum([(await connection.execute(each)).rowcount for each in (waiting, over)])


def _unanswered(open_id: str, now: datetime) -> ColumnElement[bool]:
    """Match the account's inits whose outcome is unknown."""
    return and_(
        of_person(PLATFORM, open_id),
        _jobs.init_sent_at >= now - INIT_TOLD_WITHIN,
        written_since(now - INIT_TOLD_WITHIN),
        _jobs.publish_id.is_(None),
    )


def _is_news(event: TikTokEvent) -> ColumnElement[bool]:
    """Match ended jobs whose record the event may correct."""
    failed = _jobs.status == JobStatus.FAILED
    posted = _jobs.status == JobStatus.POSTED
    match event.kind:
        case EventKind.FAILED:
            # TikTok sends one for every failed publish; most jobs have it already.
            return or_(and_(failed, _OPEN), and_(posted, _jobs.post_id.is_(None)))
        case EventKind.PUBLIC:
            return or_(failed, and_(posted, _lacks(event.post_id)))
        case EventKind.WITHDRAWN:
            shown = _jobs.availability.is_distinct_from(Availability.WITHDRAWN)
            return or_(failed, and_(posted, shown))
        case EventKind.COMPLETE:
            return or_(failed, and_(posted, _jobs.delivery == Delivery.INBOX))
        case _:
            return failed


def _lacks(post_id: str | None) -> ColumnElement[bool]:
    """Match posts for which this id is new."""
    lacks = or_(_jobs.post_id.is_(None), _jobs.delivery == Delivery.INBOX)
    return lacks if post_id is None else or_(lacks, _jobs.post_id != post_id)


def _of_person(open_id: str) -> ColumnElement[bool]:
    """Match the jobs of the person that an event names, if any."""
    if not open_id:
        return true()
    return or_(_jobs.open_id == open_id, _jobs.open_id.is_(None))


def _next_attempt(now: datetime) -> Update:
    return (
        update(schedule_jobs)
        .where(_jobs.next_attempt_at > now)
        .values(next_attempt_at=now, updated_at=now)
    )


def _next_confirmation(now: datetime) -> Update:
    # The new ``updated_at`` cancels a running check: its answer may be older than the
    # event.
    # And the checks start over, in case TikTok does not know yet.
    return update(schedule_jobs).values(confirm_at=now, confirm_tries=0, updated_at=now)
