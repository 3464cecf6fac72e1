"""Trade a refresh token for a new pair: only once, and never lose the new pair.

TikTok ends the old pair with the trade. Two trades at once, or an answer that is not
stored, would lose the account.
https://developers.tiktok.com/doc/oauth-user-access-token-management
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import uuid4

import structlog

from app.domain.accounts.account import SCOPE_REASONS, Account, Grant
from app.domain.errors import NotFound, StoreUnavailable
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault, Verdict
from app.machine.callers import shared_context
from app.machine.clock import Clock
from app.store.accounts.account_store import AccountStore
from app.tiktok.client import TikTok
from app.tiktok.values import TokenGrant

LEASE: Final = timedelta(seconds=30)
_CALL_SHARE: Final = 2 / 3  # of the lease, so that the answer comes within it
_PEEK_SECONDS: Final = 0.1  # how often a waiting worker looks for the new pair
# Far longer than the lease: the answer stays the only valid pair, see save_refreshed.
_SAVE_FOR: Final = timedelta(minutes=5)
_SAVE_AGAIN_SECONDS: Final = 0.5

_BUSY: Final = Fault(
    error_class=ErrorClass.TRANSIENT,
    code="refresh_busy",
    message="another worker is still refreshing this account's tokens",
    verdict=Verdict.NOT_SENT,
)

_log = structlog.get_logger(__name__)
_Name = tuple[str, str, int]


class Refresher:
    """Refreshes each version of a grant once, over all tasks and all workers.

    Tasks of one process share one task, which no cancelled caller cancels; processes
    use a lease in the account's row.
    """

    def __init__(
        self,
        *,
        accounts: AccountStore,
        tiktok: TikTok,
        clock: Clock,
        call_timeout: float,
    ) -> None:
        self._accounts = accounts
        self._tiktok = tiktok
        self._clock = clock
        self._call_timeout = min(call_timeout, LEASE.total_seconds() * _CALL_SHARE)
        self._flights: dict[_Name, asyncio.Task[Account | Fault | None]] = {}

    async def refresh(self, account: Account) -> Account | Fault | None:
        """Return the account with its next pair; None if the stored one is newer.

        Raises StoreUnavailable.
        """
        name = account.project_id, account.platform, account.grant_version
        if (flight := self._flights.get(name)) is None:
            flight = asyncio.create_task(
                self._refresh(account), context=shared_context()
            )
            self._flights[name] = flight
            flight.add_done_callback(lambda done: self._landed(name, done))
        # A cancelled attempt must not cancel the trade.
        return await asyncio.shield(flight)

    async def close(self) -> None:
        """Wait for running trades."""
        await asyncio.gather(*self._flights.values(), return_exceptions=True)

    def _landed(
        self, name: _Name, flight: asyncio.Task[Account | Fault | None]
    ) -> None:
        del self._flights[name]
        if not flight.cancelled():
            flight.exception()  # everybody who waited may have been cancelled

    async def _refresh(self, account: Account) -> Account | Fault | None:
        lease = uuid4().hex
        give_up_at = self._clock.now() + LEASE
        while not await self._acquire(account, lease):
            if await self._is_outdated(account):
                return None
            if self._clock.now() >= give_up_at:
                return _BUSY
            await self._clock.sleep(_PEEK_SECONDS)
        try:
            return await self._trade(account)
        finally:
            with suppress(StoreUnavailable):  # the lease will run out
                await self._accounts.release_refresh_lease(
                    account.project_id, account.platform, token=lease
                )

    async def _acquire(self, account: Account, lease: str) -> bool:
        now = self._clock.now()
        return await self._accounts.acquire_refresh_lease(
            account.project_id,
            account.platform,
            grant_version=account.grant_version,
            token=lease,
            now=now,
            until=now + LEASE,
        )

    async def _is_outdated(self, account: Account) -> bool:
        try:
            stored = await self._accounts.get(account.project_id, account.platform)
        except NotFound:
            return True
        return stored.grant_version != account.grant_version or not stored.usable

    async def _trade(self, account: Account) -> Account | Fault | None:
        async with self._tiktok.connect() as calls:
            answer = await calls.refresh(
                account.grant.refresh_token, timeout=self._call_timeout
            )
        if isinstance(answer, Fault):
            return await self._refused(account, answer)
        return await self._save(account, answer)

    async def _refused(self, account: Account, fault: Fault) -> Fault | None:
        """Give up the account only if TikTok said that the grant itself is gone.

        After a lost answer the pair may have been traded: TikTok then says so next
        time. A transient failure or a wrong client secret says nothing about the grant.
        """
        _log.warning("token refresh failed", **_named(account), code=fault.code)
        if fault.error_class is not ErrorClass.AUTH or fault.code in SCOPE_REASONS:
            return fault
        marked = await self._accounts.mark_reconnect_required(
            account.project_id,
            account.platform,
            reason=fault.code,
            grant_version=account.grant_version,
            now=self._clock.now(),
        )
        return fault if marked else None

    async def _save(self, account: Account, answer: TokenGrant) -> Account | None:
        """Store the new pair, however long the database is away; None if too late."""
        now = self._clock.now()
        # If the answer names no scopes, the stored ones stay.
        grant = Grant.issued(answer, at=now, scopes=account.grant.scopes)
        give_up_at = now + _SAVE_FOR
        while True:
            try:
                return await self._accounts.save_refreshed(
                    account,
                    grant,
                    now=self._clock.now(),
                    # TikTok names the tokens' owner; a caller only claims it.
                    is_verified=answer.open_id == account.open_id,
                )
            except StoreUnavailable:
                if self._clock.now() >= give_up_at:
                    _log.error(
                        "new tokens are lost: the database was away for too long",
                        **_named(account),
                    )
                    raise
                await self._clock.sleep(_SAVE_AGAIN_SECONDS)


def _named(account: Account) -> dict[str, str]:
    return {"project_id": account.project_id, "platform": account.platform}
