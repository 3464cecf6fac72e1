"""The simulator as an ASGI application, and as a server on a real socket."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware

from app.sandbox.control import control_routes
from app.sandbox.dated import Dated
from app.sandbox.home import home_route
from app.sandbox.replies import unprocessable
from app.sandbox.routes import tiktok_routes
from app.sandbox.settings import SandboxSettings
from app.sandbox.state import Now, Sandbox, epoch_clock
from app.sandbox.wire import WireProtocol

LOOPBACK = "127.0.0.1"
BACKLOG = 4096
"""Connections that may wait to be accepted: a burst must not look like a fault."""

KEEP_ALIVE_SECONDS = 120
"""Longer than any pause between polls: uvicorn's 5 s would cut callers off in between,
and a request that crosses the cut looks like a reset nobody scripted."""


def create_sandbox(
    settings: SandboxSettings | None = None, *, now: Now | None = None
) -> Starlette:
    """Make a simulator of its own; `now` gives epoch seconds.

    Its world is `app.state.sandbox`. Faults on the wire need `serve` or
    `running_sandbox`.
    """
    sandbox = Sandbox(settings or SandboxSettings(), now or epoch_clock())
    routes = [*tiktok_routes(sandbox), *control_routes()]
    app = Starlette(
        routes=[*routes, home_route(routes)],
        exception_handlers={ValidationError: unprocessable},
        middleware=[Middleware(Dated, sandbox=sandbox)],
    )
    # TikTok knows no path without its trailing slash, and redirects none.
    app.router.redirect_slashes = False
    app.state.sandbox = sandbox
    return app


async def serve(
    host: str = LOOPBACK,
    port: int = 9000,
    *,
    sandbox: Starlette | None = None,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve until a signal; `announce` is told the URL once it listens.

    Raises OSError if the address is taken.
    """
    app = sandbox or create_sandbox()
    listener = _listen(host, port)
    server = _Server(_config(app))
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(each, server.stop)
    if announce is not None:
        announce(_url(listener))
    try:
        await server.serve(sockets=[listener])
    finally:
        _world(app).drop_tasks()


@dataclass(slots=True)
class RunningSandbox:
    """Hold a simulator that answers at `url`, and the world behind it."""

    url: str
    sandbox: Sandbox


@contextlib.asynccontextmanager
async def running_sandbox(
    port: int = 0, *, settings: SandboxSettings | None = None, now: Now | None = None
) -> AsyncIterator[RunningSandbox]:
    """Serve on the loopback within the running event loop; port 0 finds a free one."""
    app = create_sandbox(settings, now=now)
    listener = _listen(LOOPBACK, port)
    server = _Server(_config(app))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield RunningSandbox(_url(listener), _world(app))
    finally:
        server.stop()
        await serving
        _world(app).drop_tasks()


class _Server(uvicorn.Server):
    """Run without uvicorn's signal handlers, and stop at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopped = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to others: uvicorn raises them again at its end."""
        yield

    async def main_loop(self) -> None:
        """Wait for the end."""
        await self._stopped.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drop what is still open: an answer now would be a fault nobody scripted."""
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in self.server_state.tasks:
            task.cancel()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)

    def stop(self) -> None:
        """End the service; connections still open are dropped."""
        self._stopped.set()


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=WireProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        date_header=False,  # the simulator's own clock tells the time
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, since asyncio sets TCP_NODELAY only where it is, and
    # without it each answer waits some 40 ms for the caller's delayed ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Listening from here on: who connects now is answered as soon as it serves.
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _world(app: Starlette) -> Sandbox:
    sandbox: Sandbox = app.state.sandbox
    return sandbox
