"""When a job is tried again after a failed attempt, or asked about after its end."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

STEPS_SECONDS: Final = (30, 120, 600, 1800, 7200)
"""The waits between attempts, unless settings say otherwise."""

CAP_SECONDS: Final = 3600
"""The longest of them, unless settings say otherwise."""

JITTER: Final = 0.1
"""The largest share added to a delay at random, so that retries spread out."""

CONFIRM_STEPS: Final = tuple(
    timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 480, 1440)
)
"""When TikTok is asked again after a job ended in doubt.

Most publishes end within minutes; moderation can take hours.
https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
"""

Random = Callable[[], float]
"""A source of numbers in [0, 1)."""


class UnconfirmedInit(StrEnum):
    """What happens when it cannot be known whether TikTok took an init."""

    HOLD = "hold"  # the job fails and a person decides
    RETRY = "retry"  # it is sent again, at the risk of a second post


class RetryPolicy(Struct, frozen=True):
    """The delays between attempts, in seconds, and what to do with an unknown init."""

    steps: tuple[float, ...] = STEPS_SECONDS
    cap: float = CAP_SECONDS
    unconfirmed: UnconfirmedInit = UnconfirmedInit.HOLD

    @property
    def longest(self) -> timedelta:
        """Return the longest wait that ``delay`` gives."""
        return timedelta(seconds=self.cap * (1 + JITTER))

    def base_delay(self, attempts: int) -> float:
        """Return the seconds after the given number of failed attempts so far."""
        step = self.steps[min(attempts, len(self.steps) - 1)]
        return min(step, self.cap)

    def cap_delay(
        self, *, random: Random, retry_after: float | None = None
    ) -> timedelta:
        """Return the wait before a daily cap is tried again: a quarter of the longest.

        Often enough to post soon after the cap is lifted, and little load for TikTok.
        ``retry_after`` is in seconds.
        """
        longest = self.base_delay(len(self.steps) - 1) / 4
        wait = longest if retry_after is None else retry_after
        return self.delay(0, random=random, retry_after=wait)

    def delay(
        self, attempts: int, *, random: Random, retry_after: float | None = None
    ) -> timedelta:
        """Return the wait before the next attempt.

        At least what the schedule or TikTok's Retry-After (in seconds, capped) says,
        and at most ``JITTER`` more.
        """
        if retry_after is None:
            seconds = self.base_delay(attempts)
        else:
            seconds = min(max(retry_after, 0.0), self.cap)
        return timedelta(seconds=seconds * (1 + JITTER * random()))


def first_confirmation(now: datetime) -> datetime:
    """Return when TikTok is first asked again about a job that just ended."""
    return now + CONFIRM_STEPS[0]


def next_confirmation(tries: int, now: datetime) -> datetime | None:
    """Return when to ask after so many tries, None after the last."""
    if tries >= len(CONFIRM_STEPS):
        return None
    return now + CONFIRM_STEPS[tries]
