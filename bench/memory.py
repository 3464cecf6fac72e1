"""How much memory a process holds, idle and per post in flight."""

import asyncio
from typing import Final

from bench.figures import Figure, at_most, median
from bench.seeds import add_accounts, add_jobs, bench_container
from bench.servers import (
    InstantTikTok,
    environment,
    fresh_database,
    instant_tiktok,
    postgres,
    program,
    until,
)
from bench.start import first_answer, free_port

MEBI: Final = 2**20
SETTLED_SECONDS: Final = 2.0


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Look at `serve` and at a `worker` with so many posts in flight."""
    posts = 200 if quick else 5000
    serving, idle, each = list[float](), list[float](), list[float]()
    async with postgres() as server, instant_tiktok(processing=600) as tiktok:
        for _ in range(rounds):
            serving.append(await _serve(await fresh_database(server), tiktok))
            empty, full = await _worker(await fresh_database(server), tiktok, posts)
            idle.append(empty)
            each.append((full - empty) * 1024 / posts)
    note = f"a worker with {posts:,} posts in flight, less the same worker idle"
    return [
        median("`serve`, idle", serving, "MiB", bar=at_most(120), note="resident"),
        median("`worker`, idle", idle, "MiB", bar=at_most(120), note="resident"),
        median("per post in flight", each, "KiB", bar=at_most(40), note=note),
    ]


async def _serve(url: str, tiktok: InstantTikTok) -> float:
    port = free_port()
    serve = ("-m", "app", "serve", "--port", str(port))
    async with program(*serve, env=environment(url, tiktok)) as running:
        await first_answer(port, "/readyz")
        await asyncio.sleep(SETTLED_SECONDS)
        return running.resident_bytes() / MEBI


async def _worker(url: str, tiktok: InstantTikTok, posts: int) -> tuple[float, float]:
    before = len((await tiktok.seen()).inits)

    async def all_sent() -> bool:
        return len((await tiktok.seen()).inits) >= before + posts

    env = environment(url, tiktok, max_in_flight=posts)
    async with bench_container(url, tiktok) as made:
        await add_accounts(made, posts)
        async with program("-m", "app", "worker", env=env) as running:
            await asyncio.sleep(SETTLED_SECONDS + 3)
            idle = running.resident_bytes() / MEBI
            await add_jobs(made, posts, due=made.clock.now())
            await until(all_sent, within=80)
            await asyncio.sleep(SETTLED_SECONDS)
            return idle, running.resident_bytes() / MEBI
