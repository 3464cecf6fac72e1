"""One request and its answer, over its own connection.

llhttp parses the answer in an asyncio protocol: httpcore's streams take five times the
CPU per byte of a video.
"""

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast
from urllib.parse import SplitResult

import httptools

from app.machine.sink import Sink
from app.outbound.dialer import Dialer
from app.outbound.errors import OutboundError, Refused, TooSlow, Unreachable

READ_SECONDS: Final = 30.0
"""How long a server may take for its next bytes."""

LEAST_BYTES: Final = 30 * 1024
"""How much of a stream has to come in that time: a slower one would never end."""

READ_BYTES: Final = 48 * 1024
"""How much is read at a time; then reading pauses until somebody has taken it."""

RECEIVE_BYTES: Final = 128 * 1024
"""The socket's receive buffer, which the system doubles.

It limits the rate to a distant server: so much in each round trip. By default the
system lets it grow to six megabytes or more, for each of many videos.
"""

MOST_HEAD_BYTES: Final = 64 * 1024

Headers = Mapping[str, str]

_PORTS: Final = {"http": 80, "https": 443}
_TARGET: Final = re.compile(r"[\x21-\x7e]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})


async def exchange(
    method: str,
    url: SplitResult,
    *,
    headers: Headers,
    body: bytes | None,
    seconds: float | None,
    dialer: Dialer,
    tls: ssl.SSLContext | None,
    buffer: bytearray,
) -> "Response":
    """Send a request and return its answer; raises Refused, Unreachable, TooSlow.

    ``buffer`` may be shared by all connections of a loop, which reads from one at a
    time.
    """
    request = _head(method, url, headers) + (body or b"")
    answer = None
    try:
        with _translated():
            async with asyncio.timeout(seconds):
                answer = await dialer.connect(
                    lambda: Response(buffer, has_body=method != "HEAD"),
                    url.hostname or "",
                    url.port or _PORTS[url.scheme],
                    tls,
                )
                await answer.to(request)
                return answer
    except BaseException:
        if answer is not None:
            answer.close()
        raise


def _head(method: str, url: SplitResult, headers: Headers) -> bytes:
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    sent = {"Host": url.netloc, "User-Agent": "tiktok-scheduler", **headers}
    if not _TARGET.fullmatch(target + url.netloc) or not all(
        map(_VALUE.fullmatch, sent.values())
    ):
        raise Refused("the request is not one that HTTP can carry")
    lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in sent.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Response(asyncio.BufferedProtocol):
    """An answer that arrives no faster than it is read; to be closed.

    Its headers' names are in lower case. The loop calls the methods of
    asyncio.BufferedProtocol, llhttp those that begin with ``on_``.
    """

    def __init__(self, buffer: bytearray, *, has_body: bool) -> None:
        self.status = 0  # of the final headers, once they arrived
        self.headers: dict[str, str] = {}
        self._buffer = memoryview(buffer)
        self._has_body = has_body
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._pieces: deque[bytes] = deque()
        self._held = 0  # bytes in the pieces
        self._sink: Sink | None = None
        self._wanted = 0  # bytes that the sink is to get
        self._poured = 0  # bytes that it got lately
        self._head_bytes = 0
        self._over = False
        self._failure: Exception | None = None

    async def to(self, request: bytes) -> None:
        """Send a request, and return when the answer's headers have arrived."""
        if self._transport is None:
            raise AssertionError("a connection stands before it is written to")
        self._transport.write(request)
        while not self.status:
            self._raise_failure()
            await self._changed(within=None)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Stream the body; raises OutboundError if it breaks off."""
        while (piece := self._take()) is not None:
            if piece:
                yield piece
                continue
            await self._changed(within=READ_SECONDS)

    def _take(self) -> bytes | None:
        """Return the next bytes of the body, empty if there are none yet.

        None after the last; raises Unreachable if it broke off.
        """
        if self._pieces:
            piece = self._pieces.popleft()
            self._held -= len(piece)
            self._pause_or_resume()
            return piece
        self._raise_failure()
        return None if self._over else b""

    @property
    def lacking(self) -> int:
        """Return how many bytes the last ``pour`` did not write."""
        return self._wanted

    async def pour(self, length: int, sink: Sink) -> None:
        """Write the next ``length`` bytes into a sink, as fast as it takes them.

        Fewer if the sink is over. Raises OutboundError if it breaks off or is too slow.
        """
        self._sink, self._wanted = sink, length
        sink.on_change = self._flow
        try:
            self._flow()
            while self._wanted and not sink.is_over:
                self._raise_failure()
                if self._over:
                    raise Unreachable("it ended before its announced length")
                await self._fast_enough(sink)
        finally:
            self._sink = sink.on_change = None

    async def _fast_enough(self, sink: Sink) -> None:
        """Wait for the end, at most READ_SECONDS; raises TooSlow."""
        self._poured = 0
        try:
            await self._changed(within=READ_SECONDS)
        except TooSlow:
            if self._poured < LEAST_BYTES and not sink.is_full:
                raise TooSlow("it sends next to nothing") from None

    def _flow(self) -> None:
        """Go on where the sink stopped; it was not the server that was waited for."""
        self._poured = LEAST_BYTES
        held, self._held = b"".join(self._pieces), 0
        self._pieces.clear()
        if held:
            self.on_body(held)
        self._pause_or_resume()
        self._wake_unless_pouring()

    def _pause_or_resume(self) -> None:
        if self._transport is None:
            return
        sink = self._sink
        if self._held or (sink is not None and sink.is_full):
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    async def _changed(self, *, within: float | None) -> None:
        """Wait until something arrives or the answer ends; raises TooSlow."""
        self._waiter = self._loop.create_future()
        # Our own timer: asyncio.timeout() costs several times as much.
        timer = within and self._loop.call_later(within, self._expire)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer:
                timer.cancel()

    def close(self) -> None:
        """Close at once; drop the parser, which refers to this answer."""
        self._parser = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        # uvloop's transports have the methods, but not the type.
        self._transport = cast("asyncio.Transport", transport)
        held = transport.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return where to put the bytes that ``buffer_updated`` takes at once."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Feed the parser, unless the answer is over."""
        if self._over or self._failure is not None or self._parser is None:
            return
        if not self.status:
            self._head_bytes += nbytes
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._end(error)
            return
        if not self.status and self._head_bytes > MOST_HEAD_BYTES:
            self._end(ValueError("a head without an end"))
        self._pause_or_resume()
        self._wake_unless_pouring()

    def eof_received(self) -> None:
        """Handle the peer's end of data."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the connection; without an error it is an end of data."""
        self._end(exc)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header, but not a trailer."""
        if not self.status:
            key = name.decode("latin-1").lower()
            self.headers[key] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Note the status, unless it is an interim one."""
        status = self._parser.get_status_code()
        if status < 200:
            self.headers.clear()
            return
        self.status = status
        self._over = not self._has_body

    def on_body(self, data: bytes) -> None:
        """Pass on a part of the body, or store it."""
        if self._sink is not None and self._wanted:
            part = data[: self._wanted]
            self._wanted -= len(part)
            self._poured += len(part)
            self._sink.write(part)
            data = data[len(part) :]
        if data:
            self._pieces.append(data)
            self._held += len(data)

    def on_message_complete(self) -> None:
        """Note that the body is complete."""
        self._over = bool(self.status)

    def _end(self, error: Exception | None) -> None:
        """End the answer; it is incomplete if a length was announced."""
        if not self._over and self._failure is None:
            framed = not _FRAMING.isdisjoint(self.headers)
            if error is None and self.status and not framed:
                self._over = True
            else:
                self._failure = error or EOFError("closed before its end")
        self._wake()

    def _expire(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(TooSlow("the server took too long"))

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise Unreachable("the server broke off") from self._failure

    def _wake_unless_pouring(self) -> None:
        sink = self._sink
        if sink is None or sink.is_over or self._over or not self._wanted:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the system's errors into our own, without their texts."""
    try:
        yield
    except OutboundError:
        raise
    except TimeoutError as error:
        raise TooSlow("the server took too long") from error
    except (OSError, UnicodeError) as error:
        raise Unreachable("the server could not be reached") from error
