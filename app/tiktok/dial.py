"""How a connection comes to stand: look the name up, then race its addresses."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from socket import SOCK_STREAM
from typing import Final

from app.tiktok.connection import Connection

HEAD_START_SECONDS: Final = 0.25
"""What an address gets before the next one is tried beside it.

https://www.rfc-editor.org/rfc/rfc8305#section-8
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to connect to."""

    host: str
    port: int
    tls: ssl.SSLContext | None  # None: no TLS


async def dial(peer: Peer) -> Connection:
    """Open a connection, its TLS handshake included.

    Raises what the resolver, the system or TLS raises, mostly OSErrors. However it
    ends, cancelled too, no socket but the returned one stays open.
    """
    addresses = await _look_up(peer)
    if len(addresses) == 1:
        return await _open(addresses[0], peer)
    race = _Race(peer)
    try:
        return await race.run(addresses)
    finally:
        race.end()


async def _look_up(peer: Peer) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(
        peer.host, peer.port, type=SOCK_STREAM
    )
    return list(dict.fromkeys(str(address[4][0]) for address in found))


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
    """Addresses tried side by side; uvloop has no happy eyeballs of its own."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._running: set[asyncio.Task[Connection]] = set()

    async def run(self, addresses: Sequence[str]) -> Connection:
        """Return the first connection that stands; raise the last failure if none."""
        failure: BaseException = OSError("no address")
        waiting = list(reversed(addresses))
        while waiting or self._running:
            if waiting:
                self._running.add(asyncio.create_task(_open(waiting.pop(), self._peer)))
            ended, self._running = await asyncio.wait(
                self._running,
                timeout=HEAD_START_SECONDS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in ended:
                if (error := task.exception()) is not None:
                    failure = error
            winners = [task.result() for task in ended if task.exception() is None]
            if winners:
                for late in winners[1:]:
                    late.close()
                return winners[0]
        raise failure

    def end(self) -> None:
        """Give up what still runs; what stands in spite of that is hung up."""
        for task in self._running:
            task.add_done_callback(_hang_up)
            task.cancel()


def _hang_up(task: asyncio.Task[Connection]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
