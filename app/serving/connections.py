"""Every caller's connection: how many are open, who waits, and who has to go."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

log = structlog.get_logger(__name__)

STUCK_SECONDS: Final = 60.0
"""How long a caller may take nothing of an answer, in seconds."""

TOLD_EVERY_SECONDS: Final = 60.0
"""The log is told of callers turned away at most so often: they could fill it."""

_LOOKS: Final = 64  # at callers who might make room, for each who comes


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What callers may take of us; in seconds where it is time."""

    connections: int
    request_seconds: float
    stuck_seconds: float = STUCK_SECONDS


class Caller(Protocol):
    """A connection as it is kept here."""

    is_known: bool  # its last request came with a key

    def check(self, now: float) -> None:
        """End what has taken too long."""
        ...

    def has_news(self) -> bool:
        """Tell whether something has come in that was not read yet."""
        ...

    def abort(self) -> None:
        """Hang up at once."""
        ...


class Connections:
    """Keeps callers' connections within their number and their time.

    When there is no room left, who waits without a key goes first, the longest waiting
    of them at the very first; then who rests between two requests. Nobody is cut off
    who is being answered, or has just said something: if that is everybody, the
    newcomer is turned away.
    """

    def __init__(
        self, limits: Limits, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self.now = now
        self._open: set[Caller] = set()
        # In the order in which they began to wait.
        self._strangers: dict[Caller, None] = {}
        self._known: dict[Caller, None] = {}
        self._turned_away: Counter[str] = Counter()
        self._told_at = now()

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, caller: Caller) -> bool:
        """Let a caller in who has just connected; False if there is no room."""
        if len(self._open) >= self.limits.connections and not self._make_room():
            self.count("busy")
            return False
        self._open.add(caller)
        self._strangers[caller] = None
        return True

    def wait(self, caller: Caller, *, mid_request: bool) -> None:
        """Note that a caller sends or rests, and so may have to make room."""
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
        """Forget a connection that is closed."""
        self._open.discard(caller)
        self.busy(caller)

    def sweep(self) -> None:
        """End whatever has taken too long; call it several times a second."""
        now = self.now()
        for caller in tuple(self._open):
            caller.check(now)
        if self._turned_away and now - self._told_at >= TOLD_EVERY_SECONDS:
            log.warning("callers were turned away", **self._turned_away)
            self._turned_away.clear()
            self._told_at = now

    def count(self, why: str) -> None:
        """Count a caller that was turned away."""
        self._turned_away[why] += 1

    def _make_room(self) -> bool:
        for waiting in (self._strangers, self._known):
            for _ in range(min(len(waiting), _LOOKS)):
                longest = next(iter(waiting))
                if longest.has_news():  # it came while many others did
                    waiting[longest] = waiting.pop(longest)
                    continue
                self.leave(longest)
                self.count("made_room")
                longest.abort()
                return True
        return False
