"""One HTTP/1.1 connection: one request at a time, and its answer.

A protocol of asyncio's, for its streams cost as much again as a whole exchange.
"""

import asyncio
from typing import cast

import httpx

from app.tiktok.transport.answer_reader import AnswerReader


class Connection(asyncio.Protocol):
    """A connection that stands; the loop calls what asyncio.Protocol names."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._arrived: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether a request may be written: nobody has hung up or spoken."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_clean(self) -> bool:
        """Tell whether it is as a new one: all was written and nothing is left over."""
        transport = self._transport
        return self.is_open and not (transport and transport.get_write_buffer_size())

    async def exchange(
        self, request: bytes, reader: AnswerReader, *, ends_at: float
    ) -> None:
        """Write a request at once, then read until its answer is whole.

        Raises httpx.ReadError, RemoteProtocolError or DecodingError, and TimeoutError
        if the loop's time gets to ``ends_at`` before; after any exception, cancellation
        too, the connection is closed.
        """
        if self._transport is None:
            raise AssertionError("nothing can be written before a connection stands")
        self._reader = reader
        loop = asyncio.get_running_loop()
        self._arrived = loop.create_future()
        # A timer of its own: asyncio.timeout() costs several times as much.
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

    def close(self) -> None:
        """Hang up at once: TLS's goodbye would be waited for, and it proves nothing."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where requests go."""
        # uvloop's transports have the methods, but not the type.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on; who speaks without being asked is not listened to."""
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
        """Take the peer's goodbye, which may be the end of an answer."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection; without an error it is a goodbye."""
        if exc is None:
            self._end()
        else:
            self._fail(httpx.ReadError(type(exc).__name__))

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

    def _fail(self, error: Exception) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_exception(error)
