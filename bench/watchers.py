"""Many clients that watch streams of changed jobs while the jobs change.

Five API processes with a thousand streams each, of five hundred projects, on one
Postgres, while two hundred jobs change a second: each change goes to ten streams.
"""

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle, islice
from typing import Final

import asyncpg

from app.service.keys import KeyService
from bench.figures import Figure, median
from bench.memory import MEBI, SETTLED_SECONDS
from bench.seeds import add_accounts, add_jobs, bench_container
from bench.servers import (
    Program,
    environment,
    execute,
    fresh_database,
    instant_tiktok,
    libpq_url,
    postgres,
    program,
)
from bench.start import first_answer, free_port

PROCESSES: Final = 5
STREAMS: Final = 5000
PROJECTS: Final = 500
KEYS: Final = 20
"""No key may have more than a hundred streams of a process."""

JOBS: Final = 10_000
CHANGES_PER_SECOND: Final = 200
WRITES_PER_SECOND: Final = 20
SECONDS: Final = 15.0
OPEN_SECONDS: Final = 240.0
_OLD: Final = "UPDATE schedule_jobs SET updated_at = updated_at - interval '1 hour'"


@dataclass(frozen=True, slots=True)
class Round:
    """What it took to tell all streams of the changes."""

    events: int
    cpu_us: float  # of all API processes, for each event that was sent
    kib: float  # for each stream
    half: float  # seconds from the write to the client
    most: float
    latest: float


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Watch, and let jobs change."""
    scale = 0.1 if quick else 1.0
    async with postgres() as server, instant_tiktok() as tiktok:
        done = []
        for _ in range(rounds):
            async with AsyncExitStack() as stack:
                url = await fresh_database(server)
                env = environment(url, tiktok, runner="cron")
                done.append(await _round(stack, url, env, scale))
    note = f"{STREAMS} streams of {PROJECTS} projects, {CHANGES_PER_SECOND} changes/s"
    return [
        median("CPU per event sent", [each.cpu_us for each in done], "µs", note=note),
        median("half of the events within", [each.half for each in done], "s"),
        median("99 % of the events within", [each.most for each in done], "s"),
        median("the latest event", [each.latest for each in done], "s"),
        median("memory per stream", [each.kib for each in done], "KiB"),
        median("events", [float(each.events) for each in done], "events"),
    ]


async def _round(
    stack: AsyncExitStack, url: str, env: dict[str, str], scale: float
) -> Round:
    processes = 1 if scale < 1 else PROCESSES
    streams, projects = int(STREAMS * scale), int(PROJECTS * scale)
    async with bench_container(url) as made:
        await add_accounts(made, projects)
        due = made.clock.now() + timedelta(days=1)
        await add_jobs(made, int(JOBS * scale), due=due, projects=projects)
        await execute(url, _OLD)
        service = KeyService(store=made.keys, clock=made.clock)
        keys = [(await service.create("bench", None))[1] for _ in range(KEYS)]
    ports = [free_port() for _ in range(processes)]
    servers = list[Program]()
    for port in ports:
        serve = ("-m", "app", "serve", "--port", str(port))
        servers.append(await stack.enter_async_context(program(*serve, env=env)))
        await first_answer(port, "/readyz")
    await asyncio.sleep(SETTLED_SECONDS)
    idle = sum(each.resident_bytes() for each in servers)
    listed = ",".join(map(str, ports)), ",".join(keys)
    watching = ("-m", "bench.watching", str(SECONDS), *listed)
    watcher = await stack.enter_async_context(
        program(*watching, str(streams), str(projects), says=True)
    )
    await asyncio.wait_for(_line(watcher), OPEN_SECONDS)
    before = sum(each.cpu_seconds() for each in servers)
    changing = asyncio.create_task(_change(url, scale))
    told = json.loads(await asyncio.wait_for(_line(watcher), 3 * SECONDS))
    cpu = sum(each.cpu_seconds() for each in servers) - before
    full = sum(each.resident_bytes() for each in servers)
    changing.cancel()
    return Round(
        events=told["events"],
        cpu_us=1e6 * cpu / told["events"],
        kib=(full - idle) / MEBI * 1024 / streams,
        half=told["half"],
        most=told["most"],
        latest=told["latest"],
    )


async def _line(watcher: Program) -> str:
    assert watcher.process.stdout is not None
    return (await watcher.process.stdout.readline()).decode()


async def _change(url: str, scale: float) -> None:
    """Write to jobs one after the other until it is cancelled."""
    connection = await asyncpg.connect(libpq_url(url))
    rows = await connection.fetch("SELECT id FROM schedule_jobs")
    ids = cycle(row["id"] for row in rows)
    at_once = max(1, int(CHANGES_PER_SECOND * scale / WRITES_PER_SECOND))
    while True:
        await connection.execute(
            "UPDATE schedule_jobs SET updated_at = clock_timestamp()"
            " WHERE id = ANY($1)",
            list(islice(ids, at_once)),
        )
        await asyncio.sleep(1 / WRITES_PER_SECOND)
