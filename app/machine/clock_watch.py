"""Compare our clock with another, so that no wrong clock sends a post early."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

_NONE: Final = timedelta(0)


class ClockWatch:
    """Compares our clock with one other, each time the other is read."""

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
