"""An upload host in front of the simulator's, with answers of a test's own."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.runner.stage import Stage
from tests.tiktok import chaos

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass
class Put:
    """One chunk as it arrives; ``number`` counts from 1."""

    number: int
    head: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def token(self) -> str:
        """Return what nobody else may see."""
        return self.head.partition(b"upload_token=")[2].split()[0].decode()


Answers = Callable[[Put], bytes | None]


def silent(_: Put) -> bytes | None:
    """Leave the answer to the simulator."""
    return None


@dataclass
class UploadFront:
    """Passes chunks on to the simulator, unless ``instead`` answers first.

    ``instead`` returns bytes to answer at once, without reading the chunk;
    ``after`` returns bytes to answer once the simulator has taken it.
    """

    behind: str
    instead: Answers
    after: Answers
    puts: list[Put] = field(default_factory=list)

    async def __call__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve the chunks of one connection."""
        # So that little of a chunk that nobody reads is on its way.
        held: socket.socket = writer.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            put = Put(len(self.puts) + 1, head, reader, writer)
            self.puts.append(put)
            answer = self.instead(put)
            if answer is not None:
                writer.write(answer)
                await writer.drain()
                await asyncio.Event().wait()  # and reads nothing more
            real = await self._passed_on(put)
            writer.write(self.after(put) or real)
            await writer.drain()

    async def _passed_on(self, put: Put) -> bytes:
        found = _LENGTH.search(put.head)
        assert found is not None
        parts = urlsplit(self.behind)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            head = put.head.replace(b"\r\nHost:", b"\r\nConnection: close\r\nHost:")
            writer.write(head)
            left = int(found[1])
            while left:
                piece = await put.reader.read(min(left, 65_536))
                assert piece, "the chunk broke off"
                left -= len(piece)
                writer.write(piece)
                await writer.drain()
            answer = await reader.read()
        finally:
            writer.close()
        return answer.replace(b"connection: close\r\n", b"")


@asynccontextmanager
async def fronted(
    stage: Stage, *, instead: Answers = silent, after: Answers = silent
) -> AsyncIterator[UploadFront]:
    """Let upload URLs lead to such a host."""
    front = UploadFront(stage.tiktok.url, instead, after)
    async with chaos.serving(front) as base:
        weather = stage.tiktok.sandbox.settings
        stage.tiktok.sandbox.settings = weather.model_copy(
            update={"upload_base_url": base}
        )
        yield front
