"""A real `worker` on Postgres with posts that fall due a moment after its start.

Storing the posts and starting the worker end before that, and are not measured.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from app.container import Container
from app.domain.jobs.job import JobStatus
from bench.seeds import add_accounts, add_jobs, bench_container, count_jobs
from bench.servers import InstantTikTok, Program, environment, program, until

LONGEST_SECONDS: Final = 150.0


@dataclass(frozen=True, slots=True)
class PostingWorker:
    """A worker, and the posts that it has to make."""

    program: Program
    container: Container
    posts: int

    async def all_posted(self, *, every: float) -> None:
        """Wait until every post is out."""
        await until(self._all_posted, within=LONGEST_SECONDS, every=every)

    async def _all_posted(self) -> bool:
        return await count_jobs(self.container, JobStatus.POSTED) == self.posts


@asynccontextmanager
async def posting_worker(
    url: str,
    tiktok: InstantTikTok,
    posts: int,
    *,
    in_flight: int,
    poll_seconds: float,
    head_start: float,
) -> AsyncIterator[PostingWorker]:
    """Start a worker; hand it over shortly before its posts are due."""
    env = environment(
        url,
        tiktok,
        max_in_flight=in_flight,
        claim_batch_size=min(in_flight, 500),
        poll_interval_seconds=poll_seconds,
    )
    async with bench_container(url, tiktok) as made:
        await add_accounts(made, posts)
        due = made.clock.now() + timedelta(seconds=head_start)
        await add_jobs(made, posts, due=due)
        async with program("-m", "app", "worker", env=env) as worker:
            left = (due - made.clock.now()).total_seconds() - 0.1
            if left < 0:
                raise RuntimeError("the machine is too busy to measure anything")
            await asyncio.sleep(left)
            yield PostingWorker(worker, made, posts)
