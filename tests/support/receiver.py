"""A frontend's webhook endpoint on the loopback, with a library to verify what comes.

async with receiving() as receiver:
    receiver.answers += [500, 500]  # then 200
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from standardwebhooks import Webhook

from tests.support.patience import PATIENCE_SECONDS

SECRET: Final = "whsec_YSB3ZWJob29rIHNlY3JldCBvZiBpdHMgMzIgYnl0ZXM="


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Return the event's id."""
        return self.headers["webhook-id"]

    def verified(self, secret: str = SECRET) -> dict[str, Any]:
        """Read it as the reference library does.

        Raises WebhookVerificationError for a bad signature or an old timestamp.
        """
        event: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return event


@dataclass(slots=True)
class Receiver:
    """Answers with the statuses in turn, then with 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    headers: str = ""  # of each answer
    at_once: int = 0
    most_at_once: int = 0
    open: asyncio.Event = field(default_factory=asyncio.Event)  # clear: it keeps silent
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, met: Callable[["Receiver"], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._news:
            await self._news.wait_for(lambda: met(self))

    async def got(self, count: int) -> list[Received]:
        """Wait for so many requests and return all."""
        await self.until(lambda _: len(self.received) >= count)
        return self.received

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take one request and close."""
        try:
            received = await _read(reader)
            await self._note(received)
            await self.open.wait()
            status = self.answers.pop(0) if self.answers else 200
            head = f"HTTP/1.1 {status} X\r\ncontent-length: 2\r\n{self.headers}\r\nok"
            writer.write(head.encode())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # who asked is gone
        finally:
            self.at_once -= 1
            writer.close()

    async def _note(self, received: Received) -> None:
        async with self._news:
            self.received.append(received)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self._news.notify_all()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Serve a Receiver that answers."""
    receiver = Receiver()
    receiver.open.set()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        receiver.url = f"http://127.0.0.1:{port}/hook"
        try:
            yield receiver
        finally:
            receiver.open.set()


async def _read(reader: asyncio.StreamReader) -> Received:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers["content-length"]))
    return Received(headers, body)
