"""Whether another clock agrees with ours: no post goes out early by one wrong clock."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

_NONE: Final = timedelta(0)


class ClockWatch:
    """Compares our clock with one other, as often as that tells its time."""

    def __init__(self, now: Callable[[], datetime], *, tolerance: timedelta) -> None:
        """Take our clock, and how far the two may be apart."""
        self.now = now
        self.tolerance = tolerance
        self.ahead = _NONE
        """How far ours was ahead at least, when they were compared last; < 0: behind"""

    def note(
        self, theirs: datetime, *, asked_at: datetime, exact_to: timedelta = _NONE
    ) -> None:
        """Compare; the other clock was read between ``asked_at`` and now.

        ``exact_to`` is what its time may have been cut off by.
        """
        if asked_at > theirs + exact_to:
            self.ahead = asked_at - theirs - exact_to
        else:
            self.ahead = min(self.now() - theirs, _NONE)

    @property
    def is_skewed(self) -> bool:
        """Tell whether the two are further apart than they may be."""
        return abs(self.ahead) > self.tolerance
