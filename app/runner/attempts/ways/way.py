"""The one interface behind which the ways into TikTok differ.

What an attempt has begun is in one of four states, and they are told by these values:

- not begun: the job is not ``in_flight``;
- begun and void: ``Void``, so that it may be begun again;
- begun and open without an id: the job is ``ambiguous``, and ``give_up`` says what that
  means on this way;
- begun and open with an id: the job has a ``publish_id``, and only TikTok's word ends
  it.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from app.domain.jobs.outcome import Fault, Outcome, Unconfirmed
from app.tiktok import PublishStatus


@dataclass(frozen=True, slots=True)
class Void:
    """Nothing can come of what was begun; ``fault`` says why."""

    fault: Fault


Step = Void | Outcome | None
"""What a step came to; None: the attempt goes on."""


class Way(Protocol):
    """One attempt's way of getting media to TikTok."""

    # Check: nothing here reaches the account.

    def is_under_way(self) -> bool:
        """Tell whether TikTok waits for the rest of what was begun before."""
        ...

    def measure(self) -> Awaitable[float | None]:
        """Return the seconds of the video; None if that cannot be told."""
        ...

    # Begin.

    def begin(self, void: Void | None = None) -> Awaitable[Step]:
        """Get the media to TikTok, or on its way; None: from now on it is followed.

        ``void`` is what came of the last begin of this attempt, if it came to nothing.
        """
        ...

    # Follow.

    def follow(self, status: PublishStatus) -> Awaitable[Step]:
        """Do what a publish needs that is not over; None: ask TikTok again."""
        ...

    def goes_on(self, *, within: timedelta) -> bool:
        """Tell whether TikTok was seen to go on of late: then time is no failure."""
        ...

    # Give up.

    def give_up(self, fault: Fault) -> Awaitable[Void | Unconfirmed]:
        """Say what an init without an answer means, and end it where that is possible.

        Void: it may be sent again. Unconfirmed: it is open, and only proof ends it.
        """
        ...

    def close(self) -> Awaitable[None]:
        """Let go of whatever is still open when the attempt is over."""
        ...
