"""Open a connection: try a host's addresses side by side."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.machine.host_names import Names
from app.machine.shortage import is_shortage
from app.tiktok.transport.connection import Connection

HEAD_START_SECONDS: Final = 0.25
"""How long one address is tried alone before the next one starts beside it.

https://www.rfc-editor.org/rfc/rfc8305#section-8
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """The host to connect to."""

    host: str
    port: int
    tls: ssl.SSLContext | None  # None: no TLS


async def dial(peer: Peer, names: Names) -> Connection:
    """Open a connection, its TLS handshake included.

    Raises what the resolver, the system or TLS raises, mostly OSErrors. Even if it is
    cancelled, no socket but the returned one stays open.
    """
    addresses = await names.addresses(peer.host)
    try:
        if len(addresses) == 1:
            return await _open(addresses[0], peer)
        return await _Race(peer).run(addresses)
    except OSError:
        names.forget(peer.host)
        raise


async def _open(address: str, peer: Peer) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection,
        address,
        peer.port,
        ssl=peer.tls,
        server_hostname=peer.host if peer.tls else None,
    )
    return connection


class _Race:
    """Addresses tried side by side; uvloop has no Happy Eyeballs."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._running: set[asyncio.Task[Connection]] = set()
        self._failure: BaseException = OSError("no address")

    async def run(self, addresses: Sequence[str]) -> Connection:
        """Return the first connection that opens; raise the last failure if none."""
        try:
            for address in addresses:
                self._running.add(asyncio.create_task(_open(address, self._peer)))
                if winner := await self._winner(within=HEAD_START_SECONDS):
                    return winner
            while self._running:
                if winner := await self._winner(within=None):
                    return winner
            raise self._failure
        finally:
            self._end()

    async def _winner(self, *, within: float | None) -> Connection | None:
        """Wait until one opens or fails, at most ``within`` seconds."""
        ended, _ = await asyncio.wait(
            self._running, timeout=within, return_when=asyncio.FIRST_COMPLETED
        )
        for task in ended:
            self._running.discard(task)
            if (failure := task.exception()) is None:
                return task.result()
            if not is_shortage(self._failure):
                self._failure = failure
        return None

    def _end(self) -> None:
        """Cancel what still runs; close connections that open nevertheless."""
        for task in self._running:
            task.add_done_callback(_hang_up)
            task.cancel()


def _hang_up(task: asyncio.Task[Connection]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
