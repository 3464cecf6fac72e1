"""What a whole attempt costs in CPU, beside a bare loop that makes the same requests.

A real `worker` on Postgres against an instant TikTok: claim, write-ahead, creator_info,
init, publish_id, one poll, finish with a row in the ledger. Postgres' own CPU is not
counted, nor is TikTok's.
"""

import asyncio
import resource
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from app.domain.jobs.job import JobStatus
from bench import peers
from bench.calls import CALLS
from bench.figures import Figure, at_most, median, ratio
from bench.http_cost import LABELS, measure
from bench.seeds import add_accounts, add_jobs, bench_container, count_jobs
from bench.servers import (
    InstantTikTok,
    environment,
    fresh_database,
    instant_tiktok,
    postgres,
    program,
    until,
)

MILLISECONDS: Final = "ms"
DELAY_SECONDS: Final = 0.2
POLL_SECONDS: Final = 0.2
HEAD_START_SECONDS: Final = 8.0
LONGEST_SECONDS: Final = 150.0
FEW, MANY = 50, 5000

BARE: Final = ("ours", "httpx_over_ours", "httpx_per_attempt", "aiohttp")
CHEAPEST: Final = "ours"
"""httpx's requests and answers without its client: nothing under its API is cheaper."""


@dataclass(slots=True)
class Spent:
    """Milliseconds of CPU per post, one figure per round."""

    attempt: list[float] = field(default_factory=list)
    bare: dict[str, list[float]] = field(default_factory=dict)
    few: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Post with a worker and call in bare loops, turn about."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    posts = 200 if quick else 2000
    spent = Spent()
    async with (
        postgres() as server,
        instant_tiktok() as at_once,
        instant_tiktok(delay=DELAY_SECONDS) as late,
    ):
        for _ in range(rounds):
            spent.attempt.append(await _worker(server, at_once, posts, posts // 4))
            await _bare(spent.bare, at_once, posts)
            if not quick:
                spent.few.append(await _worker(server, late, 800, FEW))
                spent.many.append(await _worker(server, late, MANY, MANY))
    return _figures(spent)


async def _bare(
    into: dict[str, list[float]], tiktok: InstantTikTok, posts: int
) -> None:
    for way in BARE:
        if way != "aiohttp" or peers.are_installed():
            found = await measure(way, tiktok, in_flight=posts // 4, attempts=posts)
            milliseconds = found["microseconds"] * len(CALLS) / 1000
            into.setdefault(way, []).append(milliseconds)


async def _worker(
    server: str, tiktok: InstantTikTok, posts: int, in_flight: int
) -> float:
    """Return the CPU that a worker takes for each of so many posts."""
    url = await fresh_database(server)
    env = environment(
        url,
        tiktok,
        max_in_flight=in_flight,
        claim_batch_size=min(in_flight, 500),
        poll_interval_seconds=POLL_SECONDS,
    )
    async with bench_container(url, tiktok) as made:

        async def all_posted() -> bool:
            return await count_jobs(made, JobStatus.POSTED) == posts

        await add_accounts(made, posts)
        # Time to write the jobs down and for the worker to start, which is not counted.
        seconds = HEAD_START_SECONDS + posts / 1000
        due = made.clock.now() + timedelta(seconds=seconds)
        await add_jobs(made, posts, due=due)
        async with program("-m", "app", "worker", env=env) as worker:
            left = (due - made.clock.now()).total_seconds() - 0.5
            assert left > 0, "the machine is too busy to measure anything"
            await asyncio.sleep(left)
            began = worker.cpu_seconds()
            await until(all_posted, within=LONGEST_SECONDS)
            return 1000 * (worker.cpu_seconds() - began) / posts


def _figures(spent: Spent) -> list[Figure]:
    figures = [median("CPU per post: a whole attempt", spent.attempt, MILLISECONDS)]
    for way, milliseconds in spent.bare.items():
        name = f"CPU per post: bare calls, {LABELS[way]}"
        figures.append(median(name, milliseconds, MILLISECONDS))
    for way, milliseconds in spent.bare.items():
        bar = at_most(1.3) if way == CHEAPEST else None
        name = f"attempt to bare calls, {LABELS[way]}"
        figures.append(ratio(name, spent.attempt, milliseconds, bar=bar))
    if spent.many:
        name = f"attempt, {MANY:,} in flight to {FEW}, answers after 200 ms"
        figures += [
            median(f"CPU per post, {FEW} in flight", spent.few, MILLISECONDS),
            median(f"CPU per post, {MANY:,} in flight", spent.many, MILLISECONDS),
            ratio(name, spent.many, spent.few, bar=at_most(1.15)),
        ]
    return figures
