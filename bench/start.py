"""How soon a cold process is ready: imports, and the first answer of /cron/tick."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from app.store.db.migrate import upgrade
from bench.figures import Figure, at_most, median, ratio
from bench.servers import ROOT, InstantTikTok, environment, instant_tiktok, program

LIBRARIES: Final = "import fastapi, sqlalchemy.ext.asyncio, httpx"
APP: Final = "from app.main import create_app; from app.settings import load"
CREATED: Final = f"{APP}; create_app(load(_env_file=None))"
_TIMED: Final = """
import time
began = time.perf_counter()
{}
print(time.perf_counter() - began)
"""
_REQUEST: Final = (
    "GET {} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer bench\r\n\r\n"
)


async def run(rounds: int, quick: bool) -> list[Figure]:  # noqa: ARG001  every bench takes it
    """Start processes turn about; the first of each kind only warms the disk up."""
    # Installed code comes with its bytecode; that of this tree the first round writes.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    each: list[tuple[float, float, float]] = []
    async with instant_tiktok() as tiktok:
        for _ in range(rounds + 1):
            imported = await asyncio.to_thread(_seconds, LIBRARIES)
            created = await asyncio.to_thread(_seconds, CREATED)
            each.append((imported, created, await _first_tick(tiktok)))
    libraries, app, ticks = zip(*each[1:], strict=True)
    return [
        median("the libraries alone", libraries, "s", note=LIBRARIES),
        median("the app, created", app, "s", bar=at_most(0.7)),
        ratio("the app to the libraries", app, libraries, bar=at_most(1.3)),
        median(
            "`serve` to the first /cron/tick answered", ticks, "s", bar=at_most(1.0)
        ),
    ]


def _seconds(code: str) -> float:
    """Run code in a new process and return how long it took there."""
    command = [sys.executable, "-c", _TIMED.format(code)]
    said = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return float(said.stdout)


async def _first_tick(tiktok: InstantTikTok) -> float:
    """Start `serve` on a migrated SQLite file; time the first tick from the spawn."""
    with TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'scheduler.db'}"
        await asyncio.to_thread(upgrade, url)
        port = free_port()
        command = ("-m", "app", "serve", "--port", str(port))
        began = time.perf_counter()
        async with program(*command, env=environment(url, tiktok, runner="cron")):
            answer = await first_answer(port, "/cron/tick")
            seconds = time.perf_counter() - began
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return seconds


async def first_answer(port: int, path: str) -> bytes:
    """Connect until the server accepts, and return the head of its answer."""
    async with asyncio.timeout(60):
        reader, writer = await _opened(port)
        writer.write(_REQUEST.format(path).encode())
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head


async def _opened(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.005)


def free_port() -> int:
    """Find a port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
