"""How many posts several workers make on one Postgres, and the CPU of one post.

Real `worker` processes against an instant TikTok: each post is claimed, written ahead,
asked about, sent, polled once and finished with its row in the ledger.
"""

import asyncio
import os
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.domain.jobs.job import JobStatus
from bench.figures import TIMES, Figure, median
from bench.seeds import add_accounts, add_jobs, bench_container, count_jobs
from bench.servers import (
    InstantTikTok,
    Program,
    environment,
    fresh_database,
    instant_tiktok,
    postgres,
    program,
    until,
)

COUNTS: Final = (1, 2, 4, 8)
TIKTOKS_OWN: Final = 400
"""Posts a second that TikTok as a whole takes in, roughly."""

HEAD_START_SECONDS: Final = 6.0
LONGEST_SECONDS: Final = 90.0


@dataclass(frozen=True, slots=True)
class Round:
    """What so many workers did together."""

    workers: int
    per_second: float
    cpu_ms: float  # of the workers, per post


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Let 1, 2, 4 and 8 workers post the same number of posts, turn about."""
    posts = 200 if quick else 2000
    counts = COUNTS[:2] if quick else COUNTS
    done: list[Round] = []
    async with postgres() as server, instant_tiktok() as tiktok:
        for _ in range(rounds):
            for workers in counts:
                url = await fresh_database(server)
                done.append(await _round(url, tiktok, workers, posts))
    return _figures(done, counts)


def _figures(done: list[Round], counts: tuple[int, ...]) -> list[Figure]:
    made = []
    for count in counts:
        own = [each for each in done if each.workers == count]
        plural = "worker" if count == 1 else "workers"
        rates = [each.per_second for each in own]
        made.append(median(f"{count} {plural}", rates, "posts/s"))
        cpu = [each.cpu_ms for each in own]
        made.append(median(f"CPU, {count} {plural}", cpu, "ms/post"))
    one, two = made[0], made[2]
    cores = TIKTOKS_OWN * made[1].value / 1000
    note = f"workers alone, without Postgres; {os.cpu_count()} cores here"
    return [
        *made,
        Figure("two workers to one", two.value / one.value, TIMES, note=note),
        Figure(f"cores for {TIKTOKS_OWN} posts a second", cores, "cores", note=note),
    ]


async def _round(url: str, tiktok: InstantTikTok, workers: int, posts: int) -> Round:
    async with bench_container(url, tiktok) as made, AsyncExitStack() as stack:

        async def all_posted() -> bool:
            return await count_jobs(made, JobStatus.POSTED) == posts

        await add_accounts(made, posts)
        due = made.clock.now() + timedelta(seconds=HEAD_START_SECONDS)
        await add_jobs(made, posts, due=due)
        # A post waits for its poll that long: with 5 s the waiting would be measured.
        env = environment(url, tiktok, poll_interval_seconds=0.1, max_in_flight=200)
        pool = [
            await stack.enter_async_context(program("-m", "app", "worker", env=env))
            for _ in range(workers)
        ]
        left = (due - made.clock.now()).total_seconds()
        await asyncio.sleep(max(left - 0.2, 0))  # started, and idle until it begins
        before = _cpu(pool)
        began = time.monotonic() + max((due - made.clock.now()).total_seconds(), 0)
        await until(all_posted, within=LONGEST_SECONDS)
        took = time.monotonic() - began
        return Round(workers, posts / took, (_cpu(pool) - before) / posts * 1e3)


def _cpu(pool: list[Program]) -> float:
    return sum(worker.cpu_seconds() for worker in pool)
