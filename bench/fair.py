"""Whether one account with thousands of due posts delays other accounts.

Some accounts with one post each, all due at the same moment as thousands of another
one, which stand before them in the table; and the same without the crowd.
"""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from app.domain.jobs.job import JobStatus
from app.store.db.migrate import upgrade
from bench.figures import Figure, at_most, median
from bench.seeds import add_accounts, add_jobs, bench_container, post
from bench.servers import (
    InstantTikTok,
    environment,
    fresh_database,
    instant_tiktok,
    postgres,
    program,
    until,
)

OTHERS: Final = 20
HEAD_START_SECONDS: Final = 8.0
LONGEST_SECONDS: Final = 60.0
WORKERS: Final = {"SQLite, 1 worker": 1, "Postgres, 1 worker": 1, "Postgres, 4": 4}


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Measure how late the latest of the others' inits is, turn about."""
    crowd = 500 if quick else 10_000
    late: dict[tuple[str, int], list[float]] = {}
    async with postgres() as server, instant_tiktok() as tiktok:
        for _ in range(rounds):
            for name, workers in WORKERS.items():
                for posts in (1, crowd):
                    with TemporaryDirectory() as directory:
                        url = await _database(name, server, Path(directory))
                        seconds = await _round(url, tiktok, workers, posts)
                    late.setdefault((name, posts), []).append(seconds)
    return [
        median(
            f"{name}, beside {posts}",
            seconds,
            "s",
            bar=None if posts == 1 else at_most(1.0),
            note=f"latest init of {OTHERS} accounts with one post each",
        )
        for (name, posts), seconds in late.items()
    ]


async def _database(name: str, server: str, directory: Path) -> str:
    if name.startswith("Postgres"):
        return await fresh_database(server)
    url = f"sqlite+aiosqlite:///{directory / 'bench.db'}"
    await asyncio.to_thread(upgrade, url)
    return url


async def _round(url: str, tiktok: InstantTikTok, workers: int, crowd: int) -> float:
    async with bench_container(url, tiktok) as made, AsyncExitStack() as stack:
        await add_accounts(made, OTHERS + 1)
        due = made.clock.now() + timedelta(seconds=HEAD_START_SECONDS)
        await add_jobs(made, crowd, due=due, projects=1)
        now = made.clock.now()
        others = [
            (await made.jobs.add(post(each, asset=0, due=due), now=now))[0]
            for each in range(1, OTHERS + 1)
        ]

        async def all_posted() -> bool:
            states = [(await made.jobs.get(job.id)).status for job in others]
            return all(state is JobStatus.POSTED for state in states)

        # A lone worker looks at each post once, a moment after its init.
        env = environment(url, tiktok, poll_interval_seconds=0.5)
        for _ in range(workers):
            await stack.enter_async_context(program("-m", "app", "worker", env=env))
        left = (due - made.clock.now()).total_seconds()
        await asyncio.sleep(max(left, 0))
        await until(all_posted, within=LONGEST_SECONDS)
        ended = [await made.jobs.get(job.id) for job in others]
    sent = [job.publish_started_at for job in ended if job.publish_started_at]
    return max((each - due).total_seconds() for each in sent)
