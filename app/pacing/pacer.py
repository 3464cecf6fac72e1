"""Take a permit from the account's quota before each call to TikTok."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from app.domain.accounts.quota import (
    IDLE,
    ONE_PERMIT,
    WINDOW,
    Limits,
    Permits,
    Quota,
    QuotaCall,
    Wanted,
    turn_at,
)
from app.domain.jobs.job import WaitingFor
from app.domain.jobs.outcome import PutOff
from app.machine.clock import Clock
from app.metrics import Metrics
from app.pacing.account_quota import AccountQuota, TurnQueue
from app.store.accounts.quotas import WHOLE_APP, Owner, QuotaRow, QuotaStore

INIT_SHARE: Final = 0.25
"""How long, in windows, an init's permit is usable that came with creator_info's."""

POLLS_SHARE: Final = 0.4
"""The share of a window's status calls that an account's only post takes at once."""

APP_REST_SEEN: Final = timedelta(seconds=5)
"""How long a worker may take to see that the whole app rests."""

FOR_EVER: Final = timedelta(days=36_500)
CLOCKS_APART: Final = timedelta(minutes=1)
"""How far two clocks that are right may be apart."""

_PRUNE_AT: Final = 4096


class QuotaUser(Struct, frozen=True, gc=False):
    """Who calls TikTok on an account's quota."""

    project_id: str
    owner: Owner  # its open_id as Account.quota_owner
    waited: bool = False  # it had a turn before: it goes to the front of the queue
    alone: bool = False  # it makes this one call, and no post follows

    @property
    def platform(self) -> str:
        """Return the platform whose quota it is."""
        return self.owner.platform

    def posts_with(self, call: QuotaCall) -> bool:
        """Tell whether a call leads to a new post, which a rest holds back."""
        return call is not QuotaCall.STATUS and not self.alone


class Pacer:
    """Takes permits from the shared quota; for a lone post, in one statement."""

    def __init__(
        self,
        store: QuotaStore,
        clock: Clock,
        limits: Limits,
        *,
        window: timedelta = WINDOW,
        longest_rest: timedelta = FOR_EVER,
        metrics: Metrics | None = None,
    ) -> None:
        """Take what is shared; no rest that a right clock wrote is longer than that."""
        self._metrics = metrics or Metrics()
        self._store = store
        self._clock = clock
        self._limits = limits
        self._window = window
        self._longest_rest = longest_rest
        self._account_quotas: dict[Owner, AccountQuota] = {}
        self._prune_at = _PRUNE_AT
        self._app = QuotaRow()
        self._app_seen: datetime | None = None
        self._lone = {call: self._wanted_by_lone_post(call) for call in QuotaCall}

    async def acquire(self, user: QuotaUser, call: QuotaCall) -> PutOff | datetime:
        """Take a permit and return the time by which its call must be sent.

        A call sent later could be one too many for TikTok. Without a permit, return
        how long to put the call off. Raises StoreUnavailable.
        """
        account_quota = self._account_quota(user.owner)
        async with account_quota.lock:
            permit = await self._acquire(account_quota, user, call)
        if account_quota.queue is not None:
            await self._put_off_rest(account_quota.queue, user)
        if isinstance(permit, PutOff):
            self._metrics.tiktok.wait(call, permit.waiting_for)
        return permit

    def acquire_kept(self, user: QuotaUser, call: QuotaCall) -> datetime | None:
        """Use a permit that was taken ahead, if there is nothing to wait for.

        Return the time by which the call must be sent, as ``acquire`` does.
        """
        account_quota = self._account_quotas.get(user.owner)
        if (
            account_quota is None
            or account_quota.queue is not None
            or account_quota.lock.locked()
        ):
            return None
        now = self._clock.now()
        if user.posts_with(call) and (
            not self._knows_app(now) or _rest_of(self._app, now)
        ):
            return None
        return account_quota.use_kept(call, now)

    def forget(self) -> None:
        """Believe nothing that was seen before our clock was set."""
        self._app_seen = None
        self._account_quotas = {
            owner: quota
            for owner, quota in self._account_quotas.items()
            if quota.lock.locked()
        }
        for quota in self._account_quotas.values():
            quota.forget()

    async def left(self, platform: str, open_id: str) -> tuple[int, PutOff | None]:
        """Return how many inits an account may send now, and its rest or the app's.

        Takes no permit. An account that rests has none left.
        """
        now = self._clock.now()
        row = self._mended(await self._store.load(Owner(platform, open_id)), now)
        rest = await self._app_rest(platform, now) or _rest_of(row, now)
        taken = row.quota.taken(QuotaCall.INIT, now)
        left = max(0, self._limits[QuotaCall.INIT] - taken)
        return 0 if rest else left, rest

    async def rest(
        self, user: QuotaUser, *, until: datetime, reason: WaitingFor
    ) -> None:
        """Stop new posts of the account until a time; for the app's cap, of the app.

        Posts that TikTok has already are still polled: caps are about new posts.
        """
        owner = user.owner
        if reason is WaitingFor.APP_CAP:
            owner = Owner(user.platform, WHOLE_APP)
            self._app_seen = None
        await self._store.rest(owner, until=until, reason=reason)
        self._metrics.tiktok.rest(reason)
        account_quota = self._account_quota(owner)
        account_quota.row = None
        account_quota.drop(QuotaCall.INIT)

    async def _acquire(
        self, account_quota: AccountQuota, user: QuotaUser, call: QuotaCall
    ) -> PutOff | datetime:
        now = self._clock.now()
        if user.posts_with(call) and (
            resting := await self._app_rest(user.platform, now)
        ):
            return resting
        if send_by := account_quota.use_kept(call, now):
            return send_by
        return await self._take(account_quota, user, call, now)

    async def _take(
        self,
        account_quota: AccountQuota,
        user: QuotaUser,
        call: QuotaCall,
        now: datetime,
    ) -> PutOff | datetime:
        if account_quota.is_idle(now) and (
            send_by := await self._take_unseen(account_quota, user, call, now)
        ):
            return send_by
        while True:
            row = account_quota.row = account_quota.row or await self._load(
                user.owner, now
            )
            if user.posts_with(call) and (resting := _rest_of(row, now)):
                return resting
            wanted = self._wanted(row.quota, user, call, now)
            quota = row.quota.take(wanted, self._limits, now, window=self._window)
            if quota is None:
                return await self._refuse(account_quota, user, call, row, now)
            version = await self._write(user.owner, quota, seen=row, now=now)
            if version is not None:
                account_quota.row = replace(row, version=version, quota=quota)
                account_quota.keep(wanted, call, now)
                return wanted[call].send_by(now)
            account_quota.row = None  # another worker was faster

    async def _load(self, owner: Owner, now: datetime) -> QuotaRow:
        """Read a quota, and rewrite it if a clock that was ahead wrote it."""
        while True:
            row = await self._store.load(owner)
            mended = self._mended(row, now)
            if mended is row or await self._store.mend(owner, mended, seen=row.version):
                return mended

    def _mended(self, row: QuotaRow, now: datetime) -> QuotaRow:
        quota, rest_until = row.quota.mended(now), row.rest_until
        longest = self._longest_rest
        if rest_until is not None and rest_until - now > longest + CLOCKS_APART:
            rest_until = now + longest
        if (quota, rest_until) == (row.quota, row.rest_until):
            return row
        version = row.version + 1
        return replace(row, version=version, quota=quota, rest_until=rest_until)

    async def _write(
        self, owner: Owner, quota: Quota, *, seen: QuotaRow, now: datetime
    ) -> int | None:
        if not seen.version:  # there was no row
            return await self._store.take_idle(owner, quota, now=now)
        written = await self._store.swap(owner, quota, seen=seen.version)
        return seen.version + 1 if written else None

    async def _take_unseen(
        self,
        account_quota: AccountQuota,
        user: QuotaUser,
        call: QuotaCall,
        now: datetime,
    ) -> datetime | None:
        """Assume that the account is idle, as most are when their post is due."""
        wanted = self._wanted(IDLE, user, call, now)
        quota = IDLE.take(wanted, self._limits, now, window=self._window)
        if quota is None:
            return None
        version = await self._store.take_idle(user.owner, quota, now=now)
        if version is None:
            return None
        account_quota.row = QuotaRow(version, quota)
        account_quota.keep(wanted, call, now)
        return wanted[call].send_by(now)

    def _wanted(
        self, quota: Quota, user: QuotaUser, call: QuotaCall, now: datetime
    ) -> Wanted:
        """Ask for what a lone post will need, or for this call alone."""
        if user.alone or any(quota.taken(each, now) for each in quota.uses):
            return {call: ONE_PERMIT}
        return self._lone[call]

    def _wanted_by_lone_post(self, call: QuotaCall) -> Wanted:
        polls = max(1, int(self._limits[QuotaCall.STATUS] * POLLS_SHARE))
        wanted = {call: ONE_PERMIT, QuotaCall.STATUS: Permits(polls, self._window)}
        if call is QuotaCall.CREATOR_INFO:
            wanted[QuotaCall.INIT] = Permits(1, self._window * INIT_SHARE)
        return wanted

    async def _refuse(
        self,
        account_quota: AccountQuota,
        user: QuotaUser,
        call: QuotaCall,
        row: QuotaRow,
        now: datetime,
    ) -> PutOff:
        first = row.quota.free_at(call, self._limits, now)
        if call is not QuotaCall.INIT:
            return PutOff(until=first, waiting_for=WaitingFor.QUOTA)
        limit = self._limits[call]
        if account_quota.queue is None or account_quota.queue.first <= now:
            assigned = await self._store.assign_turns(
                user.project_id,
                user.platform,
                first=first,
                limit=limit,
                now=now,
                window=self._window,
            )
            account_quota.queue = TurnQueue(
                first,
                assigned.already_waiting,
                put_off_rest_to=assigned.put_off_rest_to,
            )
        position = account_quota.queue.join(waited=user.waited)
        turn = turn_at(account_quota.queue.first, position, limit, window=self._window)
        return PutOff(until=turn, waiting_for=WaitingFor.QUOTA)

    async def _put_off_rest(self, queue: TurnQueue, user: QuotaUser) -> None:
        """Postpone the jobs that got no turn, outside the account's lock."""
        if queue.put_off_rest_to is None:
            return
        until, queue.put_off_rest_to = queue.put_off_rest_to, None
        await self._store.put_off_due(
            user.project_id,
            user.platform,
            until=until,
            first=queue.first,
            now=self._clock.now(),
        )

    async def _app_rest(self, platform: str, now: datetime) -> PutOff | None:
        if not self._knows_app(now):
            self._app_seen = now
            self._app = await self._load(Owner(platform, WHOLE_APP), now)
        return _rest_of(self._app, now)

    def _knows_app(self, now: datetime) -> bool:
        return self._app_seen is not None and now - self._app_seen < APP_REST_SEEN

    def _account_quota(self, owner: Owner) -> AccountQuota:
        if (account_quota := self._account_quotas.get(owner)) is not None:
            return account_quota
        if len(self._account_quotas) >= self._prune_at:
            now = self._clock.now()
            self._account_quotas = {
                each: kept
                for each, kept in self._account_quotas.items()
                if kept.busy(now)
            }
            # All of these are busy: looking through them at each new one is quadratic.
            self._prune_at = max(_PRUNE_AT, 2 * len(self._account_quotas))
        account_quota = self._account_quotas[owner] = AccountQuota()
        return account_quota


def _rest_of(row: QuotaRow, now: datetime) -> PutOff | None:
    if row.rest_until is None or row.rest_until <= now:
        return None
    reason = row.rest_reason or WaitingFor.ACCOUNT_CAP
    return PutOff(until=row.rest_until, waiting_for=reason)
