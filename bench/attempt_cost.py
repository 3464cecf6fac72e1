"""The CPU of a whole attempt, compared with a bare loop of the same requests.

A real `worker` on Postgres against an instant TikTok: claim, write-ahead, creator_info,
init, publish_id, one poll, finish with a row in the ledger. Postgres' own CPU is not
counted, nor is TikTok's. With `BENCH_BEFORE=FOLDER` the worker of an earlier checkout
posts in the same rounds, on a database of its own.
"""

import asyncio
import os
import resource
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import peers
from bench.calls import CALLS
from bench.figures import Figure, at_most, median, ratio
from bench.http_cost import LABELS, measure
from bench.posting_worker import posting_worker
from bench.servers import InstantTikTok, fresh_database, instant_tiktok, postgres

BEFORE: Final = os.environ.get("BENCH_BEFORE")
MILLISECONDS: Final = "ms"
DELAY_SECONDS: Final = 0.2
POLL_SECONDS: Final = 0.2
HEAD_START_SECONDS: Final = 8.0
FEW, MANY = 50, 5000

BARE: Final = ("ours", "httpx_over_ours", "httpx_per_attempt", "aiohttp")
TO_BEFORE: Final = "attempt to the checkout before"
CHEAPEST: Final = "ours"
"""httpx's requests and answers without its client: nothing under its API is cheaper."""


_BEFORE: Final = """
import asyncio
from bench.attempt_cost import _worker
from bench.servers import instant_tiktok, postgres

async def main():
    async with postgres() as server, instant_tiktok() as tiktok:
        print(await _worker(server, tiktok, {posts}, {in_flight}))

asyncio.run(main())
"""


@dataclass(slots=True)
class Spent:
    """Milliseconds of CPU per post, one figure per round."""

    attempt: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)
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
            if BEFORE is not None:
                spent.before.append(await _before(BEFORE, posts, posts // 4))
            await _bare(spent.bare, at_once, posts)
            if not quick:
                spent.few.append(await _worker(server, late, 800, FEW))
                spent.many.append(await _worker(server, late, MANY, MANY))
    return _figures(spent)


async def _before(checkout: str, posts: int, in_flight: int) -> float:
    """Let an earlier checkout measure its own worker."""
    python = Path(checkout) / ".venv" / "bin" / "python"
    code = _BEFORE.format(posts=posts, in_flight=in_flight)
    process = await asyncio.create_subprocess_exec(
        python, "-c", code, cwd=checkout, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return float(said)


async def _bare(
    into: dict[str, list[float]], tiktok: InstantTikTok, posts: int
) -> None:
    for way in BARE:
        if way != "aiohttp" or peers.are_installed():
            found = await measure(way, tiktok, in_flight=posts // 4, attempts=posts)
            milliseconds = found["microseconds"] * len(CALLS) / 1000
            into.setdefault(way, []).append(milliseconds)


async def _worker(
    server: str,
    tiktok: InstantTikTok,
    posts: int,
    in_flight: int,
) -> float:
    """Return the CPU that a worker takes for each of so many posts."""
    async with posting_worker(
        await fresh_database(server),
        tiktok,
        posts,
        in_flight=in_flight,
        poll_seconds=POLL_SECONDS,
        head_start=HEAD_START_SECONDS + posts / 1000,
    ) as worker:
        began = worker.program.cpu_seconds()
        await worker.all_posted(every=0.2)
        return 1000 * (worker.program.cpu_seconds() - began) / posts


def _figures(spent: Spent) -> list[Figure]:
    figures = [median("CPU per post: a whole attempt", spent.attempt, MILLISECONDS)]
    if spent.before:
        figures += [
            median("CPU per post: the checkout before", spent.before, MILLISECONDS),
            ratio(TO_BEFORE, spent.attempt, spent.before, bar=at_most(0.75)),
        ]
    for way, milliseconds in spent.bare.items():
        name = f"CPU per post: bare calls, {LABELS[way]}"
        figures.append(median(name, milliseconds, MILLISECONDS))
    for way, milliseconds in spent.bare.items():
        bar, note = (at_most(2.0), "goal 1.3") if way == CHEAPEST else (None, "")
        name = f"attempt to bare calls, {LABELS[way]}"
        figures.append(ratio(name, spent.attempt, milliseconds, bar=bar, note=note))
    if spent.many:
        name = f"attempt, {MANY:,} in flight to {FEW}, answers after 200 ms"
        figures += [
            median(f"CPU per post, {FEW} in flight", spent.few, MILLISECONDS),
            median(f"CPU per post, {MANY:,} in flight", spent.many, MILLISECONDS),
            ratio(name, spent.many, spent.few, bar=at_most(1.15)),
        ]
    return figures
