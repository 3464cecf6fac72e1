"""What it costs to push: CPU per gigabyte and per small post, and memory.

A real `worker` on Postgres between a local server and a local TikTok. The yardstick for
bytes is a bare loop that copies as many over two sockets through the same HTTP code;
for posts, the same worker pulling. What system calls alone would add to a pull is the
least that a small push can cost.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import update

from app.container import Container
from app.domain.jobs.job import JobStatus, Transfer
from app.store.jobs.tables import schedule_jobs
from bench.figures import Figure, at_most, median, ratio
from bench.seeds import add_accounts, add_jobs, bench_container, count_jobs
from bench.servers import (
    InstantTikTok,
    environment,
    fresh_database,
    postgres,
    program,
    until,
)

GIGABYTE: Final = 1_000_000_000
HEAD_START_SECONDS: Final = 8.0
LONGEST_SECONDS: Final = 240.0


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Push large and small videos, turn about with what they are held against."""
    large = GIGABYTE // 10 if quick else GIGABYTE
    small = 100 if quick else 2000
    files, each = (5, 20_000_000) if quick else (50, 200_000_000)
    pushed, copied = list[float](), list[float]()
    push, pull, least = list[float](), list[float](), list[float]()
    memory = list[float]()
    async with (
        postgres() as server,
        program("-m", "bench.bulk_tiktok", says=True) as bulk,
    ):
        tiktok = InstantTikTok(await bulk.first_line())
        for _ in range(rounds):
            cpu = await _worker(server, tiktok, 1, large, Transfer.PUSH)
            pushed.append(cpu * GIGABYTE / large)
            copied.append(await _bare(tiktok, large) * GIGABYTE / large)
            cpu = await _worker(server, tiktok, small, 1_000_000, Transfer.PUSH)
            push.append(1000 * cpu / small)
            cpu = await _worker(server, tiktok, small, 1_000_000, Transfer.PULL)
            pull.append(1000 * cpu / small)
            cpu = await _bare(tiktok, 1_000_000, times=small)
            least.append(pull[-1] + 1000 * cpu / small)
            grown = await _grown(server, tiktok, files, each)
            memory.append(grown / 1000 / files)
    note = f"{files} files of {each // 1_000_000} MB at once"
    return [
        median("CPU per GB pushed", pushed, "s"),
        median("CPU per GB, a bare loop over two sockets", copied, "s"),
        ratio("push to the bare loop", pushed, copied, bar=at_most(1.3)),
        median("CPU per push of 1 MB", push, "ms"),
        median("CPU per pull", pull, "ms"),
        ratio("push of 1 MB to pull", push, pull, bar=at_most(2)),
        ratio("pull and 1 MB by system calls alone, to pull", least, pull),
        median("memory per push", memory, "KB", bar=at_most(300), note=note),
    ]


async def _bare(tiktok: InstantTikTok, size: int, *, times: int = 0) -> float:
    loop = ["-m", "bench.copy_loop", tiktok.url, str(size)]
    if times:
        loop.append(str(times))
    async with program(*loop, says=True) as running:
        assert running.process.stdout is not None
        return float((await running.process.stdout.readline()).decode())


async def _worker(
    server: str, tiktok: InstantTikTok, posts: int, size: int, way: Transfer
) -> float:
    """Return a worker's CPU seconds for the posts."""
    url = await fresh_database(server)
    async with bench_container(url, tiktok) as made:
        await add_accounts(made, posts)
        seconds = HEAD_START_SECONDS + posts / 1000
        due = made.clock.now() + timedelta(seconds=seconds)
        await _add(made, tiktok, posts, size, way, due)
        async with program("-m", "app", "worker", env=_env(url, tiktok)) as worker:
            left = (due - made.clock.now()).total_seconds() - 0.5
            assert left > 0, "the machine is too busy to measure anything"
            await asyncio.sleep(left)
            began = worker.cpu_seconds()
            await until(_all_posted(made, posts), within=LONGEST_SECONDS)
            return worker.cpu_seconds() - began


async def _grown(server: str, tiktok: InstantTikTok, posts: int, size: int) -> float:
    """Return how many bytes an idle worker grows by that has pushed before."""
    url = await fresh_database(server)
    async with bench_container(url, tiktok) as made:
        await add_accounts(made, posts)
        await _add(made, tiktok, 1, 1_000_000, Transfer.PUSH, made.clock.now())
        async with program("-m", "app", "worker", env=_env(url, tiktok)) as worker:
            await until(_all_posted(made, 1), within=LONGEST_SECONDS)
            idle = most = worker.resident_bytes()
            await _add(made, tiktok, posts, size, Transfer.PUSH, made.clock.now())
            over = _all_posted(made, posts + 1)
            while not await over():
                most = max(most, worker.resident_bytes())
                await asyncio.sleep(0.1)
            return float(most - idle)


async def _add(
    made: Container,
    tiktok: InstantTikTok,
    posts: int,
    size: int,
    way: Transfer,
    due: datetime,
) -> None:
    later = max(due, made.clock.now()) + timedelta(hours=1)  # until all is written
    await add_jobs(made, posts, due=later)
    values = {
        "asset_url": f"{tiktok.url}/video/{size}",
        "transfer": way,
        "scheduled_for": due,
        "next_attempt_at": due,
    }
    added = schedule_jobs.c.scheduled_for == later
    async with made.database.write() as connection:
        await connection.execute(update(schedule_jobs).where(added).values(values))


def _all_posted(made: Container, posts: int) -> Callable[[], Awaitable[bool]]:
    async def are_posted() -> bool:
        return await count_jobs(made, JobStatus.POSTED) == posts

    return are_posted


def _env(url: str, tiktok: InstantTikTok) -> dict[str, str]:
    return environment(
        url, tiktok, max_in_flight=500, poll_interval_seconds=0.2, claim_batch_size=500
    )
