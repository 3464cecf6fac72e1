"""Lists of accounts, and how much of TikTok's limits is left."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.domain.accounts.account import Account, AccountStatus
from app.domain.api_key import check_scope
from app.domain.jobs.job import WaitingFor
from app.machine.clock import Clock
from app.pacing.pacer import Pacer
from app.service.pages import Page, cut_page, decode_name_cursor, encode_name_cursor
from app.store.accounts.account_store import AccountStore
from app.store.accounts.overview import AccountOverviewStore

DAY: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUsage:
    """How much an account posted, and whether it may post now."""

    posted_last_24h: int
    drafts_last_24h: int
    rests_until: datetime | None  # because of a daily cap
    reason: WaitingFor | None
    inits_left_this_minute: int


class AccountOverview:
    """Shows accounts, and how much they posted."""

    def __init__(
        self,
        *,
        store: AccountOverviewStore,
        accounts: AccountStore,
        pacer: Pacer,
        clock: Clock,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._pacer = pacer
        self._clock = clock

    async def list(
        self,
        status: AccountStatus | None,
        *,
        limit: int,
        cursor: str | None,
        scope: str | None,
    ) -> Page[Account]:
        """Return a page of accounts, sorted by project.

        Raises InvalidInput for a made-up cursor.
        """
        after = None if cursor is None else decode_name_cursor(cursor)
        found = await self._store.page(
            project_id=scope, status=status, limit=limit + 1, after=after
        )
        return cut_page(found, limit, lambda last: encode_name_cursor(last.project_id))

    async def jobs_waiting(self) -> Mapping[str, int]:
        """Count the jobs that wait, by project."""
        return await self._store.jobs_waiting()

    async def usage(
        self, project_id: str, platform: str, *, scope: str | None
    ) -> AccountUsage:
        """Return what an account used of its limits; raises NotFound."""
        check_scope(project_id, scope)
        account = await self._accounts.get(project_id, platform)
        now, open_id = self._clock.now(), account.open_id
        posts = await self._store.posts_since(
            project_id, platform, open_id, since=now - DAY
        )
        left, rest = await self._pacer.left(platform, open_id)
        return AccountUsage(
            posted_last_24h=posts.published,
            drafts_last_24h=posts.drafts,
            rests_until=rest.until if rest else None,
            reason=rest.waiting_for if rest else None,
            inits_left_this_minute=left,
        )
