"""The same posts published by a job queue plus an HTTP client, and by the service.

This is what a team would build instead: PgQueuer or Procrastinate with httpx or
aiohttp, as their documentation has it, on a table of its own (bench/peers/publish.py).
All make creator_info, init and one status call per post, each step committed before the
next, on one Postgres with its default configuration and against an instant TikTok. Ours
writes a ledger, keeps quotas and decrypts tokens besides.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg

from bench.figures import Figure, at_least, at_most, median, ratio
from bench.peers import are_installed, run_peer
from bench.posting_worker import posting_worker
from bench.servers import (
    InstantTikTok,
    fresh_database,
    instant_tiktok,
    libpq_url,
    postgres,
)

POSTS: Final = 2000
IN_FLIGHT: Final = (50, 1000)
POLL_SECONDS: Final = 0.001
"""How soon ours polls: at once, as the others do."""

HEAD_START_SECONDS: Final = 8.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")

PEERS: Final = (
    ("PgQueuer + httpx", "race_pgqueuer.py", "httpx"),
    ("PgQueuer + aiohttp", "race_pgqueuer.py", "aiohttp"),
    ("Procrastinate + httpx", "race_procrastinate.py", "httpx"),
)


@dataclass(slots=True)
class Laps:
    """What each round took; CPU in milliseconds a post, memory in MiB."""

    rate: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    postgres: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def add(self, posts: int, *, seconds: float, cpu: float, server: float) -> None:
        """Note one round."""
        self.rate.append(posts / seconds)
        self.cpu.append(1000 * cpu / posts)
        self.postgres.append(1000 * server / posts)


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Let all of them publish the same number of posts, turn about."""
    posts = 200 if quick else POSTS
    figures: list[Figure] = []
    async with postgres() as server, instant_tiktok() as tiktok:
        for in_flight in IN_FLIGHT[:1] if quick else IN_FLIGHT:
            ours, theirs = Laps(), {name: Laps() for name, _, _ in PEERS}
            for _ in range(rounds):
                await _ours(ours, server, tiktok, posts, in_flight)
                for name, module, client in PEERS if are_installed() else ():
                    how = (module, client)
                    await _peer(theirs[name], how, server, tiktok, posts, in_flight)
            figures += _figures(in_flight, ours, theirs)
    return figures


async def _ours(
    laps: Laps, server: str, tiktok: InstantTikTok, posts: int, in_flight: int
) -> None:
    url = await fresh_database(server)
    async with posting_worker(
        url,
        tiktok,
        posts,
        in_flight=in_flight,
        poll_seconds=POLL_SECONDS,
        head_start=HEAD_START_SECONDS,
    ) as worker:
        cpu, before = worker.program.cpu_seconds(), await postgres_cpu(server)
        await worker.all_posted(every=0.1)
        cpu = worker.program.cpu_seconds() - cpu
        spent = await postgres_cpu(server) - before
        laps.memory.append(worker.program.resident_bytes() / 2**20)
    seconds = await _took(url)
    laps.add(posts, seconds=seconds, cpu=cpu, server=spent)


async def _took(url: str) -> float:
    """Return the seconds from the due time to the last post's end."""
    connection = await asyncpg.connect(libpq_url(url))
    try:
        seconds = await connection.fetchval(
            "SELECT extract(epoch FROM max(posted_at) - min(scheduled_for))"
            " FROM schedule_jobs"
        )
        return float(seconds)
    finally:
        await connection.close()


async def _peer(
    laps: Laps,
    how: tuple[str, str],
    server: str,
    tiktok: InstantTikTok,
    posts: int,
    in_flight: int,
) -> None:
    module, client = how
    url = libpq_url(await fresh_database(server, migrated=False))
    before = await postgres_cpu(server)
    said = await run_peer(module, url, tiktok.url, posts, in_flight, client)
    found = json.loads(said.splitlines()[-1])
    # Setting up the queue is part of it: some hundredths of a second.
    spent = await postgres_cpu(server) - before
    laps.memory.append(found["resident_kib"] / 1024)
    laps.add(posts, seconds=found["seconds"], cpu=found["cpu"], server=spent)


async def postgres_cpu(url: str) -> float:
    """Return the CPU seconds that a server on this machine used so far. Linux alone."""
    connection = await asyncpg.connect(libpq_url(url))
    try:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
        postmaster = int(_stat(pid)[1])
        own = sum(int(each) for each in _stat(postmaster)[11:15])  # with the ended
        return (own + sum(_children_ticks(postmaster))) / _TICKS
    finally:
        await connection.close()


def _children_ticks(postmaster: int) -> Iterator[int]:
    tasks = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for child in tasks:
        fields = _stat(int(child))
        yield int(fields[11]) + int(fields[12])


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _figures(in_flight: int, ours: Laps, theirs: dict[str, Laps]) -> Iterator[Figure]:
    where = f"{in_flight} in flight"
    rivals = {name: laps for name, laps in theirs.items() if laps.rate}
    for name, laps in {"ours": ours, **rivals}.items():
        yield median(f"{name}, {where}", laps.rate, "posts/s")
        yield median(f"{name}, {where}: CPU", laps.cpu, "ms/post")
        yield median(f"{name}, {where}: Postgres' CPU", laps.postgres, "ms/post")
        yield median(f"{name}, {where}: memory", laps.memory, "MiB")
    if not rivals:
        return
    fastest = [
        max(each) for each in zip(*(p.rate for p in rivals.values()), strict=True)
    ]
    least = [min(each) for each in zip(*(p.cpu for p in rivals.values()), strict=True)]
    yield ratio(
        f"posts a second to the best of them, {where}",
        ours.rate,
        fastest,
        bar=at_least(2),
    )
    yield ratio(
        f"CPU per post to the least of them, {where}", ours.cpu, least, bar=at_most(0.5)
    )
