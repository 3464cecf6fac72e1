"""Open connections to TikTok that wait for their next request, for all attempts.

They are closed as soon as no attempt runs.
"""

from collections import deque
from typing import Final

from app.tiktok.transport.connection import Connection

KEEP_ALIVE_SECONDS: Final = 30.0  # longer than the pause between two polls
PROVEN_SECONDS: Final = 1.0
"""How long after an answer a connection is used for what must not be repeated.

If it closes under such a request, nobody knows whether TikTok has it. No server closes
so soon, and a new connection could be closed as well between its handshake and the
request. creator_info answers just before an init.
"""


class KeptConnections:
    """Lends the connection that answered last; all lead to the same server.

    Every ``now`` is loop time.
    """

    def __init__(self) -> None:
        self._waiting = deque[tuple[float, Connection]]()  # since when; oldest first
        self._users = 0

    def join(self) -> None:
        """Count an attempt that uses them."""
        self._users += 1

    def leave(self) -> None:
        """Count it no more; close what nobody uses."""
        self._users -= 1
        while self._waiting and not self._users:
            self._waiting.pop()[1].close()

    def take(self, now: float, *, once: bool) -> Connection | None:
        """Return a connection that should still be open.

        ``once``: the request must not be repeated.
        """
        oldest = now - (PROVEN_SECONDS if once else KEEP_ALIVE_SECONDS)
        while self._waiting and self._waiting[-1][0] > oldest:
            connection = self._waiting.pop()[1]
            if connection.is_quiet if once else connection.is_open:
                return connection
            connection.close()
        return None

    def keep(self, connection: Connection, now: float) -> None:
        """Keep a connection that has just answered; close those that are too old."""
        self._waiting.append((now, connection))
        while self._waiting[0][0] < now - KEEP_ALIVE_SECONDS:
            self._waiting.popleft()[1].close()
