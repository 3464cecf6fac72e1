"""A bare HTTP server on the loopback that keeps what it is sent."""

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """Read the envelope."""
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def content(self) -> dict[str, Any]:
        """Read the content, which is JSON within JSON."""
        content: dict[str, Any] = json.loads(self.event["content"])
        return content

    def signed_with(self, secret: str) -> bool:
        """Tell whether the signature was made with this secret, over the raw body."""
        parts = self.headers["tiktok-signature"].split(",")
        fields = dict(part.split("=", 1) for part in parts)
        message = fields["t"].encode() + b"." + self.body
        expected = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
        return hmac.compare_digest(fields["s"], expected)


@dataclass(slots=True)
class Receiver:
    """Answers with the statuses in turn, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """List the events in the order in which they came."""
        return [received.event["event"] for received in self.received]

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Take one request and close."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append(Received(headers, body))
        status = self.statuses.pop(0) if self.statuses else 200
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Serve a Receiver."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    async with server:
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/tiktok"
        yield receiver
