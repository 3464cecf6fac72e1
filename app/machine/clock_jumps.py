"""Detect that the machine's clock was set, by comparing it with a monotonic clock."""

from collections.abc import Callable
from datetime import datetime, timedelta


class ClockJumps:
    """Compares the machine's clock with a monotonic one.

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
