"""Gives each call its place in the account's quota before it is made."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.domain.accounts.quota import (
    IDLE,
    PLACE,
    WINDOW,
    Limits,
    Places,
    Quota,
    QuotaCall,
    Wish,
    slot,
)
from app.domain.jobs.job import WaitingFor
from app.domain.jobs.outcome import PutOff
from app.machine.clock import Clock
from app.metrics import Metrics
from app.pacing.account_quota import AccountQuota, TurnQueue
from app.store.accounts.quotas import WHOLE_APP, Owner, QuotaRow, QuotaStore

INIT_SHARE: Final = 0.25
"""How long, in windows, an init's place is kept that came with creator_info's."""

POLLS_SHARE: Final = 0.4
"""The part of a window's status calls that an account's only post gets at once."""

APP_REST_SEEN: Final = timedelta(seconds=5)
"""How late a worker may learn that the whole app rests."""

_PRUNE_AT: Final = 4096


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants to make a call."""

    project_id: str
    platform: str
    open_id: str  # as Account.quota_owner
    waited: bool = False  # it had a turn before, and goes before the line
    alone: bool = False  # it makes this one call, and no post follows from it

    @property
    def owner(self) -> Owner:
        """Return whose quota it is."""
        return Owner(self.platform, self.open_id)

    def posts_with(self, call: QuotaCall) -> bool:
        """Tell whether a call is on its way to a new post, which a rest holds back."""
        return call is not QuotaCall.STATUS and not self.alone


class Pacer:
    """Takes places from the shared quota; for a lone post, one statement in all."""

    def __init__(
        self,
        store: QuotaStore,
        clock: Clock,
        limits: Limits,
        *,
        window: timedelta = WINDOW,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._store = store
        self._clock = clock
        self._limits = limits
        self._window = window
        self._account_quotas: dict[Owner, AccountQuota] = {}
        self._prune_at = _PRUNE_AT
        self._app = QuotaRow()
        self._app_seen: datetime | None = None
        self._lone = {call: self._lone_wish(call) for call in QuotaCall}

    async def turn(self, asker: Asker, call: QuotaCall) -> PutOff | None:
        """Take a place for a call; else say until when to put it off.

        Raises StoreUnavailable.
        """
        place = await self.place(asker, call)
        return place if isinstance(place, PutOff) else None

    async def place(self, asker: Asker, call: QuotaCall) -> PutOff | datetime:
        """Take a turn, and say until when its call has to be on its way.

        One that is sent later could be one too many for TikTok.
        """
        account_quota = self._account_quota(asker.owner)
        async with account_quota.lock:
            place = await self._place_at(account_quota, asker, call)
        if account_quota.line is not None:
            await self._put_off_crowd(account_quota.line, asker)
        if isinstance(place, PutOff):
            self._metrics.tiktok.wait(call, place.waiting_for)
        return place

    def kept_place(self, asker: Asker, call: QuotaCall) -> datetime | None:
        """Use a place that was taken ahead, if nothing has to be waited for.

        Return when the call has to be on its way, as ``place`` does.
        """
        account_quota = self._account_quotas.get(asker.owner)
        if (
            account_quota is None
            or account_quota.line is not None
            or account_quota.lock.locked()
        ):
            return None
        now = self._clock.now()
        if asker.posts_with(call) and (
            not self._knows_app(now) or _rest_of(self._app, now)
        ):
            return None
        return account_quota.use_kept(call, now)

    async def left(self, platform: str, open_id: str) -> tuple[int, PutOff | None]:
        """Return how many inits an account may send now, and its rest or the app's.

        Takes nothing. An account that rests has none left.
        """
        now = self._clock.now()
        row = await self._store.load(Owner(platform, open_id))
        rest = await self._app_rest(platform, now) or _rest_of(row, now)
        taken = row.quota.taken(QuotaCall.INIT, now)
        left = max(0, self._limits[QuotaCall.INIT] - taken)
        return 0 if rest else left, rest

    async def rest(self, asker: Asker, *, until: datetime, reason: WaitingFor) -> None:
        """Let the account, or for the app's cap the whole app, rest until a time.

        What TikTok has already is followed all the same: caps are about new posts.
        """
        owner = asker.owner
        if reason is WaitingFor.APP_CAP:
            owner = Owner(asker.platform, WHOLE_APP)
            self._app_seen = None
        await self._store.rest(owner, until=until, reason=reason)
        self._metrics.tiktok.rest(reason)
        account_quota = self._account_quota(owner)
        account_quota.row = None
        account_quota.drop(QuotaCall.INIT)

    async def _place_at(
        self, account_quota: AccountQuota, asker: Asker, call: QuotaCall
    ) -> PutOff | datetime:
        now = self._clock.now()
        if asker.posts_with(call) and (
            resting := await self._app_rest(asker.platform, now)
        ):
            return resting
        if send_by := account_quota.use_kept(call, now):
            return send_by
        return await self._take(account_quota, asker, call, now)

    async def _take(
        self, account_quota: AccountQuota, asker: Asker, call: QuotaCall, now: datetime
    ) -> PutOff | datetime:
        if account_quota.row is None and (
            send_by := await self._take_unseen(account_quota, asker, call, now)
        ):
            return send_by
        while True:
            row = account_quota.row = account_quota.row or await self._store.load(
                asker.owner
            )
            if asker.posts_with(call) and (resting := _rest_of(row, now)):
                return resting
            wish = self._wish(row.quota, asker, call, now)
            quota = row.quota.take(wish, self._limits, now, window=self._window)
            if quota is None:
                return await self._refuse(account_quota, asker, call, row, now)
            version = await self._write(asker.owner, quota, seen=row, now=now)
            if version is not None:
                account_quota.row = dataclasses.replace(
                    row, version=version, quota=quota
                )
                account_quota.keep(wish, call, now)
                return wish[call].send_by(now)
            account_quota.row = None  # another worker was faster

    async def _write(
        self, owner: Owner, quota: Quota, *, seen: QuotaRow, now: datetime
    ) -> int | None:
        if not seen.version:  # there was no row
            return await self._store.take_idle(owner, quota, now=now)
        written = await self._store.swap(owner, quota, seen=seen.version)
        return seen.version + 1 if written else None

    async def _take_unseen(
        self, account_quota: AccountQuota, asker: Asker, call: QuotaCall, now: datetime
    ) -> datetime | None:
        """Bet that the account is idle, as most are when their post is due."""
        wish = self._wish(IDLE, asker, call, now)
        quota = IDLE.take(wish, self._limits, now, window=self._window)
        if quota is None:
            return None
        version = await self._store.take_idle(asker.owner, quota, now=now)
        if version is None:
            return None
        account_quota.row = QuotaRow(version, quota)
        account_quota.keep(wish, call, now)
        return wish[call].send_by(now)

    def _wish(self, quota: Quota, asker: Asker, call: QuotaCall, now: datetime) -> Wish:
        """Ask for what a lone post will need, or for this call alone."""
        if asker.alone or any(quota.taken(each, now) for each in quota.uses):
            return {call: PLACE}
        return self._lone[call]

    def _lone_wish(self, call: QuotaCall) -> Wish:
        polls = max(1, int(self._limits[QuotaCall.STATUS] * POLLS_SHARE))
        wish = {call: PLACE, QuotaCall.STATUS: Places(polls, self._window)}
        if call is QuotaCall.CREATOR_INFO:
            wish[QuotaCall.INIT] = Places(1, self._window * INIT_SHARE)
        return wish

    async def _refuse(
        self,
        account_quota: AccountQuota,
        asker: Asker,
        call: QuotaCall,
        row: QuotaRow,
        now: datetime,
    ) -> PutOff:
        first = row.quota.free_at(call, self._limits, now)
        if call is not QuotaCall.INIT:
            return PutOff(until=first, waiting_for=WaitingFor.QUOTA)
        limit = self._limits[call]
        if account_quota.line is None or account_quota.line.first <= now:
            assigned = await self._store.assign_turns(
                asker.project_id,
                asker.platform,
                first=first,
                limit=limit,
                now=now,
                window=self._window,
            )
            account_quota.line = TurnQueue(
                first,
                assigned.already_waiting,
                crowd_until=assigned.postpone_rest_to,
            )
        position = account_quota.line.stand(waited=asker.waited)
        turn = slot(account_quota.line.first, position, limit, window=self._window)
        return PutOff(until=turn, waiting_for=WaitingFor.QUOTA)

    async def _put_off_crowd(self, line: TurnQueue, asker: Asker) -> None:
        """Put off all whose turn is not near; whoever is at the desk need not wait."""
        if line.crowd_until is None:
            return
        until, line.crowd_until = line.crowd_until, None
        await self._store.postpone_due(
            asker.project_id,
            asker.platform,
            until=until,
            first=line.first,
            now=self._clock.now(),
        )

    async def _app_rest(self, platform: str, now: datetime) -> PutOff | None:
        if not self._knows_app(now):
            self._app_seen = now
            self._app = await self._store.load(Owner(platform, WHOLE_APP))
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
            # So many are busy: to look them over for each new one would be quadratic.
            self._prune_at = max(_PRUNE_AT, 2 * len(self._account_quotas))
        account_quota = self._account_quotas[owner] = AccountQuota()
        return account_quota


def _rest_of(row: QuotaRow, now: datetime) -> PutOff | None:
    if row.rest_until is None or row.rest_until <= now:
        return None
    reason = row.rest_reason or WaitingFor.ACCOUNT_CAP
    return PutOff(until=row.rest_until, waiting_for=reason)
