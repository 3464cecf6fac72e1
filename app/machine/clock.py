"""Time as an argument; and whether the machine's clock can be trusted."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Protocol

_NONE: Final = timedelta(0)


class Clock(Protocol):
    """Tells the time, and waits."""

    def now(self) -> datetime:
        """Return the current time, aware UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's own clock."""

    # No Python function: an attempt asks two dozen times.
    now = staticmethod(partial(datetime.now, UTC))

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(max(0.0, seconds))


class ClockJumps:
    """Detects that the machine's clock was set, by a monotonic one.

    A machine that slept looks like one whose clock was set forward. That is right: in
    both cases other machines' time went on.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        *,
        tolerance: timedelta,
    ) -> None:
        """Take both clocks, and how far they may drift apart between two looks."""
        self._now = now
        self._monotonic = monotonic
        self._tolerance = tolerance
        self._seen = now(), monotonic()

    def look(self) -> timedelta | None:
        """Return how far the clock was set since the last look, None if it was not."""
        (then, counted), self._seen = self._seen, (self._now(), self._monotonic())
        now, count = self._seen
        jump = now - then - timedelta(seconds=count - counted)
        return jump if abs(jump) > self._tolerance else None


class ClockWatch:
    """Compares our clock with one other, so that no wrong clock sends a post early."""

    def __init__(self, now: Callable[[], datetime], *, tolerance: timedelta) -> None:
        """Take our clock, and how far apart the two may be."""
        self.now = now
        self.tolerance = tolerance
        self.ahead = _NONE
        """How far ours was ahead at the last comparison, at least; negative: behind."""

    def note(
        self, theirs: datetime, *, asked_at: datetime, exact_to: timedelta = _NONE
    ) -> None:
        """Compare; the other clock was read between ``asked_at`` and now.

        ``exact_to`` is the precision of the other clock's time.
        """
        if asked_at > theirs + exact_to:
            self.ahead = asked_at - theirs - exact_to
        else:
            self.ahead = min(self.now() - theirs, _NONE)

    @property
    def is_skewed(self) -> bool:
        """Tell whether the two are further apart than allowed."""
        return abs(self.ahead) > self.tolerance
