"""A server on loopback that does with a connection whatever a test wants."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from ssl import SSLContext
from typing import Any

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(
    script: Script,
    *,
    ssl: SSLContext | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[str]:
    """Run a script for each connection; give the base URL."""
    running: set[asyncio.Task[None]] = set()

    async def handle(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(handle, host, port, ssl=ssl)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if ssl else 'http'}://{host}:{port}"
    finally:
        server.close()
        for task in tuple(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request to its end; raise IncompleteReadError if there is none."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head + await reader.readexactly(length)


def response(body: bytes, *, status: int = 200, **headers: str) -> bytes:
    """Return a whole HTTP answer; header names are written with underscores."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def envelope(
    data: dict[str, Any] | None = None,
    *,
    code: str = "ok",
    message: str = "",
    log_id: str = "log-1",
) -> bytes:
    """Return a body as TikTok writes it."""
    error = {"code": code, "message": message, "log_id": log_id}
    return json.dumps({"data": data or {}, "error": error}).encode()


def answering(raw: bytes) -> Script:
    """Return a script that answers the one request with these bytes and closes."""

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await read_request(reader)
        writer.write(raw)
        await writer.drain()

    return script


def reset(writer: asyncio.StreamWriter) -> None:
    """Drop the connection with an RST."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def reset_on_accept(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Reset before a byte is read."""
    reset(writer)


async def reset_after_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Take the request, then reset."""
    await read_request(reader)
    reset(writer)


async def close_after_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Take the request, then close in an orderly way."""
    await read_request(reader)


async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take everything and answer nothing."""
    while await reader.read(4096):
        pass


def dripping(raw: bytes) -> Script:
    """Return a script that sends a byte every 5 ms: no read ever takes long."""

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await read_request(reader)
        for byte in raw:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.005)

    return script


@contextmanager
def refusing() -> Iterator[str]:
    """Give an address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def never_accepting() -> Iterator[str]:
    """Give an address whose queue is full: the kernel leaves new SYNs unanswered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(8)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(address)
        try:
            yield f"http://127.0.0.1:{address[1]}"
        finally:
            for sock in waiting:
                sock.close()
