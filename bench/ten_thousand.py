"""Ten thousand posts of ten thousand accounts, due in one second.

TikTok takes a minute to process each; two workers on one Postgres poll every 5 s.
"""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select

from app.container import Container
from app.domain.jobs.job import JobStatus
from app.store.jobs.tables import job_attempts, schedule_jobs
from bench.figures import Figure, at_most
from bench.seeds import add_accounts, add_jobs, bench_container
from bench.servers import (
    Seen,
    environment,
    fresh_database,
    instant_tiktok,
    postgres,
    program,
    until,
)

WORKERS: Final = 2
HEAD_START: Final = timedelta(seconds=8)
LONGEST_SECONDS: Final = 200.0


@dataclass(frozen=True, slots=True)
class Run:
    """What became of them."""

    posts: int
    due: datetime
    seen: Seen
    over_seconds: float  # from the due time to the end of the last one
    statuses: Counter[str]
    attempts: int  # rows of the ledger
    cpu_seconds: float  # of both workers


async def run(rounds: int, quick: bool) -> list[Figure]:  # noqa: ARG001  every bench takes it
    """Run it once: it takes two minutes."""
    posts, processing = (300, 6.0) if quick else (10_000, 60.0)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(postgres())
        url = await fresh_database(server)
        tiktok = await stack.enter_async_context(instant_tiktok(processing=processing))
        made = await stack.enter_async_context(bench_container(url, tiktok))
        await add_accounts(made, posts)
        due = made.clock.now() + HEAD_START
        await add_jobs(made, posts, due=due)
        env = environment(url, tiktok, max_in_flight=posts)
        pool = [
            await stack.enter_async_context(program("-m", "app", "worker", env=env))
            for _ in range(WORKERS)
        ]
        left = (due - made.clock.now()).total_seconds()
        await asyncio.sleep(max(left - 0.2, 0))  # started, and idle until it begins
        cpu = -sum(worker.cpu_seconds() for worker in pool)

        async def all_over() -> bool:
            found = await _statuses(made)
            return found[JobStatus.POSTED] + found[JobStatus.FAILED] == posts

        with suppress(TimeoutError):  # what is not over then is a figure, too
            await until(all_over, within=LONGEST_SECONDS, every=1)
        cpu += sum(worker.cpu_seconds() for worker in pool)
        return _figures(
            Run(
                posts=posts,
                due=due,
                seen=await tiktok.seen(),
                over_seconds=(made.clock.now() - due).total_seconds(),
                statuses=await _statuses(made),
                attempts=await _attempts(made),
                cpu_seconds=cpu,
            )
        )


def _figures(done: Run) -> list[Figure]:
    inits = sorted(done.seen.inits)
    last = inits[-1] - done.due.timestamp()
    posted = done.statuses[JobStatus.POSTED]
    again = done.attempts - done.posts
    gap = done.seen.longest_gap
    return [
        Figure("the last init arrives after", last, "s", at_most(40)),
        Figure("inits a second", len(inits) / last, "inits/s"),
        Figure("sent twice", len(inits) - done.posts, "posts", at_most(0)),
        Figure("attempted again", again, "posts", at_most(0)),
        Figure("not posted", done.posts - posted, "posts", at_most(0)),
        Figure("longest wait for the next poll", gap, "s", note="5 s are asked for"),
        Figure(
            "the last is posted after",
            done.over_seconds,
            "s",
            note="60 s of it TikTok's",
        ),
        Figure("calls", done.seen.requests / done.posts, "calls/post"),
        Figure("CPU of the workers", done.cpu_seconds / done.posts * 1e3, "ms/post"),
    ]


async def _statuses(made: Container) -> Counter[str]:
    statement = select(schedule_jobs.c.status, func.count()).group_by("status")
    async with made.database.read() as connection:
        return Counter(dict((await connection.execute(statement)).tuples().all()))


async def _attempts(made: Container) -> int:
    async with made.database.read() as connection:
        statement = select(func.count()).select_from(job_attempts)
        return (await connection.execute(statement)).scalar_one()
