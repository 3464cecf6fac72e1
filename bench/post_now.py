"""How soon a Post Now reaches TikTok: from the API's answer to the init's arrival.

The API runs no jobs, an idle worker of its own process does: the hint crosses Postgres.
Between hint and init the worker claims, reads the account, takes its place in the
quota, asks creator_info and writes ahead. The same round trip of a bare NOTIFY is
measured beside it, and so is an idle worker.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

import asyncpg
import httpx

from app.service.keys import KeyService
from bench.figures import Figure, at_most, median, ratio
from bench.seeds import add_accounts, bench_container
from bench.servers import (
    InstantTikTok,
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

POSTS: Final = 300  # in a round
APART_SECONDS: Final = (0.1, 0.3)
"""At random: at equal steps the poll of an earlier post, five seconds after it, would
meet each new one or none, by how long a POST takes."""

IDLE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """An API and a worker on one database, each a process."""

    url: str
    api: httpx.AsyncClient
    worker: Program
    tiktok: InstantTikTok


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Make Post Nows one after the other; leave the worker idle between rounds."""
    posts, idle = (20, 2.0) if quick else (POSTS, IDLE_SECONDS)
    p50, p99, bare, cpu = (list[float]() for _ in range(4))
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(postgres())
        place = await stack.enter_async_context(_place(server, (rounds + 1) * posts))
        await _post_all(place, range(posts))  # warms up
        for number in range(1, rounds + 1):
            late = await _post_all(place, range(number * posts, (number + 1) * posts))
            p50.append(statistics.median(late))
            p99.append(statistics.quantiles(late, n=100, method="inclusive")[-1])
            bare.append(await _bare(place.url, posts))
            cpu.append(await _idle_cpu(place, idle))
    return [
        median("answer to init, half of them within", p50, "ms", bar=at_most(6)),
        median("answer to init, 99 % of them within", p99, "ms", bar=at_most(15)),
        median("a bare NOTIFY to its listener", bare, "ms"),
        ratio("to the bare NOTIFY", p50, bare),
        median("CPU of the idle worker", cpu, "%", note="of one core"),
    ]


@asynccontextmanager
async def _place(server: str, accounts: int) -> AsyncIterator[Place]:
    url = await fresh_database(server)
    async with AsyncExitStack() as stack:
        tiktok = await stack.enter_async_context(instant_tiktok())
        async with bench_container(url, tiktok) as made:
            await add_accounts(made, accounts)
            keys = KeyService(store=made.keys, clock=made.clock)
            _, key = await keys.create("bench", None)
        await execute(url, "VACUUM ANALYZE")
        port = free_port()
        env = environment(url, tiktok, runner="cron")
        serve = ("-m", "app", "serve", "--port", str(port))
        await stack.enter_async_context(program(*serve, env=env, quiet=True))
        work = program("-m", "app", "worker", env=env, quiet=True)
        worker = await stack.enter_async_context(work)
        api = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {key}"},
            )
        )
        await first_answer(port, "/healthz")
        yield Place(url, api, worker, tiktok)


async def _post_all(place: Place, projects: range) -> list[float]:
    """Return how many milliseconds after its answer each init arrived."""
    before = len((await place.tiktok.seen()).inits)
    answered, random = [], Random(projects.start)
    for project in projects:
        answer = await place.api.post("/v1/jobs", json=_body(project))
        answered.append(time.time())
        answer.raise_for_status()
        await asyncio.sleep(random.uniform(*APART_SECONDS))
    await asyncio.sleep(1.0)  # by then the last init is there, too
    inits = (await place.tiktok.seen()).inits[before:]
    pairs = zip(answered, inits, strict=True)
    return [1000 * (init - answer) for answer, init in pairs]


def _body(project: int) -> dict[str, object]:
    return {
        "projectId": f"proj_{project}",
        "assetId": f"asset_{project}",
        "assetUrl": "http://127.0.0.1/video.mp4",
        "post": {"mode": "direct", "title": "Now", "privacyLevel": "SELF_ONLY"},
    }


async def _bare(url: str, count: int) -> float:
    """Return the milliseconds from a NOTIFY's answer to its listener: the median."""
    came = asyncio.Event()
    late = []
    listener = await asyncpg.connect(libpq_url(url))
    sender = await asyncpg.connect(libpq_url(url))
    await listener.add_listener("bench", lambda *_: came.set())
    for _ in range(count):
        came.clear()
        began = time.perf_counter()
        await sender.execute("NOTIFY bench")
        await came.wait()
        late.append(1000 * (time.perf_counter() - began))
    await listener.close()
    await sender.close()
    return statistics.median(late)


async def _idle_cpu(place: Place, seconds: float) -> float:
    await asyncio.sleep(6.0)  # the last posts are polled once
    before = place.worker.cpu_seconds()
    await asyncio.sleep(seconds)
    return 100 * (place.worker.cpu_seconds() - before) / seconds
