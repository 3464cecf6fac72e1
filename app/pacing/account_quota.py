"""What one process knows of one account's quota."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from app.domain.accounts.quota import PLACE, QuotaCall, Wish
from app.store.accounts.quotas import QuotaRow


@dataclass(slots=True)
class TurnQueue:
    """The turns that are given out from one moment on."""

    first: datetime
    position: int  # of the next who is new
    front: int = 0  # of the next who had a turn before and lost it
    crowd_until: datetime | None = None  # for those who are yet to be put off

    def stand(self, *, waited: bool) -> int:
        """Give out the next position."""
        if waited:
            self.front += 1
            return self.front - 1
        self.position += 1
        return self.position - 1


@dataclass(slots=True)
class AccountQuota:
    """An account's quota as last seen, and the places this process holds of it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    row: QuotaRow | None = None  # may be behind; a swap finds out
    line: TurnQueue | None = None
    _kept: dict[QuotaCall, tuple[int, datetime]] = field(default_factory=dict)

    def keep(self, wish: Wish, used: QuotaCall, now: datetime) -> None:
        """Remember the places that were taken beyond the one that is used now."""
        for call, places in wish.items():
            left = places.count - (call is used)
            if left:
                self._kept[call] = (left, now + places.usable)

    def use_kept(self, call: QuotaCall, now: datetime) -> datetime | None:
        """Use a place that was taken ahead, if there is one left.

        Return when the call has to be on its way.
        """
        count, until = self._kept.get(call, (0, now))
        if not count or until < now:
            return None
        self._kept[call] = (count - 1, until)
        return PLACE.send_by(until)

    def drop(self, call: QuotaCall) -> None:
        """Leave the places of a call that were taken ahead unused."""
        self._kept.pop(call, None)

    def busy(self, now: datetime) -> bool:
        """Tell whether forgetting the account now would cost something."""
        idle_at = self.row.quota.idle_at() if self.row else None
        return self.lock.locked() or (idle_at is not None and idle_at > now)
