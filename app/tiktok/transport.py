"""A transport that says truly whether a request was sent.

ConnectError and ConnectTimeout of httpx's are raised only while no byte of it has been
handed to the system; everything else means that the other side may have it. httpx's own
transport does not draw this line, and its cost per request grows with the number in
flight.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx

from app.tiktok.answer import AnswerReader
from app.tiktok.connection import Connection
from app.tiktok.dial import Peer, dial
from app.tiktok.names import Names

KEEP_ALIVE_SECONDS: Final = 30.0  # outlasts the pause between two polls


@dataclass(frozen=True, slots=True)
class Address:
    """Where an URL leads to."""

    host: str
    port: int
    is_tls: bool


class Transport:
    """Sends one attempt's requests, and keeps at most one connection between them."""

    def __init__(self, names: Names, tls: Callable[[], ssl.SSLContext]) -> None:
        """Take what all share; ``tls`` is called only where TLS is spoken."""
        self._names = names
        self._tls = tls
        self._kept: Connection | None = None
        self._kept_until = 0.0  # the loop's time

    async def exchange(
        self,
        address: Address,
        request: bytes,
        reader: AnswerReader,
        *,
        seconds: float,
        fresh: bool = False,
    ) -> None:
        """Send a request once, and give its whole answer to the reader.

        The time is for the whole call. A ``fresh`` request meets no connection that was
        used before. Raises httpx.HTTPError.
        """
        ends_at = _now() + seconds
        connection = await self._connected(address, ends_at, fresh=fresh)
        # From here on the other side may have it.
        try:
            await connection.exchange(request, reader, ends_at=ends_at)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no whole answer in time") from error
        self._keep(connection, reader)

    async def aclose(self) -> None:
        """Hang up."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    async def _connected(
        self, address: Address, ends_at: float, *, fresh: bool
    ) -> Connection:
        """Return a connection to write to at once; nothing is sent in here."""
        if ends_at <= _now():
            raise httpx.ConnectTimeout("no time left")
        connection = self._take_kept(fresh=fresh)
        if connection is None:
            tls = self._tls() if address.is_tls else None
            try:
                async with asyncio.timeout_at(ends_at):
                    connection = await dial(
                        Peer(address.host, address.port, tls), self._names
                    )
            except TimeoutError as error:
                raise httpx.ConnectTimeout("no connection in time") from error
            except OSError as error:
                raise httpx.ConnectError(str(error)) from error
            except Exception as error:
                raise httpx.ConnectError(type(error).__name__) from error
        if not connection.is_open:
            raise httpx.ConnectError("closed before the request")
        return connection

    def _take_kept(self, *, fresh: bool) -> Connection | None:
        """Hand out the kept connection, unless it may be about to close."""
        connection, self._kept = self._kept, None
        if connection is None:
            return None
        if fresh or _now() >= self._kept_until or not connection.is_open:
            connection.close()
            return None
        return connection

    def _keep(self, connection: Connection, reader: AnswerReader) -> None:
        if self._kept is None and reader.keeps_alive and connection.is_clean:
            self._kept = connection
            self._kept_until = _now() + KEEP_ALIVE_SECONDS
        else:
            connection.close()


def _now() -> float:
    return asyncio.get_running_loop().time()
