"""What stands between a program and its database, and may forget a connection."""

import asyncio
from contextlib import suppress
from typing import Self


class Relay:
    """Passes bytes on to a port of this machine."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._forgotten = set[int]()
        self._tasks = set[asyncio.Task[None]]()
        self._connections = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def forget(self) -> None:
        """Pass nothing on any more of what is open, and tell nobody."""
        self._forgotten.update(range(self._connections + 1))

    def _begin(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._connections += 1
        task = asyncio.ensure_future(self._carry(self._connections, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        try:
            with suppress(OSError):
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass(number, reader, back))
                    group.create_task(self._pass(number, there, writer))
        finally:
            writer.close()
            back.close()

    async def _pass(
        self, number: int, source: asyncio.StreamReader, to: asyncio.StreamWriter
    ) -> None:
        while data := await source.read(65_536):
            if number in self._forgotten:
                await asyncio.Event().wait()
            to.write(data)
            await to.drain()
        to.close()
