"""How many file descriptors a process may have, and how it shares them out.

Callers get what is left over. However many connect, the runner can still reach TikTok
and open the database.
"""

import select
import socket
from contextlib import suppress
from typing import Final

from msgspec import Struct

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]  # a module elsewhere

WITHOUT_LIMIT: Final = 8192
"""The limit assumed where the system names none."""

HIGHEST: Final = 1_048_576
"""The most we ask for: some systems have a hard limit of a billion."""

MACOS_HIGHEST: Final = 10_240
"""What macOS grants while it calls its hard limit infinite."""

MOST_CALLERS: Final = 2048
"""The most connections of callers, to bound memory."""

BESIDE_ATTEMPTS: Final = 64  # refreshes, checks ahead of and after a post
WEBHOOKS: Final = 64  # as many are sent at a time
MEDIA: Final = 64  # the asset servers' side of what the media gateway streams
SYSTEM: Final = 64  # log, listeners, the loop, modules being read
PER_DATABASE_CONNECTION: Final = 3  # SQLite: the file, its WAL and their index

_LEAST_SHARE: Final = 4  # callers get a quarter at least


class Descriptors(Struct, frozen=True, kw_only=True):
    """How many of a process's descriptors each use may have."""

    limit: int
    tiktok: int
    database: int

    @property
    def reserved(self) -> int:
        """Return how many are reserved for other uses than callers."""
        return self.tiktok + self.database + WEBHOOKS + MEDIA + SYSTEM

    @property
    def callers(self) -> int:
        """Return the most connections of callers that are kept open."""
        left = max(self.limit - self.reserved, self.limit // _LEAST_SHARE)
        return min(left, MOST_CALLERS)

    @property
    def short_by(self) -> int:
        """Return how many descriptors are missing for these settings, 0 if none."""
        return max(0, self.reserved + self.callers - self.limit)


def share_out(limit: int, *, in_flight: int, pool_size: int) -> Descriptors:
    """Share out a limit according to the settings."""
    connections = pool_size + 1  # and the one that listens
    return Descriptors(
        limit=limit,
        tiktok=in_flight + BESIDE_ATTEMPTS,
        database=connections * PER_DATABASE_CONNECTION,
    )


def soft_limit() -> int:
    """Return how many descriptors this process may have."""
    if resource is None:
        return WITHOUT_LIMIT
    return _bounded(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def hard_limit() -> int:
    """Return how many it may have once the soft limit is raised."""
    if resource is None:
        return WITHOUT_LIMIT
    return _bounded(resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def raise_soft_limit() -> int:
    """Raise the soft limit as far as the hard one allows; return the new limit.

    Shells and service managers start programs with a soft limit of 1,024 because of
    select(2), which nothing here uses.
    """
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for number in (hard_limit(), MACOS_HIGHEST):
            if number <= soft_limit():
                break
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    return soft_limit()


def is_readable(sock: socket.socket) -> bool:
    """Tell whether there is data to read, or the end of it."""
    if not hasattr(select, "poll"):  # Windows, whose select has no limit on numbers
        return bool(select.select([sock], [], [], 0)[0])
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(0))


def _bounded(number: int) -> int:
    # RLIM_INFINITY is -1 for Python.
    return HIGHEST if number < 0 else min(number, HIGHEST)
