"""What one call to TikTok costs in CPU, in which way, with how many in flight."""

import asyncio
import json
import resource
import sys
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import structs

from bench import peers
from bench.calls import CALLS
from bench.figures import Figure, at_most, median, ratio
from bench.servers import ROOT, InstantTikTok, instant_tiktok

MICROSECONDS = "µs"
DELAY_SECONDS = 0.2
SIZES = (1, 100, 1000, 5000)
ROUNDS = 2
"""Attempts one after the other, at each size: so many share a new connection."""

LEAST = 200  # attempts
FLAT = 1.25
"""What a call may cost at 5,000 in flight, where it takes 1 at 100."""

MOST = {("httpx_per_attempt", 100): 0.102, ("aiohttp", 100): 0.963}
"""1.05 times the ratios of 2026-11-23, before the release of strangers' limits."""

# The other combinations would take minutes and show the same.
WAYS = {
    "ours": SIZES,
    "httpx_over_ours": (1, 100, 1000),
    "httpcore": (1, 100, 1000),
    "httpx_per_attempt": (1, 100, 1000),
    "httpx_one": (1, 100),
    "aiohttp": SIZES,
}
LABELS = {
    "ours": "the service's own transport",
    "httpx_over_ours": "httpx's client over that transport",
    "httpcore": "httpcore's connection, no pool",
    "httpx_per_attempt": "an httpx client per attempt",
    "httpx_one": "one httpx client",
    "aiohttp": "one aiohttp client",
}


@dataclass(slots=True)
class Spent:
    """One figure per round."""

    microseconds: list[float] = field(default_factory=list)
    kilobytes: list[float] = field(default_factory=list)


Measured = dict[tuple[str, int], Spent]


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Make the same three calls in every way, turn about."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    measured: Measured = {}
    async with instant_tiktok() as at_once, instant_tiktok(delay=DELAY_SECONDS) as late:
        for _ in range(rounds):
            for way, in_flight in _plan(quick=quick):
                tiktok = at_once if in_flight == 1 else late
                attempts = max(LEAST, in_flight * ROUNDS)
                found = await measure(
                    way, tiktok, in_flight=in_flight, attempts=attempts
                )
                spent = measured.setdefault((way, in_flight), Spent())
                spent.microseconds.append(found["microseconds"])
                spent.kilobytes.append(found.get("kilobytes", 0.0))
    return [*_costs(measured), *_ratios(measured, quick=quick)]


def _plan(*, quick: bool) -> list[tuple[str, int]]:
    sizes = SIZES[:2] if quick else SIZES
    there = [way for way in WAYS if way != "aiohttp" or peers.are_installed()]
    return [(way, size) for size in sizes for way in there if size in WAYS[way]]


async def measure(
    way: str, tiktok: InstantTikTok, *, in_flight: int, attempts: int
) -> dict[str, float]:
    """Run it in a process of its own, on the loop that the worker runs on."""
    size = (str(in_flight), str(attempts))
    program = [sys.executable, "-m", "bench.calls", way]
    if way == "aiohttp":
        program = [str(peers.PYTHON), str(peers.AIOHTTP)]
    process = await asyncio.create_subprocess_exec(
        *(*program, tiktok.url, *size), cwd=ROOT, stdin=PIPE, stdout=PIPE
    )
    said, _ = await process.communicate(_calls())
    assert process.returncode == 0, f"{way} with {in_flight} in flight failed"
    found: dict[str, float] = json.loads(said)
    return found


def _calls() -> bytes:
    calls = [
        {**structs.asdict(call), "content": call.content.decode()} for call in CALLS
    ]
    return json.dumps(calls).encode()


def _costs(measured: Measured) -> list[Figure]:
    return [
        median(
            f"CPU per call, {in_flight:,} in flight: {LABELS[way]}",
            spent.microseconds,
            MICROSECONDS,
        )
        for (way, in_flight), spent in measured.items()
    ]


def _ratios(measured: Measured, *, quick: bool) -> list[Figure]:
    def ours(size: int) -> Sequence[float]:
        return measured["ours", size].microseconds

    def against(way: str, size: int) -> Figure:
        name = f"ours to {LABELS[way]}, {size:,} in flight"
        most = MOST.get((way, size))
        bar = None if most is None else at_most(most)
        return ratio(name, ours(size), measured[way, size].microseconds, bar=bar)

    figures = [
        against(way, size)
        for way, size in measured
        if way in {"httpx_per_attempt", "aiohttp"}
    ]
    if quick:
        return figures
    flat = ratio(
        "ours, 5,000 in flight to 100", ours(5000), ours(100), bar=at_most(FLAT)
    )
    held = measured["ours", 5000].kilobytes
    note = "sockets, buffers, tasks; no job, no database"
    return [
        *figures,
        flat,
        median("memory per attempt, HTTP alone", held, "KiB", note=note),
    ]
