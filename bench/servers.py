"""What benchmarks run against: Postgres as it comes, TikTok at no cost, our programs.

Each lives in a process of its own and on loopback, and ends with its `with` block.
"""

import asyncio
import json
import os
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.request import urlopen
from uuid import uuid4

import asyncpg
from sqlalchemy import make_url

from app.store.db.migrate import upgrade
from tests.support.postgres import PostgresServer

ROOT: Final = Path(__file__).parents[1]
KEY: Final = "A" * 43 + "="
"""Encrypts the tokens of made-up accounts."""

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 30.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def postgres() -> AsyncIterator[str]:
    """Start a Postgres with its default configuration, fsync and all.

    Yields the URL of its maintenance database; `fresh_database` makes others.
    """
    server = PostgresServer(flags=())
    await asyncio.to_thread(server.start)
    try:
        yield server.url
    finally:
        await asyncio.to_thread(server.close)


async def fresh_database(server_url: str, *, migrated: bool = True) -> str:
    """Make a database of its own and return its URL."""
    name = f"bench_{uuid4().hex}"
    await execute(server_url, f"CREATE DATABASE {name}")
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    if migrated:
        await asyncio.to_thread(upgrade, url)
    return url


def sessions_ran() -> dict[int, int]:
    """Return the nanoseconds that each session of ours with Postgres has run by now.

    Linux alone tells, and only once a session has nothing to do.
    """
    found = dict[int, int]()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if b" bench_" in (process / "cmdline").read_bytes():
                ran = (process / "schedstat").read_text().split()[0]
                found[int(process.name)] = int(ran)
    return found


async def execute(url: str, statement: str) -> None:
    """Run one statement on a connection of its own."""
    connection = await asyncpg.connect(libpq_url(url))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    """Run one query on a connection of its own."""
    connection = await asyncpg.connect(libpq_url(url))
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


def libpq_url(url: str) -> str:
    """Spell SQLAlchemy's URL the way drivers want it."""
    plain = make_url(url).set(drivername="postgresql")
    return plain.render_as_string(hide_password=False)


@dataclass(frozen=True, slots=True)
class Seen:
    """What has arrived at the instant TikTok."""

    requests: int
    connections: int
    inits: tuple[float, ...]  # time.time() of each
    longest_gap: float  # seconds that a publish was not asked about
    cpu: float  # seconds it has used itself


@dataclass(frozen=True, slots=True)
class InstantTikTok:
    """A TikTok that answers at once or after a constant delay."""

    url: str

    async def seen(self) -> Seen:
        """Ask what has arrived."""
        found = json.loads(await asyncio.to_thread(self._seen))
        return Seen(**{**found, "inits": tuple(found["inits"])})

    def _seen(self) -> bytes:
        with urlopen(f"{self.url}/_seen") as answer:
            content: bytes = answer.read()
            return content


@asynccontextmanager
async def instant_tiktok(
    *, delay: float = 0.0, processing: float = 0.0
) -> AsyncIterator[InstantTikTok]:
    """Start a TikTok that answers after ``delay`` and publishes after ``processing``.

    Both in seconds.
    """
    module = ("-m", "bench.instant_tiktok")
    options = ("--delay", str(delay), "--processing", str(processing))
    async with program(*module, *options, says=True) as running:
        yield InstantTikTok(await running.first_line())


@dataclass(frozen=True, slots=True)
class Program:
    """One running Python process."""

    process: asyncio.subprocess.Process

    async def first_line(self) -> str:
        """Return the first line that it prints; raises TimeoutError."""
        assert self.process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            return (await self.process.stdout.readline()).decode().strip()

    def cpu_seconds(self) -> float:
        """Return the CPU it has used so far, in the kernel too. Linux alone tells."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_bytes(self) -> int:
        """Return the memory it holds. Linux alone tells."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()


@asynccontextmanager
async def program(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    says: bool = False,
    quiet: bool = False,
) -> AsyncIterator[Program]:
    """Run this Python with such arguments, away from any .env; SIGTERM ends it.

    One that ``says`` something is read; the log of a ``quiet`` one goes nowhere.
    """
    nowhere = asyncio.subprocess.DEVNULL
    with TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            stdout=asyncio.subprocess.PIPE if says else nowhere,
            stderr=nowhere if quiet else None,
        )
        try:
            yield Program(process)
        finally:
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def until(
    is_so: Callable[[], Awaitable[bool]], *, within: float, every: float = 0.2
) -> None:
    """Wait for what only another process knows; raises TimeoutError. In seconds."""
    async with asyncio.timeout(within):
        while not await is_so():  # noqa: ASYNC110  another process
            await asyncio.sleep(every)


def environment(
    database_url: str, tiktok: InstantTikTok, **settings: object
) -> dict[str, str]:
    """Write down the settings of one of our programs."""
    chosen: dict[str, object] = {
        "database_url": database_url,
        "tiktok_api_base_url": tiktok.url,
        "tiktok_client_key": "bench",
        "tiktok_client_secret": "bench",
        "token_encryption_keys": KEY,
        "allow_private_urls": True,
        "cron_secret": "bench",
        "log_level": "warning",
        "rate_limit_per_minute": 0,  # one key asks as much as it can
        **settings,
    }
    return {name.upper(): str(value) for name, value in chosen.items()}
