"""Callers' connections: limit their number and time, and choose which to close."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, Protocol

import structlog
from msgspec import Struct

log = structlog.get_logger(__name__)

STUCK_SECONDS: Final = 60.0
"""How long a caller may not read an answer, in seconds."""

TOLD_EVERY_SECONDS: Final = 60.0
"""How often at most refused callers are logged: they could fill the log."""

CROWD: Final = 8
"""An address with more than an eighth of all connections has a crowd of them."""

_LOOKS: Final = 64  # candidates to close that are examined for each new caller


class CallerLimits(Struct, frozen=True, kw_only=True):
    """The limits of callers; times are in seconds."""

    connections: int
    request_seconds: float


class Caller(Protocol):
    """A connection."""

    is_known: bool  # its last request came with a key
    home: str  # whose address it is

    def check(self, now: float) -> None:
        """Close it if it has taken too long."""
        ...

    def has_news(self) -> bool:
        """Tell whether there is unread data."""
        ...

    def abort(self) -> None:
        """Close it at once."""
        ...


class Connections:
    """Keeps callers' connections within their limits.

    When there is no room, connections without a key that wait are closed first, the
    longest waiting first; then those idle between two requests. Of either, those of an
    address with a crowd of connections go first, and a new one of a crowd never closes
    another address's. None is closed that is being answered or has unread data: if all
    are, the new caller is refused.
    """

    def __init__(
        self, limits: CallerLimits, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the limits, and a monotonic clock in seconds."""
        self.limits = limits
        self.now = now
        self._open: set[Caller] = set()
        self._homes: Counter[str] = Counter()
        # In the order in which they began to wait.
        self._strangers: dict[Caller, None] = {}
        self._known: dict[Caller, None] = {}
        self._turned_away: Counter[str] = Counter()
        self._told_at = now()

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, caller: Caller) -> bool:
        """Accept a new connection; False if there is no room."""
        is_full = len(self._open) >= self.limits.connections
        if is_full and not self._make_room(caller.home):
            self.count("busy")
            return False
        self._open.add(caller)
        self._homes[caller.home] += 1
        self._strangers[caller] = None
        return True

    def wait(self, caller: Caller, *, mid_request: bool) -> None:
        """Note that a caller sends or is idle, and may be closed to make room."""
        self.busy(caller)
        if not caller.is_known:
            self._strangers[caller] = None
        elif not mid_request:
            self._known[caller] = None

    def busy(self, caller: Caller) -> None:
        """Note that a caller is being answered."""
        self._strangers.pop(caller, None)
        self._known.pop(caller, None)

    def leave(self, caller: Caller) -> None:
        """Forget a closed connection."""
        if caller in self._open:
            self._open.discard(caller)
            self._homes[caller.home] -= 1
            if not self._homes[caller.home]:
                del self._homes[caller.home]
        self.busy(caller)

    def sweep(self) -> None:
        """Close whatever has taken too long; call it once a second."""
        now = self.now()
        for caller in tuple(self._open):
            caller.check(now)
        if self._turned_away and now - self._told_at >= TOLD_EVERY_SECONDS:
            log.warning("connections were closed or refused", **self._turned_away)
            self._turned_away.clear()
            self._told_at = now

    def count(self, why: str) -> None:
        """Count a refused caller."""
        self._turned_away[why] += 1

    def _make_room(self, home: str) -> bool:
        """Close a connection for a new one from there; False if none may be closed."""
        for waiting in (self._strangers, self._known):
            others = list[Caller]()
            for caller in self._longest(waiting):
                if self._is_crowd(caller.home):
                    return self._let_go(caller)
                others.append(caller)
            if others and not self._is_crowd(home):
                return self._let_go(others[0])
        return False

    def _longest(self, waiting: dict[Caller, None]) -> Iterator[Caller]:
        """Yield those without unread data, the longest waiting first."""
        for caller in tuple(islice(waiting, _LOOKS)):
            if caller.has_news():  # its data came among many others'
                waiting[caller] = waiting.pop(caller)
            else:
                yield caller

    def _is_crowd(self, home: str) -> bool:
        return self._homes[home] * CROWD > self.limits.connections

    def _let_go(self, caller: Caller) -> bool:
        self.leave(caller)
        self.count("made_room")
        caller.abort()
        return True
