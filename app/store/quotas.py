"""What each account has taken of TikTok's limits, shared by all workers."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.job import JobStatus, WaitingFor
from app.domain.quota import (
    IDLE,
    LINE_TURNS,
    WINDOW,
    Quota,
    QuotaCall,
    Use,
    slot,
)
from app.store.engine import Database
from app.store.tables import account_quotas, schedule_jobs

_quotas = account_quotas.c
_jobs = schedule_jobs.c

WHOLE_APP: Final = "*"
"""Stands for the app where another row names an account."""

_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class QuotaRow:
    """An account's quota as it was read; ``version`` 0 if there is no row yet."""

    version: int = 0
    quota: Quota = IDLE
    rest_until: datetime | None = None
    rest_reason: WaitingFor | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose quota: TikTok counts per account of its own, not per project of ours."""

    platform: str
    open_id: str


class QuotaStore:
    """Takes places by compare and swap: one statement where nobody interferes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_idle(
        self, owner: Owner, quota: Quota, *, now: datetime
    ) -> int | None:
        """Write a quota over one that is idle or missing, unread.

        Return the new version, None if the account is not idle.
        """
        values = _values(quota)
        dialect = sqlite if self._database.is_sqlite else postgresql
        fresh = dialect.insert(account_quotas).values(
            platform=owner.platform, open_id=owner.open_id, version=1, **values
        )
        statement = fresh.on_conflict_do_update(
            index_elements=[_quotas.platform, _quotas.open_id],
            set_={**values, "version": _quotas.version + 1},
            where=and_(
                _quotas.idle_at <= now,
                or_(_quotas.rest_until.is_(None), _quotas.rest_until <= now),
            ),
        ).returning(_quotas.version)
        async with self._database.single() as connection:
            version: int | None = (await connection.execute(statement)).scalar()
        return version

    async def load(self, owner: Owner) -> QuotaRow:
        """Return the account's quota."""
        statement = select(account_quotas).where(_named(owner))
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
        if row is None:
            return QuotaRow()
        return QuotaRow(
            version=row["version"],
            quota=_quota_from_json(row["uses"]),
            rest_until=row["rest_until"],
            rest_reason=row["rest_reason"] and WaitingFor(row["rest_reason"]),
        )

    async def swap(self, owner: Owner, quota: Quota, *, seen: int) -> bool:
        """Write a quota if nobody wrote one since ``seen``."""
        statement = (
            update(account_quotas)
            .where(_named(owner), _quotas.version == seen)
            .values(**_values(quota), version=seen + 1)
            .returning(_quotas.version)
        )
        async with self._database.single() as connection:
            return (await connection.execute(statement)).scalar() is not None

    async def rest(self, owner: Owner, *, until: datetime, reason: WaitingFor) -> None:
        """Let an account, or the whole app, rest until a time; a longer rest stays."""
        rest = {"rest_until": until, "rest_reason": reason}
        dialect = sqlite if self._database.is_sqlite else postgresql
        statement = (
            dialect.insert(account_quotas)
            .values(
                platform=owner.platform,
                open_id=owner.open_id,
                version=1,
                **_values(IDLE),
                **rest,
            )
            .on_conflict_do_update(
                index_elements=[_quotas.platform, _quotas.open_id],
                set_={**rest, "version": _quotas.version + 1},
                where=or_(_quotas.rest_until.is_(None), _quotas.rest_until < until),
            )
        )
        async with self._database.single() as connection:
            await connection.execute(statement)

    async def line_up(
        self,
        project_id: str,
        platform: str,
        *,
        first: datetime,
        limit: int,
        window: timedelta = WINDOW,
    ) -> int:
        """Give a project's due jobs their turns, ``limit`` a window from ``first``.

        A few statements however many jobs there are, so that an account with ten
        thousand due posts keeps the others waiting no longer than one with two. They
        stand behind those that wait already and those being run. Return how many wait
        already: there the turns of those being run begin.
        """
        not_begun = and_(
            _jobs.project_id == project_id,
            _jobs.platform == platform,
            _jobs.init_sent_at.is_(None),
        )
        last = slot(first, LINE_TURNS * limit, limit, window=window)
        due = and_(
            not_begun,
            _jobs.status.in_((JobStatus.SCHEDULED, JobStatus.RETRYING)),
            _jobs.next_attempt_at < first,
        )
        async with self._database.write() as connection:
            waiting = await _count(
                connection,
                not_begun,
                _jobs.waiting_for == WaitingFor.QUOTA,
                _jobs.next_attempt_at.between(first, last),
            )
            running = await _count(
                connection, not_begun, _jobs.claim_token.is_not(None)
            )
            turn, taken = divmod(waiting + running, limit)
            room = limit - taken
            for number in range(min(turn, LINE_TURNS - 1), LINE_TURNS):
                # The next few by their time; what has its turn is due no longer.
                some = select(_jobs.id).where(due).order_by(_jobs.scheduled_for)
                if number < LINE_TURNS - 1:
                    some = some.limit(room)
                at = slot(first, number * limit, limit, window=window)
                moved = await connection.execute(
                    update(schedule_jobs)
                    .where(_jobs.id.in_(some), due)
                    .values(next_attempt_at=at, waiting_for=WaitingFor.QUOTA)
                )
                if moved.rowcount < room:
                    break
                room = limit
        return waiting


async def _count(connection: AsyncConnection, *which: ColumnElement[bool]) -> int:
    counted = select(func.count()).select_from(schedule_jobs).where(*which)
    count: int = (await connection.execute(counted)).scalar_one()
    return count


def _named(owner: Owner) -> ColumnElement[bool]:
    return and_(_quotas.platform == owner.platform, _quotas.open_id == owner.open_id)


def _values(quota: Quota) -> dict[str, Any]:
    return {
        "uses": _quota_to_json(quota),
        "idle_at": quota.idle_at() or _LONG_AGO,
    }


def _quota_to_json(quota: Quota) -> str:
    uses = {
        call: [[use.until.timestamp(), use.count] for use in uses]
        for call, uses in quota.uses.items()
    }
    return json.dumps(uses, separators=(",", ":"))


def _quota_from_json(text: str) -> Quota:
    return Quota(
        {
            QuotaCall(call): tuple(
                Use(datetime.fromtimestamp(until, UTC), count) for until, count in uses
            )
            for call, uses in json.loads(text).items()
        }
    )
