"""A relay that can cut a connection after a commit, before its answer arrives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

# https://www.postgresql.org/docs/current/protocol-message-formats.html
INSERTED: Final = b"INSERT 0 1\0"
OUT_OF_TRANSACTION: Final = b"Z\0\0\0\5I"


@dataclass(slots=True)
class Cutter:
    """Passes bytes on; once armed, it cuts a connection before an insert's answer."""

    to: int
    port: int = 0
    armed: bool = False

    async def carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry one connection to its end."""
        there, back = await asyncio.open_connection("127.0.0.1", self.to)
        asking = asyncio.create_task(_copy(reader, back))
        try:
            await self._answer(there, writer)
        finally:
            asking.cancel()
            back.close()
            writer.close()

    async def _answer(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        inserted = False
        with suppress(ConnectionError):
            while data := await source.read(65536):
                inserted |= self.armed and INSERTED in data
                if inserted and OUT_OF_TRANSACTION in data:
                    self.armed = False
                    return
                target.write(data)
                await target.drain()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


@asynccontextmanager
async def cutting(to: int) -> AsyncIterator[Cutter]:
    """Open a port on loopback that leads to a Postgres."""
    cutter = Cutter(to)
    server = await asyncio.start_server(cutter.carry, "127.0.0.1")
    cutter.port = server.sockets[0].getsockname()[1]
    async with server:
        yield cutter
