"""Get an account's access token: a valid one, or a fault that says why not."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from app.domain.accounts.account import REMOVALS, Account
from app.domain.codes import ACCOUNT_CHANGED, NOT_CONNECTED, RECONNECT_REQUIRED
from app.domain.errors import NotFound, StoreUnavailable
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault, Verdict
from app.grants.refresh import Refresher
from app.machine.clock import Clock
from app.store.accounts.account_store import AccountStore
from app.tiktok.client import TikTok

_MARGIN: Final = timedelta(seconds=60)
_MARGIN_SHARE: Final = 4  # at most a quarter of a short lifetime
# Ahead of use: an access token lives for two hours at least as TikTok documents it.
_AHEAD: Final = timedelta(minutes=10)
# Refresh tokens live for 180 days and are renewed with every pair.
# https://developers.tiktok.com/doc/oauth-user-access-token-management
_OLD: Final = timedelta(days=30)
_AT_ONCE: Final = 8  # proactive refreshes side by side


class Access(Struct, frozen=True, kw_only=True, gc=False):
    """What a call to TikTok for an account needs."""

    project_id: str
    platform: str
    open_id: str
    quota_owner: str  # as Account.quota_owner
    username: str | None
    token: str
    scopes: tuple[str, ...]
    version: int  # of the grant this token belongs to
    ends_at: datetime  # of the grant, unless TikTok extends it

    def __repr__(self) -> str:
        """Show whose it is, without the token."""
        return f"Access({self.project_id!r}, {self.platform!r}, {self.version})"


class Grants:
    """Hands out access tokens and refreshes their pairs in time.

    Every method may raise StoreUnavailable.
    """

    def __init__(
        self,
        *,
        accounts: AccountStore,
        tiktok: TikTok,
        clock: Clock,
        call_timeout: float = 10.0,
    ) -> None:
        """Take its parts; ``call_timeout`` is that of a refresh, in seconds."""
        self._accounts = accounts
        self._clock = clock
        self._refresher = Refresher(
            accounts=accounts, tiktok=tiktok, clock=clock, call_timeout=call_timeout
        )

    async def current(
        self, project_id: str, platform: str, *, open_id: str | None = None
    ) -> Access | Fault:
        """Return a token that is valid for a while, refreshed if necessary.

        With an ``open_id``, only that person's token is returned. Without a usable
        grant no call is made, and the fault's code says why: ``account_not_connected``,
        ``account_changed``, ``reconnect_required`` or TikTok's reason for the removal.
        """
        account = await self._usable(project_id, platform, open_id)
        if isinstance(account, Fault):
            return account
        now = self._clock.now()
        if not _ends_soon(account, now):
            return _access(account)
        fresh = await self._fresh(account)
        if isinstance(fresh, Fault) and fresh.error_class is not ErrorClass.AUTH:
            # A transient failure: use the rest of the current token's lifetime.
            alive = account.grant.access_token_expires_at > self._clock.now()
            return _access(account) if alive else fresh
        return fresh if isinstance(fresh, Fault) else _access(fresh)

    async def renew(self, refused: Access) -> Access | Fault:
        """Return a newer token than the one TikTok refused.

        All tasks and workers with the refused token share one refresh; none is made if
        a newer pair is stored already.
        """
        account = await self._usable(
            refused.project_id, refused.platform, refused.open_id
        )
        if isinstance(account, Fault) or account.grant_version != refused.version:
            return account if isinstance(account, Fault) else _access(account)
        fresh = await self._fresh(account)
        return fresh if isinstance(fresh, Fault) else _access(fresh)

    async def lost(self, access: Access, fault: Fault) -> None:
        """Record that a new consent is needed, unless a newer pair is stored."""
        await self._accounts.mark_reconnect_required(
            access.project_id,
            access.platform,
            reason=fault.code,
            grant_version=access.version,
            now=self._clock.now(),
        )

    async def refresh_expiring(self, *, now: datetime, limit: int) -> int:
        """Refresh up to ``limit`` pairs ahead of time; return how many are new.

        A post that is due in weeks then still finds a valid grant.
        """
        due = await self._accounts.list_expiring(
            now=now, before=now + _AHEAD, saved_before=now - _OLD, limit=limit
        )
        gate = asyncio.Semaphore(_AT_ONCE)
        done = await asyncio.gather(*(self._refreshed(one, gate) for one in due))
        return sum(done)

    async def close(self) -> None:
        """Wait for running refreshes: a pair that is not saved is lost."""
        await self._refresher.close()

    async def _refreshed(self, account: Account, gate: asyncio.Semaphore) -> bool:
        async with gate:
            try:
                fresh = await self._refresher.refresh(account)
            except StoreUnavailable:
                return False
        return isinstance(fresh, Account)

    async def _usable(
        self, project_id: str, platform: str, open_id: str | None
    ) -> Account | Fault:
        try:
            account = await self._accounts.get(project_id, platform)
        except NotFound:
            return _unusable(NOT_CONNECTED, "no TikTok account is connected")
        if open_id is not None and account.open_id != open_id:
            return _unusable(ACCOUNT_CHANGED, "another TikTok account is connected now")
        if account.usable:
            return account
        reason = account.reconnect_reason
        code = reason if reason in REMOVALS else RECONNECT_REQUIRED
        return _unusable(code, f"the TikTok account was lost: {reason}")

    async def _fresh(self, account: Account) -> Account | Fault:
        fresh = await self._refresher.refresh(account)
        if fresh is not None:
            return fresh
        # Somebody else stored a newer pair, or removed the account.
        return await self._usable(account.project_id, account.platform, account.open_id)


def _ends_soon(account: Account, now: datetime) -> bool:
    # A pair is stored when it is issued, so this is close to its lifetime.
    ends = account.grant.access_token_expires_at
    lifetime = ends - account.updated_at
    return ends - now <= min(_MARGIN, max(lifetime, timedelta(0)) / _MARGIN_SHARE)


def _access(account: Account) -> Access:
    return Access(
        project_id=account.project_id,
        platform=account.platform,
        open_id=account.open_id,
        quota_owner=account.quota_owner,
        username=account.username,
        token=account.grant.access_token,
        scopes=account.grant.scopes,
        version=account.grant_version,
        ends_at=account.grant.ends_at,
    )


def _unusable(code: str, message: str) -> Fault:
    return Fault(
        error_class=ErrorClass.AUTH,
        code=code,
        message=message,
        verdict=Verdict.NOT_SENT,
    )
