"""Gives each call its place in the account's quota before it is made."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from app.domain.clock import Clock
from app.domain.job import WaitingFor
from app.domain.outcome import PutOff
from app.domain.quota import WINDOW, Limits, Places, Quota, QuotaCall, slot
from app.store.quotas import WHOLE_APP, Owner, QuotaRow, QuotaStore

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
    open_id: str
    waited: bool = False  # it had a turn before, and goes before the line

    @property
    def owner(self) -> Owner:
        """Return whose quota it is."""
        return Owner(self.platform, self.open_id)


@dataclass(slots=True)
class _Line:
    """The turns that are given out from one moment on."""

    first: datetime
    position: int


@dataclass(slots=True)
class _Desk:
    """What this process knows of one account's quota."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    row: QuotaRow | None = None  # may be behind; a swap finds out
    kept: dict[QuotaCall, tuple[int, datetime]] = field(default_factory=dict)
    line: _Line | None = None


class Pacer:
    """Takes places from the shared quota; for a lone post, one statement in all."""

    def __init__(
        self,
        store: QuotaStore,
        clock: Clock,
        limits: Limits,
        *,
        window: timedelta = WINDOW,
    ) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._window = window
        self._desks: dict[Owner, _Desk] = {}
        self._app = QuotaRow()
        self._app_seen: datetime | None = None

    async def turn(self, asker: Asker, call: QuotaCall) -> PutOff | None:
        """Take a place for a call; else say until when to put it off.

        Raises StoreUnavailable.
        """
        desk = self._desk(asker.owner)
        async with desk.lock:
            now = self._clock.now()
            if resting := await self._app_rest(asker.platform, now):
                return resting
            if _use_kept(desk, call, now):
                return None
            return await self._take(desk, asker, call, now)

    async def rest(self, asker: Asker, *, until: datetime, reason: WaitingFor) -> None:
        """Let the account, or for the app's cap the whole app, rest until a time."""
        owner = asker.owner
        if reason is WaitingFor.APP_CAP:
            owner = Owner(asker.platform, WHOLE_APP)
            self._app_seen = None
        await self._store.rest(owner, until=until, reason=reason)
        self._desk(owner).row = None

    async def _take(
        self, desk: _Desk, asker: Asker, call: QuotaCall, now: datetime
    ) -> PutOff | None:
        if desk.row is None and await self._take_unseen(desk, asker.owner, call, now):
            return None
        while True:
            row = desk.row = desk.row or await self._store.load(asker.owner)
            if row.rest_until is not None and row.rest_until > now:
                reason = row.rest_reason or WaitingFor.ACCOUNT_CAP
                return PutOff(until=row.rest_until, waiting_for=reason)
            wish = self._wish(row, call, now)
            quota = row.quota.take(wish, self._limits, now, window=self._window)
            if quota is None:
                return await self._refuse(desk, asker, call, row, now)
            version = await self._write(asker.owner, quota, seen=row, now=now)
            if version is not None:
                desk.row = QuotaRow(version=version, quota=quota)
                _keep(desk, wish, call, now)
                return None
            desk.row = None  # another worker was faster

    async def _write(
        self, owner: Owner, quota: Quota, *, seen: QuotaRow, now: datetime
    ) -> int | None:
        if not seen.version:  # there was no row
            return await self._store.take_idle(owner, quota, now=now)
        written = await self._store.swap(owner, quota, seen=seen.version)
        return seen.version + 1 if written else None

    async def _take_unseen(
        self, desk: _Desk, owner: Owner, call: QuotaCall, now: datetime
    ) -> bool:
        """Bet that the account is idle, as most are when their post is due."""
        wish = self._wish(QuotaRow(), call, now)
        quota = QuotaRow().quota.take(wish, self._limits, now, window=self._window)
        if quota is None:
            return False
        version = await self._store.take_idle(owner, quota, now=now)
        if version is None:
            return False
        desk.row = QuotaRow(version, quota)
        _keep(desk, wish, call, now)
        return True

    def _wish(
        self, row: QuotaRow, call: QuotaCall, now: datetime
    ) -> Mapping[QuotaCall, Places]:
        """Ask for what a lone post will need, or for this call alone."""
        if any(row.quota.taken(each, now) for each in QuotaCall):
            return {call: Places()}
        polls = max(1, int(self._limits[QuotaCall.STATUS] * POLLS_SHARE))
        wish = {call: Places(), QuotaCall.STATUS: Places(polls, self._window)}
        if call is QuotaCall.CREATOR_INFO:
            wish[QuotaCall.INIT] = Places(1, self._window * INIT_SHARE)
        return wish

    async def _refuse(
        self,
        desk: _Desk,
        asker: Asker,
        call: QuotaCall,
        row: QuotaRow,
        now: datetime,
    ) -> PutOff:
        first = row.quota.free_at(call, self._limits, now)
        if call is not QuotaCall.INIT or asker.waited:
            return PutOff(until=first, waiting_for=WaitingFor.QUOTA)
        limit = self._limits[call]
        if desk.line is None or desk.line.first <= now:
            ahead = await self._store.line_up(
                asker.project_id,
                asker.platform,
                first=first,
                limit=limit,
                window=self._window,
            )
            desk.line = _Line(first, ahead)
        line = desk.line
        turn = slot(line.first, line.position, limit, window=self._window)
        desk.line.position += 1
        return PutOff(until=turn, waiting_for=WaitingFor.QUOTA)

    async def _app_rest(self, platform: str, now: datetime) -> PutOff | None:
        if self._app_seen is None or now - self._app_seen >= APP_REST_SEEN:
            self._app_seen = now
            self._app = await self._store.load(Owner(platform, WHOLE_APP))
        until = self._app.rest_until
        if until is None or until <= now:
            return None
        return PutOff(until=until, waiting_for=WaitingFor.APP_CAP)

    def _desk(self, owner: Owner) -> _Desk:
        if len(self._desks) >= _PRUNE_AT and owner not in self._desks:
            now = self._clock.now()
            self._desks = {
                each: desk for each, desk in self._desks.items() if _busy(desk, now)
            }
        return self._desks.setdefault(owner, _Desk())


def _use_kept(desk: _Desk, call: QuotaCall, now: datetime) -> bool:
    """Use a place that was taken ahead, if there is one left."""
    count, until = desk.kept.get(call, (0, now))
    if not count or until < now:
        return False
    desk.kept[call] = (count - 1, until)
    return True


def _keep(
    desk: _Desk, wish: Mapping[QuotaCall, Places], used: QuotaCall, now: datetime
) -> None:
    """Remember the places that were taken beyond the one that is used now."""
    for call, places in wish.items():
        left = places.count - (call is used)
        if left:
            desk.kept[call] = (left, now + places.usable)


def _busy(desk: _Desk, now: datetime) -> bool:
    idle_at = desk.row.quota.idle_at() if desk.row else None
    return desk.lock.locked() or (idle_at is not None and idle_at > now)
