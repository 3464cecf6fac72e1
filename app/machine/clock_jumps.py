"""Whether the machine's clock was set: its seconds are counted by another one, too."""

from collections.abc import Callable
from datetime import datetime, timedelta


class ClockJumps:
    """Compares the clock that can be set with one that only counts.

    A machine that slept looks like one whose clock was put forward: that is well, as
    both mean that the time of others went on.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        *,
        tolerance: timedelta,
    ) -> None:
        """Take both clocks, and how far they may part between two looks."""
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
