"""Our server on loopback in the test's own loop, and callers that speak plain bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from app.serving import listeners
from app.serving.connections import CallerLimits, Connections
from app.serving.server import Server, configured
from tests.support.patience import PATIENCE_SECONDS


class HandClock:
    """Time that only moves when it is told to."""

    def __init__(self) -> None:
        self._now = 1000.0

    def __call__(self) -> float:
        """Return where the hands stand."""
        return self._now

    def forward(self, seconds: float) -> None:
        """Move the hands; the server looks at them once a second."""
        self._now += seconds


class QuietServer(Server):
    """A server that leaves the signals to the test run."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


@dataclass
class Caller:
    """One connection to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send some bytes; who is hung up on meanwhile will read that."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def answer(self) -> tuple[int, bytes]:
        """Read one answer: its status and its body."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            _, _, rest = head.lower().partition(b"content-length:")
            body = await self.reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
        return int(head.split(b" ", 2)[1]), body

    async def ask(self, data: bytes) -> tuple[int, bytes]:
        """Send a request and read its answer."""
        await self.send(data)
        return await self.answer()

    async def rest(self) -> bytes:
        """Read until the server hangs up, softly or not."""
        found = b""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                while part := await self.reader.read(65536):
                    found += part
            except ConnectionError:
                pass
        return found

    def hang_up(self) -> None:
        """Leave."""
        self.writer.transport.abort()


@dataclass
class Served:
    """A server that runs."""

    address: tuple[str, int]
    connections: Connections
    clock: HandClock
    callers: list[Caller] = field(default_factory=list)

    async def connect(self, *, receive_buffer: int | None = None) -> Caller:
        """Connect as one more caller."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(sock, self.address)
        caller = Caller(*await asyncio.open_connection(sock=sock, limit=2**20))
        self.callers.append(caller)
        return caller

    async def becomes(self, count: int) -> None:
        """Wait until so many connections are open, as the server sees it."""
        await until(lambda: len(self.connections) == count)


@asynccontextmanager
async def served(
    app: ASGIApp, *, connections: int = 100, request_seconds: float = 20.0
) -> AsyncIterator[Served]:
    """Serve an app within limits; its time is moved by hand."""
    clock = HandClock()
    limits = CallerLimits(connections=connections, request_seconds=request_seconds)
    registry = Connections(limits, now=clock)
    (listener,) = listeners.bind("127.0.0.1", 0)
    address = listener.getsockname()
    server = QuietServer(configured(app, registry), registry, stop=asyncio.Event())
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
        await asyncio.sleep(0.01)
    found = Served(address, registry, clock)
    try:
        yield found
    finally:
        for caller in found.callers:
            caller.hang_up()
        server.should_exit = True
        await serving


@dataclass
class Recorder:
    """An app that says what it got; it knows callers by ``Authorization: known``."""

    paths: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    behave: dict[str, Callable[[Scope, Receive, Send], Awaitable[None]]] = field(
        default_factory=dict
    )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, then answer with the path and the body's size."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if dict(scope["headers"]).get(b"authorization") == b"known":
            scope["state"]["api_key"] = "a key"
        path = scope["path"]
        self.paths.append(path)
        if (behaviour := self.behave.get(path)) is not None:
            await behaviour(scope, receive, send)
            return
        size = await self.read(path, receive)
        if size is not None:
            await reply(send, f"{path} {size}".encode())

    async def read(self, path: str, receive: Receive) -> int | None:
        """Read a body to its end; None if its sender left in the middle."""
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.append(path)
                return None
            size += len(message["body"])
            if not message["more_body"]:
                return size


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the server does in its own time."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - it is seen from outside
            await asyncio.sleep(0.01)


async def reply(send: Send, body: bytes, status: int = 200) -> None:
    """Answer at once."""
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message: Any = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
