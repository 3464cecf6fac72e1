"""TikTok's limits per account, as a sliding log of what was taken. Pure.

https://developers.tiktok.com/doc/tiktok-api-v2-rate-limit

A place is taken before its call is made. It counts against every window of a minute
that the call can fall into: from now until a minute after the last moment it may be
used, plus what a call may take on its way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

WINDOW: Final = timedelta(minutes=1)
SKEW: Final = timedelta(seconds=3)
"""How much longer than another call one may take from its place to TikTok.

Between the two, an init is written ahead: seconds, where many posts are due together.
"""

ON_ITS_WAY: Final = timedelta(seconds=1)
"""The part of it that is left for the call's own way to TikTok."""

LINE_TURNS: Final = 10
"""How many turns ahead are told apart; who comes later is told when it is time."""


class QuotaCall(StrEnum):
    """The calls that TikTok counts per account and minute."""

    CREATOR_INFO = "creator_info"
    INIT = "init"
    STATUS = "status"


Limits = Mapping[QuotaCall, int]
Wish = Mapping[QuotaCall, "Places"]


@dataclass(frozen=True, slots=True)
class Places:
    """Some places, and for how long after they are taken they may be used."""

    count: int = 1
    usable: timedelta = timedelta(0)

    def send_by(self, taken: datetime) -> datetime:
        """Return when a call has to be on its way that uses one of them."""
        return taken + self.usable + SKEW - ON_ITS_WAY


PLACE: Final = Places()
"""One, to be used at once."""


@dataclass(frozen=True, slots=True)
class Use:
    """Places that are taken until a moment."""

    until: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Quota:
    """What one account has taken lately."""

    uses: Mapping[QuotaCall, tuple[Use, ...]]

    def taken(self, call: QuotaCall, now: datetime) -> int:
        """Return how many places of a call are taken."""
        return sum([use.count for use in self._live(call, now)])

    def take(
        self,
        wish: Wish,
        limits: Limits,
        now: datetime,
        *,
        window: timedelta = WINDOW,
    ) -> "Quota | None":
        """Return the quota with the places taken; None if any does not fit."""
        uses = {call: kept for call in self.uses if (kept := self._live(call, now))}
        for call, places in wish.items():
            if self.taken(call, now) + places.count > limits[call]:
                return None
            use = Use(now + places.usable + window + SKEW, places.count)
            uses[call] = (*uses.get(call, ()), use)
        return Quota(uses)

    def free_at(self, call: QuotaCall, limits: Limits, now: datetime) -> datetime:
        """Return when the next place of a call is free."""
        excess = self.taken(call, now) + 1 - limits[call]
        for use in sorted(self._live(call, now), key=lambda use: use.until):
            if excess <= 0:
                break
            excess -= use.count
            now = use.until
        return now

    def idle_at(self) -> datetime | None:
        """Return when nothing is taken any more, None if nothing is."""
        ends = [use.until for uses in self.uses.values() for use in uses]
        return max(ends) if ends else None

    def _live(self, call: QuotaCall, now: datetime) -> tuple[Use, ...]:
        uses = self.uses.get(call)
        return tuple([use for use in uses if use.until > now]) if uses else ()


IDLE: Final = Quota({})


def slot(
    first: datetime, position: int, limit: int, *, window: timedelta = WINDOW
) -> datetime:
    """Return when the job at a position of an account's queue has its turn."""
    turn = min(position // limit, LINE_TURNS - 1)
    return first + turn * (window + SKEW)
