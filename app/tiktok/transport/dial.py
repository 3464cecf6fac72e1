"""Open a connection: try a host's addresses side by side."""

import asyncio
import ssl
from dataclasses import dataclass
from functools import partial

from app.machine.concurrency import race
from app.machine.host_names import Names
from app.tiktok.transport.connection import Connection


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
        attempts = [partial(_open, address, peer) for address in addresses]
        return await race(attempts, drop=Connection.close)
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
