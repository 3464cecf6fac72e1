"""What one process knows about one account's quota."""

import asyncio
from datetime import datetime

from msgspec import Struct, field

from app.domain.accounts.quota import ONE_PERMIT, QuotaCall, Wanted
from app.store.accounts.quotas import QuotaRow


class TurnQueue(Struct):
    """The turns given out from one moment on."""

    first: datetime
    position: int  # of the next job that is new
    front: int = 0  # of the next job that had a turn before and lost it
    put_off_rest_to: datetime | None = None  # for jobs that are not put off yet

    def join(self, *, waited: bool) -> int:
        """Return the next position."""
        if waited:
            self.front += 1
            return self.front - 1
        self.position += 1
        return self.position - 1


class AccountQuota(Struct):
    """An account's quota as last seen, and the permits this process has left."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    row: QuotaRow | None = None  # may be stale; the swap notices
    queue: TurnQueue | None = None
    _kept: dict[QuotaCall, tuple[int, datetime]] = field(default_factory=dict)

    def keep(self, wanted: Wanted, used: QuotaCall, now: datetime) -> None:
        """Remember the permits that were taken beyond the one that is used now."""
        for call, permits in wanted.items():
            left = permits.count - (call is used)
            if left:
                self._kept[call] = (left, now + permits.usable)

    def use_kept(self, call: QuotaCall, now: datetime) -> datetime | None:
        """Use a permit that was taken ahead, if one is left.

        Return the time by which the call must be sent.
        """
        count, until = self._kept.get(call, (0, now))
        if not count or until < now:
            return None
        self._kept[call] = (count - 1, until)
        return ONE_PERMIT.send_by(until)

    def drop(self, call: QuotaCall) -> None:
        """Drop the permits of a call that were taken ahead."""
        self._kept.pop(call, None)

    def is_idle(self, now: datetime) -> bool:
        """Tell whether nothing is known of the row that is still of use.

        That of an idle account is forgotten: it may be deleted, and made anew with the
        same version.
        """
        if self.row is not None and (self.row.quota.idle_at() or now) <= now:
            self.row = None
        return self.row is None

    def forget(self) -> None:
        """Keep no permit and no turn: our clock was set."""
        self.row, self.queue = None, None
        self._kept.clear()

    def busy(self, now: datetime) -> bool:
        """Tell whether the account's quota is still in use."""
        idle_at = self.row.quota.idle_at() if self.row else None
        return self.lock.locked() or (idle_at is not None and idle_at > now)
