"""File descriptors: how many there are, and for whom they are kept.

Callers get what is left. However many connect, the runner can still reach TikTok and
open the database.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

WITHOUT_LIMIT: Final = 8192
"""What is reckoned with where the system names no limit."""

HIGHEST: Final = 1_048_576
"""No more is asked for: some systems call a billion their hard limit."""

MOST_CALLERS: Final = 2048
"""Connections of callers at most, for the sake of memory."""

BESIDE_ATTEMPTS: Final = 64  # refreshes, checks ahead of and after a post
WEBHOOKS: Final = 64  # as many are sent at a time
MEDIA: Final = 64  # the asset servers' side of what the media gateway streams
SYSTEM: Final = 64  # log, listeners, the loop, modules being read
PER_DATABASE_CONNECTION: Final = 3  # SQLite: the file, its WAL and their index

_LEAST_SHARE: Final = 4  # callers get a quarter at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptors:
    """Who may have how many of a process's descriptors."""

    limit: int
    tiktok: int
    database: int
    webhooks: int = WEBHOOKS
    media: int = MEDIA
    system: int = SYSTEM

    @property
    def reserved(self) -> int:
        """Return how many callers cannot have."""
        return self.tiktok + self.database + self.webhooks + self.media + self.system

    @property
    def callers(self) -> int:
        """Return how many connections of callers are kept open at most."""
        left = max(self.limit - self.reserved, self.limit // _LEAST_SHARE)
        return min(left, MOST_CALLERS)

    @property
    def short_by(self) -> int:
        """Return how many are missing for what the settings allow, 0 if none."""
        return max(0, self.reserved + self.callers - self.limit)


def plan(*, in_flight: int, database_connections: int) -> Descriptors:
    """Reckon with the present limit and what the settings allow."""
    return Descriptors(
        limit=soft_limit(),
        tiktok=in_flight + BESIDE_ATTEMPTS,
        database=database_connections * PER_DATABASE_CONNECTION,
    )


def soft_limit() -> int:
    """Return how many descriptors this process may have."""
    if resource is None:
        return WITHOUT_LIMIT
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return HIGHEST if soft == resource.RLIM_INFINITY else min(soft, HIGHEST)


def raise_soft_limit() -> int:
    """Raise the soft limit as far as the hard one lets us; return what it is then.

    Shells and service managers start programs with a soft limit of 1,024 for the sake
    of select(2), which nothing here uses.
    """
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        unlimited = resource.RLIM_INFINITY
        wanted = HIGHEST if hard == unlimited else min(hard, HIGHEST)
        # macOS takes no more than 10,240 while it calls its hard limit infinite.
        for number in (wanted, min(wanted, 10_240)):
            if soft == unlimited or soft >= number:
                break
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
                break
    return soft_limit()
