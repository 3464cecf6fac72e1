"""TikTok's limits per account, as a sliding log of permits. Pure.

https://developers.tiktok.com/doc/tiktok-api-v2-rate-limit

A permit is taken before its call is made. It counts against every window of a minute
that the call can fall into: from now until a minute after the last moment it may be
used, plus the time that a call may take to reach TikTok.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

WINDOW: Final = timedelta(minutes=1)
SKEW: Final = timedelta(seconds=3)
"""How much longer than another call one may take from its permit to TikTok.

An init is written to the database in between: seconds, where many posts are due.
"""

ON_ITS_WAY: Final = timedelta(seconds=1)
"""The part of SKEW that is left for the network."""

LONGEST_USE: Final = 2 * WINDOW + SKEW + timedelta(minutes=1)
"""How far ahead a permit is taken at most, by a clock that is a little ahead."""

QUEUE_TURNS: Final = 10
"""How many turns ahead are given out; later jobs share the last and ask again then."""


class QuotaCall(StrEnum):
    """The calls that TikTok counts per account and minute."""

    CREATOR_INFO = "creator_info"
    INIT = "init"
    STATUS = "status"


Limits = Mapping[QuotaCall, int]
Wanted = Mapping[QuotaCall, "Permits"]


class Permits(Struct, frozen=True):
    """Some permits, and how long after they are taken they may be used."""

    count: int = 1
    usable: timedelta = timedelta(0)

    def send_by(self, taken: datetime) -> datetime:
        """Return the time by which a call that uses one of them must be sent."""
        return taken + self.usable + SKEW - ON_ITS_WAY


ONE_PERMIT: Final = Permits()
"""One permit, to be used at once."""


class Use(Struct, frozen=True, gc=False):
    """Permits that count until a moment."""

    until: datetime
    count: int


class Quota(Struct, frozen=True):
    """The permits that one account has taken lately."""

    uses: Mapping[QuotaCall, tuple[Use, ...]]

    def taken(self, call: QuotaCall, now: datetime) -> int:
        """Return how many permits of a call are taken."""
        return sum([use.count for use in self._live(call, now)])

    def take(
        self,
        wanted: Wanted,
        limits: Limits,
        now: datetime,
        *,
        window: timedelta = WINDOW,
    ) -> "Quota | None":
        """Return the quota with these permits taken; None if any does not fit."""
        uses = {call: kept for call in self.uses if (kept := self._live(call, now))}
        for call, permits in wanted.items():
            if self.taken(call, now) + permits.count > limits[call]:
                return None
            use = Use(now + permits.usable + window + SKEW, permits.count)
            uses[call] = (*uses.get(call, ()), use)
        return Quota(uses)

    def free_at(self, call: QuotaCall, limits: Limits, now: datetime) -> datetime:
        """Return when the next permit of a call is free."""
        excess = self.taken(call, now) + 1 - limits[call]
        for use in sorted(self._live(call, now), key=lambda use: use.until):
            if excess <= 0:
                break
            excess -= use.count
            now = use.until
        return now

    def idle_at(self) -> datetime | None:
        """Return when the last permit stops counting, None if none is taken."""
        ends = [use.until for uses in self.uses.values() for use in uses]
        return max(ends) if ends else None

    def mended(self, now: datetime) -> "Quota":
        """Return it without what only a clock that was ahead can have written.

        A permit that is taken for longer than any can be is taken for a window from now
        on: its call may just have been made.
        """
        latest, window = now + LONGEST_USE, now + WINDOW + SKEW
        return Quota(
            {
                call: tuple(
                    use if use.until <= latest else Use(window, use.count)
                    for use in uses
                )
                for call, uses in self.uses.items()
            }
        )

    def _live(self, call: QuotaCall, now: datetime) -> tuple[Use, ...]:
        uses = self.uses.get(call)
        return tuple([use for use in uses if use.until > now]) if uses else ()


IDLE: Final = Quota({})

LONGEST_TURN: Final = QUEUE_TURNS * (WINDOW + SKEW) + LONGEST_USE
"""How far ahead a job's turn lies at most."""


def turn_at(
    first: datetime, position: int, limit: int, *, window: timedelta = WINDOW
) -> datetime:
    """Return the turn of the job at a position of an account's queue."""
    turn = min(position // limit, QUEUE_TURNS - 1)
    return first + turn * (window + SKEW)
