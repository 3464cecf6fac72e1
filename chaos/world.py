"""What all cells share: a simulator, a starter of workers, databases, the gateway."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Lock
from typing import Final
from uuid import uuid4

import asyncpg
import uvicorn
from sqlalchemy import make_url
from starlette.types import ASGIApp, Receive, Scope, Send

from app.sandbox.server import RunningSandbox, running_sandbox
from app.sandbox.settings import SandboxSettings
from app.store.db.migrate import upgrade
from chaos import audit
from chaos.workers import WorkerStarter
from tests.support.databases import SqliteDatabases
from tests.support.postgres import PostgresServer

PATIENCE_SECONDS: Final = 300.0
PROCESSING_SECONDS: Final = 0.3
"""How long the simulated TikTok works on a video: a few polls."""


_one_at_a_time = Lock()  # Alembic keeps its context in the module


class Server:
    """A Postgres server that makes databases for cells."""

    def __init__(self) -> None:
        self._server = PostgresServer()
        self._has_template = False
        self._making = asyncio.Lock()
        self.turn = asyncio.Lock()  # held by the cell that breaks it

    async def create(self) -> str:
        """Return a fresh database's URL; the first one starts the server."""
        async with self._making:
            if not self._has_template:
                await self.start()
                # Unlike in tests, a commit has to outlive a crash.
                await self.execute("ALTER ROLE postgres SET synchronous_commit = on")
                await self.execute("CREATE DATABASE template")
                await asyncio.to_thread(_prepared, self._url("template"))
                self._has_template = True
            name = f"cell_{uuid4().hex}"
            await self.execute(f"CREATE DATABASE {name} TEMPLATE template")
            return self._url(name)

    async def execute(self, statement: str) -> None:
        """Run a statement as the server's owner."""
        dsn = make_url(self._server.url).set(drivername="postgresql")
        connection = await asyncpg.connect(dsn.render_as_string(hide_password=False))
        await connection.execute(statement)
        await connection.close()

    async def stop(self) -> None:
        """Stop as a crash would."""
        await asyncio.to_thread(self._server.stop_immediate)

    async def start(self) -> None:
        """Start, or start again with the same data on the same port."""
        await asyncio.to_thread(self._server.start)

    async def close(self) -> None:
        """Remove it with all its databases."""
        await asyncio.to_thread(self._server.close)

    def _url(self, name: str) -> str:
        url = make_url(self._server.url).set(database=name)
        return url.render_as_string(hide_password=False)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the chaos program."""
        yield


class Door:
    """One address for the media gateways of all cells, told apart by their path."""

    def __init__(self) -> None:
        self.apps: dict[str, ASGIApp] = {}
        self.url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the gateway that its path names."""
        _, name, rest = scope["path"].split("/", 2)
        await self.apps[name]({**scope, "path": f"/{rest}"}, receive, send)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen."""
        config = uvicorn.Config(self, port=0, lifespan="off", log_level="critical")
        server = _Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn tells no other way
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        try:
            yield
        finally:
            server.should_exit = server.force_exit = True
            await serving


@dataclass(slots=True)
class World:
    """The shared part of all cells."""

    directory: Path
    random: Random
    tiktok: RunningSandbox
    starter: WorkerStarter
    sqlite: SqliteDatabases
    server: Server = field(default_factory=Server)
    fragile: Server = field(default_factory=Server)
    door: Door = field(default_factory=Door)
    patience: float = PATIENCE_SECONDS  # how long a cell's jobs may take to end


@asynccontextmanager
async def new_world(directory: Path, *, seed: int) -> AsyncIterator[World]:
    """Start what cells share, and stop it at the end."""
    weather = SandboxSettings(
        min_chunk_bytes=1000,
        seed=seed,
        quotas=None,
        processing_seconds=PROCESSING_SECONDS,
    )
    async with AsyncExitStack() as stack:
        tiktok = await stack.enter_async_context(running_sandbox(settings=weather))
        starter = await stack.enter_async_context(WorkerStarter(directory).open())
        sqlite = SqliteDatabases(directory, upgrade=_prepared)
        world = World(directory, Random(seed), tiktok, starter, sqlite)
        stack.push_async_callback(world.server.close)
        stack.push_async_callback(world.fragile.close)
        await stack.enter_async_context(world.door.open())
        yield world


def _prepared(url: str) -> None:
    with _one_at_a_time:
        upgrade(url)
    audit.install(url)
