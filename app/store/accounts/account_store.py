"""Connected accounts; only a newer pair of tokens replaces a pair."""

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    case,
    delete,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.accounts.account import (
    SCOPE_REASONS,
    Account,
    AccountStatus,
    Grant,
    NewAccount,
)
from app.domain.api_key import Actor
from app.domain.errors import AccountNotConnected, StoreUnavailable
from app.domain.events import EventType
from app.domain.guarded import Guarded, Hidden
from app.store.accounts.ownership import (
    RebindResult,
    bind_jobs,
    rebind_jobs,
    remember_person,
    show_nobody,
    show_person,
)
from app.store.accounts.quotas import carry_over
from app.store.accounts.reconnect import require_reconnect
from app.store.accounts.rows import AccountRows, account_from_row
from app.store.accounts.tables import LIVES_LONG, USABLE, accounts
from app.store.db.batcher import Batcher
from app.store.db.bulk_values import BulkValues
from app.store.db.engine import Database
from app.store.db.locks import Sleep, writers_done
from app.store.db.prepared import Prepared
from app.store.db.types import Row
from app.store.db.vault import Vault
from app.store.jobs.tables import schedule_jobs
from app.store.webhooks.outbox import ACCOUNT_LISTENER, tell_of_account

_accounts = accounts.c
_Name = tuple[str, str]  # project and platform
_PUT_TRIES: Final = 5
# A version never used before: a worker may still hold the grant of an account that
# was removed and connected again, and must not take the new grant for its own.
_VERSION_RANGE: Final = 2**30

SKEW: Final = timedelta(minutes=1)
"""How far two clocks that are right may be apart."""

_NO_LEASE: dict[str, Any] = {"refresh_lease": None, "refresh_lease_until": None}
_MOST_TRADES: Final = 2000
"""Some 2 MB: a quarter of an hour of a process that looks after 190,000 accounts."""


class _Trade(Guarded, frozen=True, kw_only=True):
    """A pair that was traded, and the columns of the new one, sealed."""

    project_id: str
    platform: str
    grant_version: int  # of the pair that was traded
    traded: Hidden[bytes]  # the digest of its refresh token
    values: Hidden[Mapping[str, Any]]
    is_verified: bool


class AccountStore:
    """The accounts, with their tokens readable; each method is one transaction.

    Accounts requested at the same time are read in one statement: when thousands of
    posts fall due together, each needs its account.
    """

    def __init__(
        self, database: Database, vault: Vault, *, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._database = database
        self._sleep = sleep
        self._rows = AccountRows(vault)
        names = {"project_id": Text(), "platform": Text()}
        self._values = BulkValues(names, is_sqlite=database.is_sqlite)
        self._statement = Prepared(_all_named(self._values.table))
        self._reads = Batcher(self._read_all, spawn=database.spawn)
        self._trades = deque[_Trade](maxlen=_MOST_TRADES)

    async def put(
        self, new: NewAccount, *, now: datetime
    ) -> tuple[Account, Account | None]:
        """Connect an account, or connect it again; return it and the previous one.

        Jobs without an owner become the first account's, and waiting jobs show whether
        the right person is connected, page by page. Raises ValueError for an empty
        token.
        """
        values = self._rows.grant(new.project_id, new.platform, new.grant)
        values |= _connected(new, now)
        for _ in range(_PUT_TRIES):
            await self._bind_before(new.project_id, new.platform, other=new.open_id)
            async with self._database.write() as connection:
                if (row := await self._insert(connection, new, values)) is not None:
                    account, former = self._rows.read(row), None
                elif (replaced := await _replace(connection, new, values)) is not None:
                    account, former = self._rows.read(replaced[0]), replaced[1]
                else:
                    # It was removed between the two statements: try again.
                    continue
                if former is not None:
                    await self._succeed(connection, account, former, now=now)
            with suppress(StoreUnavailable):  # the next readiness check finds them
                await self._hand_over(account, is_new=former is None, now=now)
            return account, former
        raise StoreUnavailable("the account could not be stored; try again")

    async def get(self, project_id: str, platform: str) -> Account:
        """Return an account; raises AccountNotConnected."""
        # Two may ask for the same account, so each request gets its own key.
        account = await self._reads.ask(object(), (project_id, platform))
        if account is None:
            raise AccountNotConnected
        return account

    async def list_by_open_id(self, platform: str, open_id: str) -> tuple[Account, ...]:
        """Return every project's account of one TikTok user."""
        statement = select(accounts).where(
            _accounts.platform == platform, _accounts.open_id == open_id
        )
        rows = await self._database.rows(statement)
        return tuple(self._rows.read(row) for row in rows)

    async def list_expiring(
        self, *, now: datetime, before: datetime, saved_before: datetime, limit: int
    ) -> tuple[Account, ...]:
        """Return usable accounts whose access token expires soon or whose pair is old.

        ``saved_before`` is thirty days before ``before``, or longer. Leaves out
        accounts that are being refreshed, and those that no key decrypts, however many
        there are.
        """
        free, ends = _lease_is_free(now), _accounts.access_token_expires_at
        soon = select(accounts).where(USABLE, free, ends <= before).order_by(ends)
        found = await self._readable(soon, limit)
        if len(found) < limit:
            lives_long = LIVES_LONG[self._database.url.get_backend_name()]
            is_old = and_(_accounts.updated_at <= saved_before, ends > before)
            old = select(accounts).where(lives_long, free, is_old)
            old = old.order_by(_accounts.updated_at)
            found += await self._readable(old, limit - len(found))
        return tuple(found)

    async def _readable(self, which: Select[Any], limit: int) -> list[Account]:
        found = list[Account]()
        for page in count():
            rows = await self._database.rows(which.limit(limit).offset(page * limit))
            read = (self._rows.read(row) for row in rows)
            found += [account for account in read if account.usable]
            if len(rows) < limit or len(found) >= limit:
                break
        return found[:limit]

    async def delete(self, project_id: str, platform: str, *, now: datetime) -> Account:
        """Remove an account and return it; raises AccountNotConnected.

        It is gone before its waiting jobs show it, page by page: nothing more is sent.
        """
        statement = (
            delete(accounts).where(_named(project_id, platform)).returning(accounts)
        )
        await self._bind_before(project_id, platform)
        async with self._database.write() as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
            if row is None:
                raise AccountNotConnected
            account = self._rows.read(row)
            await remember_person(self._database, connection, account)
        with suppress(StoreUnavailable):  # the next readiness check finds them
            await show_nobody(self._database, account, now=now)
        return account

    async def rebind_jobs(
        self, project_id: str, platform: str, *, now: datetime, by: Actor | None
    ) -> RebindResult:
        """Move another person's jobs to this account; raises AccountNotConnected."""
        account = await self.get(project_id, platform)
        return await rebind_jobs(self._database, account, now=now, by=by)

    async def mark_reconnect_required(
        self,
        project_id: str,
        platform: str,
        *,
        reason: str,
        grant_version: int,
        now: datetime,
    ) -> bool:
        """Require a new consent; False if a newer pair or a graver reason is stored."""
        which = _at_version(project_id, platform, grant_version)
        async with self._database.write() as connection:
            return (
                await require_reconnect(connection, which, reason=reason, now=now) > 0
            )

    async def acquire_refresh_lease(
        self,
        project_id: str,
        platform: str,
        *,
        grant_version: int,
        token: str,
        now: datetime,
        until: datetime,
    ) -> bool:
        """Take the refresh lease of this version of the grant until a time.

        Others that waited do not try a grant again that was just found dead. Nor is a
        pair traded that another project holds, too, and is just trading.
        """
        statement = (
            update(accounts)
            .where(
                _at_version(project_id, platform, grant_version),
                USABLE,
                # No lease lasts longer than this one would: a clock that was ahead
                # wrote it.
                or_(_lease_is_free(now), _accounts.refresh_lease_until > until + SKEW),
            )
            .values(refresh_lease=token, refresh_lease_until=until)
        )
        async with self._database.write() as connection:
            rows = await _of_person(connection, project_id, platform)
            if self._is_traded(rows, project_id, now=now, latest=until + SKEW):
                return False
            return (await connection.execute(statement)).rowcount == 1

    def _is_traded(
        self, rows: Sequence[Row], project_id: str, *, now: datetime, latest: datetime
    ) -> bool:
        """Tell whether another project's lease is for the same pair as this one's."""
        trading = [
            row
            for row in rows
            if row["project_id"] == project_id or _is_leased(row, now, latest)
        ]
        if len(trading) < 2:  # nearly always: no token is decrypted
            return False
        tokens = {
            row["project_id"]: self._rows.read(row).grant.refresh_token
            for row in trading
        }
        own = tokens.pop(project_id, "")
        return bool(own) and own in tokens.values()

    async def save_refreshed(
        self,
        refreshed: Account,
        grant: Grant,
        *,
        now: datetime,
        is_verified: bool = False,
    ) -> Account | None:
        """Replace the pair that was traded for this one; None if it is gone.

        Another project that was given the same pair gets the new one, too.

        The version guards it, not the lease: TikTok has ended the stored pair, so even
        a late answer holds the only valid one. For the same reason this clears a
        reconnect that was required because of the dead pair.
        """
        trade = self._trade(refreshed, grant, is_verified=is_verified)
        done = [trade]
        async with self._database.write() as connection:
            twins = await self._twins(connection, refreshed)
            saved = await self._save(connection, trade, now=now)
            for twin in twins if saved else ():
                done.append(self._trade(twin, grant, is_verified=is_verified))
                await self._save(connection, done[-1], now=now)
            if saved is not None:
                await carry_over(connection, refreshed, saved, now=now)
        self._trades.extend(done if saved else ())
        return saved

    async def put_back(self, *, now: datetime) -> int:
        """Write new pairs that the database lost at a fail-over; return how many.

        Only over the very pair that was traded: it is worth nothing any more.
        """
        count = 0
        for trade in tuple(self._trades):
            with suppress(AccountNotConnected):
                there = await self.get(trade.project_id, trade.platform)
                if _digest(there.grant) == trade.traded:
                    async with self._database.write() as connection:
                        count += (
                            await self._save(connection, trade, now=now) is not None
                        )
        return count

    def _trade(self, former: Account, grant: Grant, *, is_verified: bool) -> _Trade:
        return _Trade(
            project_id=former.project_id,
            platform=former.platform,
            grant_version=former.grant_version,
            traded=_digest(former.grant),
            values=self._rows.grant(former.project_id, former.platform, grant),
            is_verified=is_verified,
        )

    async def _save(
        self, connection: AsyncConnection, trade: _Trade, *, now: datetime
    ) -> Account | None:
        lacks_scope = _accounts.reconnect_reason.in_(SCOPE_REASONS)
        statement = (
            update(accounts)
            .where(_at_version(trade.project_id, trade.platform, trade.grant_version))
            .values(
                **trade.values,
                **_NO_LEASE,
                status=case(
                    (lacks_scope, _accounts.status), else_=AccountStatus.ACTIVE
                ),
                reconnect_reason=case((lacks_scope, _accounts.reconnect_reason)),
                removal_reason=None,  # else TikTok would have refused the trade
                removal_check_at=None,
                grant_version=_accounts.grant_version + 1,
                verified_at=now if trade.is_verified else _accounts.verified_at,
                updated_at=now,
            )
            .returning(accounts)
        )
        row = (await connection.execute(statement)).mappings().one_or_none()
        return None if row is None else self._rows.read(row)

    async def _twins(
        self, connection: AsyncConnection, refreshed: Account
    ) -> list[Account]:
        """Find the other projects that hold the pair which was just traded."""
        project_id, platform = refreshed.project_id, refreshed.platform
        rows = await _of_person(connection, project_id, platform)
        others = (row for row in rows if row["project_id"] != project_id)
        token = refreshed.grant.refresh_token
        return [
            each
            for each in map(self._rows.read, others)
            if each.grant.refresh_token == token
        ]

    async def claim_removals(
        self, *, now: datetime, until: datetime, limit: int
    ) -> tuple[Account, ...]:
        """Claim accounts with a reported removal, to check them until a time."""
        due = select(_accounts.project_id).where(_accounts.removal_check_at <= now)
        statement = (
            update(accounts)
            .where(
                _accounts.project_id.in_(due.limit(limit)),
                _accounts.removal_check_at <= now,
            )
            .values(removal_check_at=until)
            .returning(accounts)
        )
        async with self._database.write() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return tuple(self._rows.read(row) for row in rows)

    async def clear_removal(self, account: Account) -> None:
        """Clear a reported removal: it was about an older grant."""
        statement = (
            update(accounts)
            .where(
                _at_version(account.project_id, account.platform, account.grant_version)
            )
            .values(removal_reason=None, removal_check_at=None)
        )
        async with self._database.write() as connection:
            await connection.execute(statement)

    async def release_refresh_lease(
        self, project_id: str, platform: str, *, token: str
    ) -> None:
        """Release the lease, if it is still this one."""
        statement = (
            update(accounts)
            .where(_named(project_id, platform), _accounts.refresh_lease == token)
            .values(**_NO_LEASE)
        )
        async with self._database.write() as connection:
            await connection.execute(statement)

    async def _bind_before(
        self, project_id: str, platform: str, *, other: str | None = None
    ) -> None:
        """Bind jobs while their person is connected still, unless nobody else comes.

        Those that are left are bound when the account is removed or replaced: so few
        that one statement does it.
        """
        statement = select(accounts).where(_named(project_id, platform))
        row = await self._database.row(statement)
        if row is not None and row["open_id"] != other:
            await bind_jobs(self._database, account_from_row(row))

    async def _hand_over(
        self, account: Account, *, is_new: bool, now: datetime
    ) -> None:
        """Update the jobs for the connected person, some at a time.

        If it is cut short, jobs without an owner are the connected person's still.
        """
        await bind_jobs(self._database, account)
        await show_person(self._database, account, now=now)
        if is_new and not self._database.is_sqlite:
            # And those whose insert began before the account was there.
            await writers_done(self._database, schedule_jobs, sleep=self._sleep)
            await bind_jobs(self._database, account)
            await show_person(self._database, account, now=now)

    async def _succeed(
        self,
        connection: AsyncConnection,
        account: Account,
        former: Account,
        *,
        now: datetime,
    ) -> None:
        """Take over from the previous account; write an event if it is another's."""
        await carry_over(connection, former, account, now=now)
        if former.open_id == account.open_id:
            return
        await remember_person(self._database, connection, former)
        which = _named(account.project_id, account.platform)
        rows = await connection.execute(select(accounts, ACCOUNT_LISTENER).where(which))
        row = rows.mappings().one()
        await tell_of_account(connection, row, now=now, kind=EventType.ACCOUNT_CHANGED)

    async def _read_all(self, asked: Mapping[object, _Name]) -> dict[object, Account]:
        values = self._values.bind(sorted(set(asked.values())))
        rows = await self._database.run(self._statement, values, writes=False)
        found = [self._rows.read(row._mapping) for row in rows]  # noqa: SLF001  public
        by_name = {(each.project_id, each.platform): each for each in found}
        return {key: by_name[name] for key, name in asked.items() if name in by_name}

    async def _insert(
        self, connection: AsyncConnection, new: NewAccount, values: dict[str, Any]
    ) -> Row | None:
        statement = (
            self._database.insert_new(accounts)
            .values(
                **values,
                project_id=new.project_id,
                platform=new.platform,
                display_name=new.display_name,
                username=new.username,
                grant_version=1 + secrets.randbelow(_VERSION_RANGE),
            )
            .returning(accounts)
        )
        row: Row | None = (await connection.execute(statement)).mappings().one_or_none()
        return row


async def _of_person(
    connection: AsyncConnection, project_id: str, platform: str
) -> Sequence[Row]:
    """Lock a project's account, and all others of the same person.

    In one order everywhere: no two workers wait for each other's rows.
    """
    own = accounts.alias("own").c
    person = select(own.open_id).where(
        own.project_id == project_id, own.platform == platform
    )
    statement = (
        select(accounts)
        .where(
            _accounts.platform == platform,
            _accounts.open_id == person.scalar_subquery(),
        )
        .order_by(_accounts.project_id)
        .with_for_update()
    )
    return (await connection.execute(statement)).mappings().all()


async def _replace(
    connection: AsyncConnection, new: NewAccount, values: dict[str, Any]
) -> tuple[Row, Account] | None:
    """Overwrite the account; return the new row and the previous account."""
    there = select(accounts).where(_named(new.project_id, new.platform))
    before = await connection.execute(there.with_for_update())
    if (former := before.mappings().one_or_none()) is None:
        return None
    same_person = _accounts.open_id == new.open_id
    statement = (
        update(accounts)
        .where(_named(new.project_id, new.platform))
        .values(
            **values,
            display_name=_or_kept(
                new.display_name, _accounts.display_name, same_person
            ),
            username=_or_kept(new.username, _accounts.username, same_person),
            grant_version=_accounts.grant_version + 1,
        )
        .returning(accounts)
    )
    row = (await connection.execute(statement)).mappings().one()
    return row, account_from_row(former)


def _connected(new: NewAccount, now: datetime) -> dict[str, Any]:
    return {
        **_NO_LEASE,
        "open_id": new.open_id,
        "status": AccountStatus.ACTIVE,
        "reconnect_reason": None,
        "removal_reason": None,
        "removal_check_at": None,
        "connected_at": now,
        "verified_at": now if new.is_verified else None,
        "updated_at": now,
    }


def _or_kept(
    value: str | None, column: ColumnElement[Any], same_person: ColumnElement[bool]
) -> ColumnElement[Any]:
    return case((same_person, column)) if value is None else literal(value)


def _named(project_id: str, platform: str) -> ColumnElement[bool]:
    return and_(_accounts.project_id == project_id, _accounts.platform == platform)


def _all_named(given: FromClause) -> Select[Any]:
    names = and_(
        _accounts.project_id == given.c.project_id,
        _accounts.platform == given.c.platform,
    )
    return select(accounts).select_from(given.join(accounts, names))


def _digest(grant: Grant) -> bytes:
    return sha256(grant.refresh_token.encode()).digest()


def _at_version(
    project_id: str, platform: str, grant_version: int
) -> ColumnElement[bool]:
    named = _named(project_id, platform)
    return and_(named, _accounts.grant_version == grant_version)


def _is_leased(row: Row, now: datetime, latest: datetime) -> bool:
    until = row["refresh_lease_until"]
    return until is not None and now < until <= latest


def _lease_is_free(now: datetime) -> ColumnElement[bool]:
    return or_(
        _accounts.refresh_lease_until.is_(None), _accounts.refresh_lease_until <= now
    )
