"""Endpoints of webhooks, in a process of its own: those at /hang/… never answer.

    python -m bench.receiver

`GET /_seen` tells how late each event came that was answered, in seconds since the time
in its body.
"""

import asyncio
import json
import time
from typing import Final

import uvloop

_OK: Final = b"HTTP/1.1 204 No Content\r\n\r\n"


class Receiver:
    """Answers at once or never."""

    def __init__(self) -> None:
        self.late: list[float] = []

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        path = head.split(b" ", 2)[1]
        if path == b"/_seen":
            told = json.dumps(self.late).encode()
            length = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told)
            writer.write(length + told)
            return
        _, _, rest = head.lower().partition(b"content-length: ")
        body = await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
        if path.startswith(b"/hang"):
            await reader.read()  # until the sender gives up
            return
        self.late.append(time.time() - json.loads(body)["at"])
        writer.write(_OK)


async def main() -> None:
    """Serve on a free loopback port, print its URL, and stay."""
    server = await asyncio.start_server(Receiver().serve, "127.0.0.1", 0, backlog=1024)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"http://{host}:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
