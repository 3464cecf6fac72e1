"""Check with TikTok whether it removed our access, after an event that says so."""

from datetime import timedelta
from typing import Final

import structlog
from msgspec import Struct

from app.domain.accounts.account import SCOPE_REASONS, Account
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault
from app.grants.grants import Grants
from app.grants.renewal import with_renewal
from app.machine.clock import Clock
from app.store.accounts.account_store import AccountStore
from app.tiktok.client import TikTok

AGAIN: Final = timedelta(seconds=30)
"""How long to wait before asking TikTok again if it did not answer."""

_log = structlog.get_logger(__name__)


class RemovalChecker(Struct, frozen=True, kw_only=True):
    """Finds out which accounts are lost, with a read-only call."""

    accounts: AccountStore
    grants: Grants
    tiktok: TikTok
    clock: Clock

    async def run_due(self, *, limit: int) -> int:
        """Check all accounts that are due, ``limit`` at a time; return how many.

        Raises StoreUnavailable.
        """
        checked = 0
        while found := await self._due(limit):
            for account in found:
                await self._check(account)
            checked += len(found)
        return checked

    async def _due(self, limit: int) -> tuple[Account, ...]:
        now = self.clock.now()
        return await self.accounts.claim_removals(
            now=now, until=now + AGAIN, limit=limit
        )

    async def _check(self, account: Account) -> None:
        access = await self.grants.current(
            account.project_id, account.platform, open_id=account.open_id
        )
        if isinstance(access, Fault):
            return  # the refused refresh has recorded the loss
        async with self.tiktok.connect() as calls:
            answer, access = await with_renewal(
                access,
                lambda access: calls.user_info(access.token, scopes=access.scopes),
                self.grants.renew,
            )
        if not isinstance(answer, Fault) or answer.code in SCOPE_REASONS:
            await self.accounts.clear_removal(account)
            _log.info(
                "TikTok reported a removal, but access is still granted",
                project_id=account.project_id,
            )
        elif answer.error_class is ErrorClass.AUTH:
            await self.grants.lost(access, answer)
