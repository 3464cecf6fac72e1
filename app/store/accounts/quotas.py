"""The permits each account has taken of TikTok's limits, shared by all workers."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    FromClause,
    and_,
    bindparam,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from app.domain.accounts.account import Account
from app.domain.accounts.quota import (
    IDLE,
    QUEUE_TURNS,
    WINDOW,
    Quota,
    QuotaCall,
    Use,
    turn_at,
)
from app.domain.jobs.job import WaitingFor
from app.store.accounts.tables import account_quotas
from app.store.accounts.turn_queue import (
    AssignedTurns,
    JobsBeforeInit,
    assign_turns,
    put_off_due,
)
from app.store.db.batcher import Batcher
from app.store.db.bulk_values import BulkValues
from app.store.db.engine import Database, upsert
from app.store.db.prepared import Prepared
from app.store.db.types import UtcDateTime

_quotas = account_quotas.c

WHOLE_APP: Final = "*"
"""The row of the whole app, in place of an account's openId."""

_TAKEN: Final = ("platform", "open_id", "uses", "idle_at")
_LONG_AGO: Final = datetime(2000, 1, 1, tzinfo=UTC)


class QuotaRow(Struct, frozen=True):
    """An account's quota as read; ``version`` 0 if there is no row yet."""

    version: int = 0
    quota: Quota = IDLE
    rest_until: datetime | None = None
    rest_reason: WaitingFor | None = None


class Owner(NamedTuple):
    """Whose quota: TikTok counts per TikTok account, not per project of ours."""

    platform: str
    open_id: str


class QuotaStore:
    """Takes permits by compare and swap: one statement where nobody interferes.

    Most accounts that fall due together are idle, and share that statement.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        columns = [_quotas[name] for name in _TAKEN]
        self._values = BulkValues.like(columns, is_sqlite=database.is_sqlite)
        taking = _taking_idle(self._values.table, is_sqlite=database.is_sqlite)
        self._take_idle = Prepared(taking.returning(*database.lazily))
        self._idle = Batcher(self._take_all_idle, spawn=database.spawn)

    async def take_idle(
        self, owner: Owner, quota: Quota, *, now: datetime
    ) -> int | None:
        """Write a quota over one that is idle or missing, without reading it.

        Return the new version, None if the account is not idle.
        """
        return await self._idle.ask(owner, (quota, now))

    async def _take_all_idle(
        self, asked: Mapping[Owner, tuple[Quota, datetime]]
    ) -> dict[Owner, int]:
        # All workers use the same order: no two wait for each other's rows.
        rows = [(*owner, *_written(asked[owner][0])) for owner in sorted(asked)]
        earliest = min(now for _, now in asked.values())
        values = {**self._values.bind(rows), "earliest": earliest}
        written = await self._database.run(self._take_idle, values)
        return {Owner(row.platform, row.open_id): row.version for row in written}

    async def load(self, owner: Owner) -> QuotaRow:
        """Return the account's quota."""
        statement = select(account_quotas).where(_named(owner))
        row = await self._database.row(statement)
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
        return await self._write(owner, seen, **_values(quota), version=seen + 1)

    async def mend(self, owner: Owner, row: QuotaRow, *, seen: int) -> bool:
        """Rewrite a quota and its rest if nobody wrote since ``seen``."""
        values = _values(row.quota) | {"rest_until": row.rest_until}
        return await self._write(owner, seen, **values, version=row.version)

    async def _write(self, owner: Owner, seen: int, **values: object) -> bool:
        statement = (
            update(account_quotas)
            .where(_named(owner), _quotas.version == seen)
            .values(**values)
            .returning(_quotas.version, *self._database.lazily)
        )
        async with self._database.single() as connection:
            return (await connection.execute(statement)).scalar() is not None

    async def rest(self, owner: Owner, *, until: datetime, reason: WaitingFor) -> None:
        """Let an account, or the whole app, rest until a time; a longer rest stays."""
        rest = {"rest_until": until, "rest_reason": reason}
        statement = (
            upsert(account_quotas, is_sqlite=self._database.is_sqlite)
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

    async def assign_turns(
        self,
        project_id: str,
        platform: str,
        *,
        first: datetime,
        limit: int,
        now: datetime,
        window: timedelta = WINDOW,
    ) -> AssignedTurns:
        """Give a project's due jobs their turns, ``limit`` a window from ``first``.

        They come after the jobs that wait already and those being run. Jobs that find
        no turn before the last one are left to ``put_off_due``.
        """
        jobs = JobsBeforeInit(project_id, platform, due_before=first)
        turns = [
            turn_at(first, number * limit, limit, window=window)
            for number in range(QUEUE_TURNS)
        ]
        async with self._database.write() as connection:
            return await assign_turns(connection, jobs, turns, limit=limit, now=now)

    async def put_off_due(
        self,
        project_id: str,
        platform: str,
        *,
        until: datetime,
        first: datetime,
        now: datetime,
    ) -> None:
        """Postpone all of a project's jobs that are due before ``first``.

        One statement: with very many jobs it takes long; claims skip locked rows.
        """
        jobs = JobsBeforeInit(project_id, platform, due_before=first)
        async with self._database.write() as connection:
            await put_off_due(self._database, connection, jobs, until=until, now=now)


async def carry_over(
    connection: AsyncConnection, before: Account, after: Account, *, now: datetime
) -> None:
    """Let an account keep its quota when TikTok's word for its openId changes the key.

    What another project uses for the same person at the moment stays as it is.
    """
    keys = before.quota_owner, after.quota_owner
    if before.open_id != after.open_id or keys[0] == keys[1]:
        return
    kept = [column for column in _quotas if column.name != "open_id"]
    rows = select(literal(keys[1]), *kept).where(
        _named(Owner(before.platform, keys[0]))
    )
    is_sqlite = connection.dialect.name == "sqlite"
    fresh = upsert(account_quotas, is_sqlite=is_sqlite)
    taken = {
        name: fresh.excluded[name]
        for name in ("uses", "idle_at", "rest_until", "rest_reason")
    }
    await connection.execute(
        fresh.from_select(
            ["open_id", *(column.name for column in kept)], rows
        ).on_conflict_do_update(
            index_elements=[_quotas.platform, _quotas.open_id],
            set_={**taken, "version": _quotas.version + 1},
            where=_is_idle(now),
        )
    )


def _named(owner: Owner) -> ColumnElement[bool]:
    return and_(_quotas.platform == owner.platform, _quotas.open_id == owner.open_id)


def _taking_idle(given: FromClause, *, is_sqlite: bool) -> ReturningInsert[Any]:
    new = [given.c[name] for name in _TAKEN]
    rows = select(*new, literal(1)).where(true())  # else SQLite expects a join
    fresh = upsert(account_quotas, is_sqlite=is_sqlite)
    earliest = bindparam("earliest", type_=UtcDateTime())
    statement: ReturningInsert[Any] = (
        fresh.from_select((*_TAKEN, "version"), rows)
        .on_conflict_do_update(
            index_elements=[_quotas.platform, _quotas.open_id],
            set_={
                "uses": fresh.excluded.uses,
                "idle_at": fresh.excluded.idle_at,
                "version": _quotas.version + 1,
            },
            where=_is_idle(earliest),
        )
        .returning(_quotas.platform, _quotas.open_id, _quotas.version)
    )
    return statement


def _is_idle(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    rests_no_more = or_(_quotas.rest_until.is_(None), _quotas.rest_until <= now)
    return and_(_quotas.idle_at <= now, rests_no_more)


def _values(quota: Quota) -> dict[str, Any]:
    uses, idle_at = _written(quota)
    return {"uses": uses, "idle_at": idle_at}


def _written(quota: Quota) -> tuple[str, datetime]:
    return _quota_to_json(quota), quota.idle_at() or _LONG_AGO


def _quota_to_json(quota: Quota) -> str:
    uses = {
        call: [[use.until.timestamp(), use.count] for use in uses]
        for call, uses in quota.uses.items()
    }
    return msgspec.json.encode(uses).decode()


def _quota_from_json(text: str) -> Quota:
    return Quota(
        {
            QuotaCall(call): tuple(
                Use(datetime.fromtimestamp(until, UTC), count) for until, count in uses
            )
            for call, uses in msgspec.json.decode(text).items()
        }
    )
