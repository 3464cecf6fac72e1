"""What people do with their TikTok accounts."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Self

import structlog
from msgspec import Struct

from app.domain import errors
from app.domain.accounts.account import (
    Account,
    AccountStatus,
    CreatorInfo,
    Grant,
    NewAccount,
    TokenPair,
)
from app.domain.api_key import Actor, check_scope
from app.domain.codes import NOT_CONNECTED, blocks_posting
from app.domain.jobs.job import ErrorClass, WaitingFor
from app.domain.jobs.outcome import Fault, PutOff
from app.grants.grants import Grants
from app.grants.renewal import with_renewal
from app.machine.clock import Clock
from app.pacing.creators import CreatorOptions
from app.pacing.pacer import Pacer
from app.service.pages import Page, cut_page, decode_name_cursor, encode_name_cursor
from app.store.accounts.account_store import AccountStore
from app.store.accounts.overview import AccountOverviewStore
from app.store.accounts.ownership import RebindResult
from app.tiktok.client import TikTok
from app.tiktok.values import UserInfo

BASIC_SCOPE: Final = "user.info.basic"
DAY: Final = timedelta(hours=24)
VERIFY_SECONDS: Final = 3.0
"""How long a PUT waits for TikTok to name the tokens' owner."""

_log = structlog.get_logger(__name__)


class GivenAccount(TokenPair, frozen=True, kw_only=True):
    """An account with tokens that the caller obtained."""

    project_id: str
    platform: str
    open_id: str


class PutAccount(Struct, frozen=True):
    """An account that was stored."""

    account: Account
    created: bool  # the project had none
    changed: bool  # it had another person's

    @classmethod
    def of(cls, account: Account, former: Account | None) -> Self:
        """Compare an account with the previous one."""
        changed = former is not None and former.open_id != account.open_id
        return cls(account, former is None, changed)


class AccountUsage(Struct, frozen=True, kw_only=True):
    """How much an account posted, and whether it may post now."""

    posted_last_24h: int
    drafts_last_24h: int
    rests_until: datetime | None  # because of a daily cap
    reason: WaitingFor | None
    inits_left_this_minute: int


class AccountService(Struct, frozen=True, kw_only=True):
    """Connects, lists, shows and removes accounts."""

    store: AccountStore
    overview: AccountOverviewStore
    grants: Grants
    tiktok: TikTok
    options: CreatorOptions
    pacer: Pacer
    clock: Clock

    async def put(self, given: GivenAccount, *, scope: str | None) -> PutAccount:
        """Store an account with its tokens.

        Its openId is only claimed until TikTok confirms it.
        """
        check_scope(given.project_id, scope)
        person = await self._person(given)
        now = self.clock.now()
        new = NewAccount(
            project_id=given.project_id,
            platform=given.platform,
            open_id=given.open_id,
            grant=Grant.issued(given, at=now),
            display_name=person.display_name or None if person else None,
            username=person.username if person else None,
            is_verified=person is not None,
        )
        account, former = await self.store.put(new, now=now)
        return PutAccount.of(account, former)

    async def _person(self, given: GivenAccount) -> UserInfo | None:
        """Ask TikTok for the tokens' owner; None unless it is the claimed one."""
        if BASIC_SCOPE not in given.scopes:
            return None
        async with self.tiktok.connect() as calls:
            person = await calls.user_info(
                given.access_token, scopes=given.scopes, timeout=VERIFY_SECONDS
            )
        if isinstance(person, Fault):
            _log.info("TikTok did not tell whose tokens these are", code=person.code)
            return None
        if person.open_id != given.open_id:
            _log.warning("the tokens belong to another openId than the one given")
            return None
        return person

    async def get(
        self, project_id: str, platform: str, *, scope: str | None
    ) -> Account:
        """Return a project's account; raises NotFound."""
        check_scope(project_id, scope)
        return await self.store.get(project_id, platform)

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
        found = await self.overview.page(
            project_id=scope, status=status, limit=limit + 1, after=after
        )
        return cut_page(found, limit, lambda last: encode_name_cursor(last.project_id))

    async def jobs_waiting(self) -> Mapping[str, int]:
        """Count the jobs that wait, by project."""
        return await self.overview.jobs_waiting()

    async def usage(
        self, project_id: str, platform: str, *, scope: str | None
    ) -> AccountUsage:
        """Return what an account used of its limits; raises NotFound."""
        check_scope(project_id, scope)
        account = await self.store.get(project_id, platform)
        now, open_id = self.clock.now(), account.open_id
        posts = await self.overview.posts_since(
            project_id, platform, open_id, since=now - DAY
        )
        left, rest = await self.pacer.left(platform, open_id)
        return AccountUsage(
            posted_last_24h=posts.published,
            drafts_last_24h=posts.drafts,
            rests_until=rest.until if rest else None,
            reason=rest.waiting_for if rest else None,
            inits_left_this_minute=left,
        )

    async def delete(
        self, project_id: str, platform: str, *, scope: str | None
    ) -> None:
        """Remove an account and revoke its tokens, if TikTok can; raises NotFound.

        The tokens are not revoked while another project has the same person connected:
        TikTok would end all of the person's grants to this app.
        """
        check_scope(project_id, scope)
        account = await self.store.delete(project_id, platform, now=self.clock.now())
        if not account.grant.access_token:
            return  # no key decrypts it
        if await self.store.list_by_open_id(platform, account.open_id):
            return
        async with self.tiktok.connect() as calls:
            fault = await calls.revoke(account.grant.access_token)
        if fault is not None:
            _log.warning(
                "TikTok did not revoke our access",
                project_id=project_id,
                code=fault.code,
            )

    async def rebind_jobs(
        self,
        project_id: str,
        platform: str,
        *,
        scope: str | None,
        by: Actor | None = None,
    ) -> RebindResult:
        """Move another person's jobs to the connected one; raises NotFound."""
        check_scope(project_id, scope)
        return await self.store.rebind_jobs(
            project_id, platform, now=self.clock.now(), by=by
        )

    async def creator_info(
        self, project_id: str, platform: str, *, scope: str | None
    ) -> CreatorInfo:
        """Return what the creator may choose now, at most a minute old.

        Raises NotFound, ReconnectRequired, PostingNotAllowed, QuotaExhausted or
        TikTokUnavailable.
        """
        check_scope(project_id, scope)
        access = await self.grants.current(project_id, platform)
        if isinstance(access, Fault):
            raise _error(access)
        # A token without some scope works for some calls, but is no use to a person who
        # is about to compose a post.
        account = await self.store.get(project_id, platform)
        if account.status is not AccountStatus.ACTIVE:
            raise errors.ReconnectRequired
        answer, access = await with_renewal(access, self.options.of, self.grants.renew)
        if isinstance(answer, CreatorInfo):
            return answer
        if isinstance(answer, PutOff):
            raise self._later(answer)
        if answer.error_class is ErrorClass.AUTH:
            await self.grants.lost(access, answer)
        raise _error(answer)

    def _later(self, wait: PutOff) -> errors.SchedulerError:
        """Return the error that says how long a person has to wait."""
        if wait.waiting_for is not WaitingFor.QUOTA:
            # The answer was shared with a due post that a daily cap put off.
            return errors.PostingNotAllowed()
        return errors.QuotaExhausted((wait.until - self.clock.now()).total_seconds())


def _error(answer: Fault) -> errors.SchedulerError:
    """Return the error for a person when creator_info fails."""
    if answer.code == NOT_CONNECTED:
        return errors.AccountNotConnected()
    if blocks_posting(answer.code):
        return errors.PostingNotAllowed(answer.code)
    if answer.error_class is ErrorClass.AUTH:
        return errors.ReconnectRequired()
    return errors.TikTokUnavailable(
        f"{errors.TikTokUnavailable.__doc__} ({answer.code})"
    )
