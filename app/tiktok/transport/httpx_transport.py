"""A transport for httpx that knows whether a request was sent.

ConnectError, ConnectTimeout, LocalProtocolError and UnsupportedProtocol are raised only
while no byte has been handed to the system; any other error means that the peer may
have the request. httpx's own transport makes no such distinction, and its cost per
request grows with the number in flight.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Iterator
from typing import Final

import httpx

from app.machine.look_ups import Names
from app.tiktok.transport.answer_reader import AnswerReader
from app.tiktok.transport.connection import Connection, Peer, dial
from app.tiktok.transport.kept_connections import KeptConnections

_SCHEMES: Final = {"http": 80, "https": 443}
_LENGTH: Final = b"Content-Length: %d\r\n"
_FIELD_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, section 5.5


class Transport(httpx.AsyncBaseTransport):
    """Sends one attempt's requests to one server, over connections that all share.

    The time-out covers a whole call: httpx's own restarts with each byte. A request
    with the extension ``once`` must not be repeated.
    """

    def __init__(
        self, names: Names, tls: Callable[[], ssl.SSLContext], kept: KeptConnections
    ) -> None:
        """Take the shared parts; ``tls`` is called only if TLS is used."""
        self._names = names
        self._tls = tls
        self._kept = kept
        self._is_using = False
        self._written: tuple[httpx.Headers | None, bytes] = (None, b"")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request once and return its complete answer."""
        if not isinstance(request.stream, httpx.ByteStream):
            raise TypeError("a request that is not whole")
        body = b"".join(request.stream)
        content = self._head(request, len(body)) + body
        now = _now()
        ends_at = now + request.extensions["timeout"]["connect"]
        if ends_at <= now:
            raise httpx.ConnectTimeout("no time left")
        once = request.extensions.get("once", False)
        connection = self._take_kept(now, once=once)
        if connection is not None:
            try:
                return await self._exchanged(request, content, connection, ends_at)
            except (httpx.ReadError, httpx.RemoteProtocolError):
                # The peer may have been closing it, without an answer.
                if once or request.extensions["http_status"] is not None:
                    raise
        connection = await self._dialled(request, ends_at)
        return await self._exchanged(request, content, connection, ends_at)

    async def aclose(self) -> None:
        """Close the kept connections if no other attempt uses them."""
        if self._is_using:
            self._is_using = False
            self._kept.leave()

    def _head(self, request: httpx.Request, length: int) -> bytes:
        """Write the request's head; headers that several requests share, once."""
        if self._written[0] is not request.headers:
            lines = [b"%b: %b\r\n" % header for header in _checked(request.headers)]
            self._written = request.headers, b"".join(lines)
        first = request.method.encode("ascii"), request.url.raw_path
        sized = b"" if request.method == "GET" and not length else _LENGTH % length
        return b"%b %b HTTP/1.1\r\n%b%b\r\n" % (*first, self._written[1], sized)

    def _peer(self, url: httpx.URL) -> Peer:
        port = _SCHEMES.get(url.scheme)
        if port is None or not url.raw_host:
            raise httpx.UnsupportedProtocol("not an http(s) URL")
        try:
            tls = self._tls() if url.scheme == "https" else None
        except Exception as error:  # certificates are read from a file
            raise httpx.ConnectError(type(error).__name__) from error
        return Peer(url.raw_host.decode("ascii"), url.port or port, tls)

    def _take_kept(self, now: float, *, once: bool) -> Connection | None:
        if not self._is_using:
            self._is_using = True
            self._kept.join()
        return self._kept.take(now, once=once)

    async def _dialled(self, request: httpx.Request, ends_at: float) -> Connection:
        """Return a new connection that is ready to write to; nothing is sent here."""
        peer = self._peer(request.url)
        try:
            async with asyncio.timeout_at(ends_at):
                connection = await dial(peer, self._names)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        except Exception as error:
            raise httpx.ConnectError(type(error).__name__) from error
        if not connection.is_open:
            raise httpx.ConnectError("closed before the request")
        return connection

    async def _exchanged(
        self,
        request: httpx.Request,
        content: bytes,
        connection: Connection,
        ends_at: float,
    ) -> httpx.Response:
        """Send; from here on the peer may have the request."""
        reader = AnswerReader()
        try:
            await connection.exchange(content, reader, ends_at=ends_at)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no whole answer in time") from error
        finally:
            request.extensions["http_status"] = reader.status
        if reader.status is None:
            raise AssertionError("a whole answer has a status")
        if reader.keeps_alive and connection.is_clean:
            self._kept.keep(connection, _now())
        else:
            connection.close()
        return httpx.Response(
            reader.status,
            headers=list(reader.headers.items()),
            stream=httpx.ByteStream(bytes(reader.body)),
            request=request,
        )


def _checked(headers: httpx.Headers) -> Iterator[tuple[bytes, bytes]]:
    """Yield the headers but the body's length, which is each request's own.

    Refuses line breaks, which could add a header.
    """
    for name, value in headers.raw:
        if name.lower() == b"content-length":
            continue
        if not _FIELD_VALUE.fullmatch(value):
            raise httpx.LocalProtocolError("a header that HTTP cannot carry")
        yield name, value


def _now() -> float:
    return asyncio.get_running_loop().time()
