"""TCP connections to any address of a host name, with keepalives."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from app.machine.concurrency import race
from app.machine.look_ups import Names
from app.store.db.postgres.address import Keepalives

AddressInfo = tuple[Any, ...]


class DialingLoop:
    """The running loop, except that connections try every address of a name.

    The loop itself tries them one after the other: an address that drops packets uses
    up the whole time-out, and a good one after it is never tried.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, names: Names, keepalives: Keepalives
    ) -> None:
        self._loop = loop
        self._names = names
        self._keepalives = keepalives
        # Attributes that every statement uses, without __getattr__.
        self.create_future = loop.create_future
        self.call_later = loop.call_later

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever a loop has
        return getattr(self._loop, name)

    async def create_connection(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        **options: Any,  # noqa: ANN401  as the loop's own
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        """Connect to the first address that answers; raises OSError."""
        connected = await dial(self._loop, self._names, host, port)
        keep_alive(connected, self._keepalives)
        if options.get("ssl"):
            options.setdefault("server_hostname", host)
        return await self._loop.create_connection(
            protocol_factory, sock=connected, **options
        )


async def dial(
    loop: asyncio.AbstractEventLoop, names: Names, host: str, port: int
) -> socket.socket:
    """Open a socket to the address that answers first; raises OSError."""
    found = await _addresses(names, host, port)
    attempts = [partial(_open, loop, info) for info in _families_in_turn(found)]
    try:
        return await race(attempts, drop=socket.socket.close)
    except OSError:
        names.forget(host)
        raise


def keep_alive(connected: socket.socket, keepalives: Keepalives) -> None:
    """Set keepalives: they notice a dead peer, and keep idle connections open."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    options = {
        "TCP_KEEPIDLE": keepalives.idle,
        "TCP_KEEPALIVE": keepalives.idle,  # macOS's name for it
        "TCP_KEEPINTVL": keepalives.interval,
        "TCP_KEEPCNT": keepalives.count,
        "TCP_USER_TIMEOUT": keepalives.unanswered * 1000,
    }
    for name, value in options.items():
        if (option := getattr(socket, name, None)) is not None:
            connected.setsockopt(socket.IPPROTO_TCP, option, value)


async def _addresses(names: Names, host: str, port: int) -> Sequence[AddressInfo]:
    """Return the host's addresses, or the last known ones."""
    found = await names.addresses(host)
    return [
        (
            socket.AF_INET6 if ":" in address else socket.AF_INET,
            socket.SOCK_STREAM,
            socket.IPPROTO_TCP,
            "",
            (address, port),
        )
        for address in found
    ]


def _families_in_turn(found: Sequence[AddressInfo]) -> list[AddressInfo]:
    """Alternate IPv6 and IPv4, starting with the resolver's first choice."""
    first = [info for info in found if info[0] == found[0][0]]
    other = [info for info in found if info[0] != found[0][0]]
    mixed = []
    for place in range(max(len(first), len(other))):
        mixed += first[place : place + 1] + other[place : place + 1]
    return mixed


async def _open(loop: asyncio.AbstractEventLoop, info: AddressInfo) -> socket.socket:
    family, kind, protocol, _, address = info
    connecting = socket.socket(family, kind, protocol)
    try:
        connecting.setblocking(False)
        await loop.sock_connect(connecting, address)
    except BaseException:
        connecting.close()
        raise
    return connecting
