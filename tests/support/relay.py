"""Stands between a program and its database, and can hang as a network does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field


@dataclass
class Relay:
    """Passes bytes on, until it hangs: then nothing moves and nothing is closed."""

    to: int
    port: int = 0
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    busy: set[asyncio.Task[None]] = field(default_factory=set)

    def hang(self) -> None:
        """Let nothing pass any more, of old connections and of new ones."""
        self.flows.clear()

    async def lead_to(self, port: int, *, cut: bool = True) -> None:
        """Lead new connections elsewhere, and end the former ones if they are cut."""
        self.to = port
        if cut:
            former = list(self.busy)
            for task in former:
                task.cancel()
            await asyncio.gather(*former, return_exceptions=True)

    async def copy(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        """Pass one direction on to its end."""
        with suppress(ConnectionError):
            while data := await source.read(65536):
                await self.flows.wait()
                target.write(data)
                await target.drain()


@asynccontextmanager
async def relaying(to: int) -> AsyncIterator[Relay]:
    """Open a port on loopback that leads to another one."""
    relay = Relay(to)
    busy = relay.busy
    relay.flows.set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            await relay.flows.wait()
            there, back = await asyncio.open_connection("127.0.0.1", relay.to)
            with closing(back):
                ways = relay.copy(reader, back), relay.copy(there, writer)
                await asyncio.gather(*ways)

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carry(reader, writer))
        busy.add(task)
        task.add_done_callback(busy.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
