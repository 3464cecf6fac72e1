"""One HTTP/1.1 connection that sends one request at a time, and how it is opened.

An asyncio protocol, since asyncio's streams would double the cost of an exchange.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import httpx

from app.machine.concurrency import race
from app.machine.host_names import Names
from app.tiktok.transport.answer_reader import AnswerReader


class Connection(asyncio.Protocol):
    """An open connection; the loop calls the methods of asyncio.Protocol."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._arrived: asyncio.Future[None] | None = None
        # For a streamed body:
        self._writable: asyncio.Future[None] | None = (
            None  # None: more may be written now
        )
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
        pieces: AsyncIterator[bytes],
        reader: AnswerReader,
        *,
        silence: float,
    ) -> None:
        """Write headers, then a body as fast as the peer reads; read the answer.

        An answer before the body's end stops the writing. ``silence`` is how many
        seconds the peer may neither read nor answer. Raises as ``exchange`` does, and
        what ``pieces`` raises.
        """
        if self._transport is None:
            raise AssertionError("nothing can be written before a connection stands")
        self._reader = reader
        loop = self._loop
        arrived = self._arrived = loop.create_future()
        self._watching = loop.call_later(silence, self._watch, silence)
        try:
            self._waits_since = loop.time()
            self._transport.write(head)
            await self._write_all(pieces, arrived)
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

    def pause_writing(self) -> None:
        """Stop writing the body until the buffer is sent."""
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Continue writing."""
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    async def _write_all(
        self, pieces: AsyncIterator[bytes], arrived: "asyncio.Future[None]"
    ) -> None:
        transport = cast("asyncio.Transport", self._transport)
        now = self._loop.time
        self._waits_since = None  # now it waits for the source, with its own time-out
        async for piece in pieces:
            if arrived.done():
                return
            self._waits_since = now()
            transport.write(piece)
            if self._writable is not None:
                await self._writable
            self._waits_since = None
        self._waits_since = now()

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
        self.resume_writing()  # so that no writer waits any more

    def _fail(self, error: Exception) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_exception(error)
        self.resume_writing()


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
