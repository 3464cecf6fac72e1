"""How many posts a second one process takes in, beside a bare FastAPI route.

Both store every post in a Postgres with its default configuration before they answer.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from app.service.keys import KeyService
from bench.figures import Figure, at_least, at_most, median, ratio
from bench.seeds import add_accounts, bench_container
from bench.servers import (
    ROOT,
    Program,
    environment,
    fresh_database,
    instant_tiktok,
    postgres,
    program,
)
from bench.start import first_answer, free_port

CONNECTIONS: Final = 32
MOST_CPU: Final = 1.43
"""1.05 times what it was (617 to 452 µs) before the release of strangers' limits."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server under load."""

    port: int
    server: Program


@dataclass(frozen=True, slots=True)
class Round:
    """What a server did in one round."""

    per_second: float
    p99_ms: float
    cpu_us: float  # of the server, per post


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Load both servers turn about; a first round warms both up."""
    seconds = 1.0 if quick else 5.0
    async with AsyncExitStack() as stack:
        server_url = await stack.enter_async_context(postgres())
        bare_url = await fresh_database(server_url)
        bare = await stack.enter_async_context(_bare(bare_url))
        our_url = await fresh_database(server_url)
        key = await _make_key(our_url)
        ours = await stack.enter_async_context(_ours(our_url))
        own, theirs = list[Round](), list[Round]()
        for number in range(rounds + 1):
            one, other = (
                await _load(bare, key, seconds),
                await _load(ours, key, seconds),
            )
            if number > 0:
                theirs.append(one)
                own.append(other)
    return _figures(own, theirs)


def _figures(own: list[Round], theirs: list[Round]) -> list[Figure]:
    ours = [each.per_second for each in own]
    bare = [each.per_second for each in theirs]
    return [
        median("bare FastAPI route, one raw insert", bare, "posts/s"),
        median("`POST /v1/jobs`", ours, "posts/s", note="log level info, as JSON"),
        ratio("to the bare route", ours, bare, bar=at_least(0.5)),
        median("CPU, bare", [each.cpu_us for each in theirs], "µs/post"),
        median("CPU, ours", [each.cpu_us for each in own], "µs/post"),
        ratio(
            "CPU, ours to the bare route",
            [each.cpu_us for each in own],
            [each.cpu_us for each in theirs],
            bar=at_most(MOST_CPU),
        ),
        median(
            "99 % are answered within, bare", [each.p99_ms for each in theirs], "ms"
        ),
        median("99 % are answered within, ours", [each.p99_ms for each in own], "ms"),
    ]


@asynccontextmanager
async def _bare(url: str) -> AsyncIterator[Target]:
    port = free_port()
    async with program("-m", "bench.bare_api", str(port), url) as server:
        await first_answer(port, "/")
        yield Target(port, server)


@asynccontextmanager
async def _ours(url: str) -> AsyncIterator[Target]:
    port = free_port()
    async with instant_tiktok() as tiktok:
        env = environment(url, tiktok, log_level="info", log_format="json")
        serve = ("-m", "app", "serve", "--port", str(port))
        async with program(*serve, env=env, quiet=True) as server:
            await first_answer(port, "/healthz")
            yield Target(port, server)


async def _make_key(url: str) -> str:
    async with bench_container(url) as made:
        await add_accounts(made, 2)  # whoever posts has connected one
        keys = KeyService(store=made.keys, clock=made.clock)
        return (await keys.create("bench", None))[1]


async def _load(target: Target, key: str, seconds: float) -> Round:
    numbers = (str(target.port), str(CONNECTIONS), str(seconds))
    before = target.server.cpu_seconds()
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load", *numbers, key),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await client.communicate()
    spent = target.server.cpu_seconds() - before
    found = json.loads(said)
    posts = found["rate"] * seconds
    return Round(found["rate"], found["p99"] * 1e3, spent / posts * 1e6)
