"""Whether anybody can delay other people's posts.

One process of 1,024 file descriptors serves the API and runs the jobs, while a crowd
does all that strangers and tenants may do to it: bench/crowd.py. A hundred posts of
other projects fall due together in the midst of it. And by itself: one key posts
thousands of times at once, and another project once.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from app.container import Container
from app.domain.jobs.job import Job, JobStatus
from app.service.keys import KeyService
from app.store.db.migrate import upgrade
from app.store.jobs.requests.listing import JobFilter
from bench.figures import Figure, at_least, at_most, median
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

DESCRIPTORS: Final = 1024
POSTS: Final = 100
DUE_AFTER: Final = timedelta(seconds=8)
PATIENCE_SECONDS: Final = 120.0
AT_THE_LIMIT: Final = 6000
"""Requests a minute and key: what RATE_LIMIT_PER_MINUTE is unless it is set."""

POSTS_OF_ONE_KEY: Final = 2400
AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Round:
    """What became of the posts."""

    posted: int
    attempts: int  # that were spent on failures
    latest: float  # seconds from the moment they were due to the last init
    beside: float  # seconds from a post's answer to its init, beside one key's crowd


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Do it on both databases."""
    figures = list[Figure]()
    for name in ("Postgres", "SQLite"):
        done = [await _round(name, 0.1 if quick else 1.0) for _ in range(rounds)]
        figures += [
            median(
                f"posts out of {POSTS} that went out, {name}",
                [float(each.posted) for each in done],
                "posts",
                bar=at_least(POSTS),
            ),
            median(
                f"attempts lost, {name}",
                [float(each.attempts) for each in done],
                "attempts",
                bar=at_most(0),
            ),
            median(
                f"the last init after its time, {name}",
                [each.latest for each in done],
                "s",
                bar=at_most(2),
            ),
            median(
                f"a Post Now beside {POSTS_OF_ONE_KEY} of another key, {name}",
                [each.beside for each in done],
                "s",
                bar=at_most(1),
                note="from its answer to its init",
            ),
        ]
    return figures


async def _round(name: str, scale: float) -> Round:
    async with _database(name) as url:
        posted, attempts, latest = await _beside_everybody(url, scale)
    async with _database(name) as url:
        beside = await _beside_one_key(url, int(POSTS_OF_ONE_KEY * scale))
    return Round(posted, attempts, latest, beside)


@asynccontextmanager
async def _database(kind: str) -> AsyncIterator[str]:
    if kind == "Postgres":
        async with postgres() as server:
            yield await fresh_database(server)
        return
    with TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder)}/bench.db"
        await asyncio.to_thread(upgrade, url)
        yield url


async def _beside_everybody(url: str, scale: float) -> tuple[int, int, float]:
    """Return the posts, the attempts lost, and how late the last init was."""
    async with AsyncExitStack() as stack:
        tiktok = await stack.enter_async_context(instant_tiktok())
        made = await stack.enter_async_context(bench_container(url, tiktok))
        await add_accounts(made, POSTS)
        keys = await _keys(made, "greedy", "lost")
        port = await _serve(stack, url, tiktok)
        crowd = ("-m", "bench.crowd", str(port), *keys, str(scale))
        came = await stack.enter_async_context(program(*crowd, says=True))
        await came.first_line()
        return await _posts(made, tiktok)


async def _keys(made: Container, *names: str) -> list[str]:
    keys = KeyService(store=made.keys, clock=made.clock)
    return [(await keys.create(name, None))[1] for name in names]


async def _serve(stack: AsyncExitStack, url: str, tiktok: InstantTikTok) -> int:
    """Start the service, with few descriptors; return its port."""
    port = free_port()
    serve = ("-m", "bench.limited", str(DESCRIPTORS), "serve", "--port", str(port))
    env = environment(url, tiktok, rate_limit_per_minute=AT_THE_LIMIT)
    await stack.enter_async_context(program(*serve, env=env, quiet=True))
    await first_answer(port, "/healthz")
    return port


async def _posts(made: Container, tiktok: InstantTikTok) -> tuple[int, int, float]:
    due = made.clock.now() + DUE_AFTER
    await add_jobs(made, POSTS, due=due)
    began = due.timestamp()
    with suppress(TimeoutError):
        await _inits(tiktok, POSTS)
    inits = (await tiktok.seen()).inits
    latest = max(inits) - began if len(inits) >= POSTS else time.time() - began
    jobs = await _over(made)
    posted = sum(job.status is JobStatus.POSTED for job in jobs)
    return posted, sum(job.attempts for job in jobs), latest


async def _inits(tiktok: InstantTikTok, number: int) -> float:
    """Wait for so many inits and return when the last of them came."""

    async def all_came() -> bool:
        return len((await tiktok.seen()).inits) >= number

    await until(all_came, within=PATIENCE_SECONDS)
    return (await tiktok.seen()).inits[number - 1]


async def _over(made: Container) -> list[Job]:
    found = list(await made.jobs.list(JobFilter(), limit=POSTS))

    async def all_over() -> bool:
        nonlocal found
        found = list(await made.jobs.list(JobFilter(), limit=POSTS))
        return all(job.status is JobStatus.POSTED for job in found)

    with suppress(TimeoutError):
        await until(all_over, within=PATIENCE_SECONDS)
    return found


async def _beside_one_key(url: str, crowd: int) -> float:
    """Post once while one key posts a crowd; return how late that one's init came."""
    async with AsyncExitStack() as stack:
        tiktok = await stack.enter_async_context(instant_tiktok())
        made = await stack.enter_async_context(bench_container(url, tiktok))
        await add_accounts(made, 2)
        greedy, other = [
            await stack.enter_async_context(_client(key))
            for key in await _keys(made, "greedy", "other")
        ]
        port = await _serve(stack, url, tiktok)
        place, numbers, half = f"http://127.0.0.1:{port}/v1/jobs", count(), crowd // 2
        is_half = asyncio.Event()

        async def post() -> None:
            while (number := next(numbers)) < crowd:
                await greedy.post(place, json=_body(0, number))
                if number >= half:
                    is_half.set()

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(post())
            await is_half.wait()  # the crowd has had all the inits of its minute
            before = len((await tiktok.seen()).inits)
            (await other.post(place, json=_body(1, 0))).raise_for_status()
            answered = time.time()
            came = await _inits(tiktok, before + 1)
        return came - answered


def _client(key: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(headers=headers, timeout=PATIENCE_SECONDS)


def _body(project: int, number: int) -> dict[str, object]:
    return {
        "projectId": f"proj_{project}",
        "assetId": f"asset_{number}",
        "assetUrl": "http://127.0.0.1/video.mp4",
        "post": {"mode": "direct", "title": "Now", "privacyLevel": "SELF_ONLY"},
    }
