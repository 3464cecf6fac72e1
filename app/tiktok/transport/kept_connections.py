"""Open connections to TikTok that wait for their next request, for all attempts.

They are closed as soon as no attempt runs.
"""

import asyncio
from collections import deque
from typing import Final, NamedTuple

from app.tiktok.transport.connection import Connection

KEEP_ALIVE_SECONDS: Final = 30.0  # longer than the pause between two polls
PROVEN_SECONDS: Final = 1.0
"""How long after an answer a connection is used for what must not be repeated.

If it closes under such a request, nobody knows whether TikTok has it. No server closes
so soon, and a new connection could be closed as well between its handshake and the
request. creator_info answers just before an init.
"""

Origin = tuple[str, bytes, int | None]
"""Scheme, host and port, as in the URL."""


class _Waiting(NamedTuple):
    connection: Connection
    origin: Origin
    since: float  # loop time


class KeptConnections:
    """Lends the connection that answered last."""

    def __init__(self) -> None:
        self._waiting = deque[_Waiting]()  # the oldest first
        self._users = 0

    def join(self) -> None:
        """Count an attempt that uses them."""
        self._users += 1

    def leave(self) -> None:
        """Count it no more; close what nobody uses."""
        self._users -= 1
        while self._waiting and not self._users:
            self._waiting.pop().connection.close()

    def take(self, origin: Origin, *, once: bool) -> Connection | None:
        """Return a connection to this origin that should still be open.

        ``once``: the request must not be repeated.
        """
        now = _now()
        oldest = now - (PROVEN_SECONDS if once else KEEP_ALIVE_SECONDS)
        while self._waiting and self._waiting[-1].since > oldest:
            connection, its_origin, _ = self._waiting.pop()
            if its_origin == origin and connection.is_quiet:
                return connection
            connection.close()
        return None

    def keep(self, connection: Connection, origin: Origin) -> None:
        """Keep a connection that has just answered; close those that are too old."""
        now = _now()
        self._waiting.append(_Waiting(connection, origin, now))
        while self._waiting[0].since < now - KEEP_ALIVE_SECONDS:
            self._waiting.popleft().connection.close()


def _now() -> float:
    return asyncio.get_running_loop().time()
