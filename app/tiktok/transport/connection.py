"""One HTTP/1.1 connection that sends one request at a time, and how it is opened.

An asyncio protocol, since asyncio's streams would double the cost of an exchange.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

import httpx
from msgspec import Struct

from app.machine.concurrency import race
from app.machine.descriptors import is_readable
from app.machine.look_ups import Names
from app.machine.sink import Sink
from app.tiktok.transport.answer_reader import AnswerReader


class Body(Struct):
    """A body to stream: ``pour`` writes exactly ``left`` bytes into a sink."""

    pour: Callable[[Sink], Awaitable[None]]
    left: int
    failure: Exception | None = None  # what ``pour`` raised

    async def into(self, sink: Sink) -> None:
        """Pour it; raises what ``pour`` raises."""
        try:
            await self.pour(sink)
            if self.left and not sink.is_over:
                raise AssertionError("fewer bytes than were announced")
        except Exception as error:
            self.failure = error
            raise

    @property
    def is_sent(self) -> bool:
        """Tell whether the last byte may have been written."""
        return self.left == 0


class Connection(asyncio.Protocol):
    """An open connection; the loop calls the methods of asyncio.Protocol.

    While it streams a body it is the Sink.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._arrived: asyncio.Future[None] | None = None
        # For a streamed body:
        self.is_full = False
        self.on_change: Callable[[], None] | None = None
        self._body: Body | None = None
        self._waits_since: float | None = None  # for the peer, in loop time
        self._watching: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether a request may be written: the peer has not closed or sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_clean(self) -> bool:
        """Tell whether it can be reused: all is written and nothing left to read."""
        transport = self._transport
        return self.is_open and not (transport and transport.get_write_buffer_size())

    @property
    def is_quiet(self) -> bool:
        """Tell whether it is open and the peer has said nothing, by the system too."""
        if self._transport is None or self._transport.is_closing():
            return False
        return not is_readable(self._transport.get_extra_info("socket"))

    async def exchange(
        self, request: bytes, reader: AnswerReader, *, ends_at: float
    ) -> None:
        """Write a request at once, then read its complete answer.

        Raises httpx.ReadError, RemoteProtocolError or DecodingError, and TimeoutError
        if loop time reaches ``ends_at`` first. After any exception, including
        cancellation, the connection is closed.
        """
        if self._transport is None:
            raise AssertionError("nothing can be written before a connection stands")
        self._reader = reader
        loop = self._loop
        self._arrived = loop.create_future()
        # Our own timer: asyncio.timeout() costs several times as much.
        deadline = loop.call_at(ends_at, self._expire)
        try:
            self._transport.write(request)
            await self._arrived
        except BaseException:
            self.close()
            raise
        finally:
            deadline.cancel()
            reader.close()
            self._reader = self._arrived = None

    async def send_streamed(
        self,
        head: bytes,
        body: Body,
        reader: AnswerReader,
        *,
        silence: float,
    ) -> None:
        """Write headers, then a body as fast as the peer reads; read the answer.

        An answer before the body's end stops the writing. ``silence`` is how many
        seconds the peer may neither read nor answer. Raises as ``exchange`` does, and
        what the body raises.
        """
        if self._transport is None:
            raise AssertionError("nothing can be written before a connection stands")
        self._reader, self._body = reader, body
        loop = self._loop
        arrived = self._arrived = loop.create_future()
        self._watching = loop.call_later(silence, self._watch, silence)
        try:
            # Pause as soon as the system takes no more; with 0, TLS would never go on.
            self._transport.set_write_buffer_limits(high=1, low=0)
            self._transport.write(head)
            await body.into(self)
            self._waits_since = loop.time()
            await arrived
        except BaseException:
            self.close()
            # Nobody waits for it any more.
            if arrived.done() and not arrived.cancelled():
                arrived.exception()
            raise
        finally:
            self._watching.cancel()
            reader.close()
            self._reader = self._arrived = self._waits_since = self._watching = None
            self._body = None

    def close(self) -> None:
        """Close at once, without waiting for TLS's close_notify."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        # uvloop's transports have the methods, but not the type.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Feed the reader; data without a request is not read."""
        if self._reader is None:
            self.close()
            return
        try:
            self._reader.feed(data)
        except httpx.HTTPError as error:
            self._fail(error)
            return
        if self._reader.whole:
            self._succeed()

    def eof_received(self) -> None:
        """Handle the peer's end of data, which may end an answer."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the connection; without an error it is an end of data."""
        if exc is None:
            self._end()
        else:
            self._fail(httpx.ReadError(type(exc).__name__))

    @property
    def is_over(self) -> bool:
        """Tell whether the answer is here, or none will come."""
        return self._arrived is None or self._arrived.done()

    def write(self, piece: bytes) -> None:
        """Write a piece of the body, unless it is over."""
        if self._body is None or self._transport is None or self.is_over:
            return
        self._body.left -= len(piece)
        if self._body.left < 0:
            raise AssertionError("more bytes than were announced")
        self._transport.write(piece)

    def pause_writing(self) -> None:
        """Take no more of a body until the system has taken what there is."""
        self.is_full, self._waits_since = True, self._loop.time()

    def resume_writing(self) -> None:
        """Take more."""
        self.is_full = False
        if self.on_change is not None:
            self._waits_since = None  # the body's source is waited for
            self.on_change()

    def _watch(self, silence: float) -> None:
        """Close a connection that was silent for too long; else check again later."""
        loop = self._loop
        since = self._waits_since
        if since is not None and loop.time() - since >= silence:
            self._fail(TimeoutError())
            return
        again = (since or loop.time()) + silence
        self._watching = loop.call_at(again, self._watch, silence)

    def _end(self) -> None:
        if self._reader is None:
            return
        try:
            if not self._reader.whole:
                self._reader.end()
        except httpx.HTTPError as error:
            self._fail(error)
        else:
            self._succeed()

    def _expire(self) -> None:
        self._fail(TimeoutError())

    def _succeed(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)
        self._stop_body()

    def _fail(self, error: Exception) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_exception(error)
        self._stop_body()

    def _stop_body(self) -> None:
        if self.on_change is not None:
            self.on_change()


class Peer(Struct, frozen=True):
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
