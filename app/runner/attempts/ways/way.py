"""The interface of the ways to get media to TikTok.

A publish is in one of four states, shown by these values:

- not begun: the job is not ``in_flight``;
- begun and void: ``Void``, so it may be begun again;
- begun and open without an id: the job is ``ambiguous``, and ``give_up`` decides what
  that means;
- begun and open with an id: the job has a ``publish_id``, and only TikTok's answer ends
  it.
"""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Protocol

from msgspec import Struct

from app.domain.jobs.outcome import Fault, Outcome, Unconfirmed
from app.tiktok.values import PublishStatus


class Void(Struct, frozen=True):
    """No post can come of the publish; ``fault`` says why."""

    fault: Fault


Step = Void | Outcome | None
"""The result of a step; None: the attempt goes on."""


class Way(Protocol):
    """One attempt's way of getting media to TikTok."""

    # Check: nothing here changes the account.

    def is_under_way(self) -> bool:
        """Tell whether TikTok waits for the rest of a running upload."""
        ...

    def measure(self) -> Awaitable[float | None]:
        """Return the video's length in seconds, None if unknown."""
        ...

    # Begin.

    def begin(self, void: Void | None = None) -> Awaitable[Step]:
        """Begin the publish; None: it has begun and is polled from now on.

        ``void`` is the result of this attempt's previous begin, if it was void.
        """
        ...

    # Follow.

    def follow(self, status: PublishStatus) -> Awaitable[Step]:
        """Do what an unfinished publish needs; None: poll again."""
        ...

    def goes_on(self, *, within: timedelta) -> bool:
        """Tell whether TikTok made progress lately: then the deadline is no failure."""
        ...

    # Give up.

    def give_up(self, fault: Fault) -> Awaitable[Void | Unconfirmed]:
        """Judge an init without an answer, and end it if possible.

        Void: it may be sent again. Unconfirmed: it stays open until there is proof.
        """
        ...

    def close(self) -> Awaitable[None]:
        """Close whatever is still open at the attempt's end."""
        ...
