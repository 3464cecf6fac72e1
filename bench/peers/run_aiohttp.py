"""Make the calls on standard input through one client of aiohttp's; tell their cost.

    python run_aiohttp.py http://127.0.0.1:9000 100 500 < calls.json

Needs nothing of ours. Prints JSON: the CPU of this process per call.
"""

import asyncio
import gc
import json
import sys
import time
from typing import Any

import aiohttp
import uvloop

WARM_UP = 20
GARBAGE_THRESHOLD = 50_000
OBJECTS_OF_AN_ATTEMPT = 100


async def measure(url: str, in_flight: int, attempts: int) -> float:
    """Return the microseconds of CPU per call."""
    calls = json.load(sys.stdin)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as client:
        await make(client, url, calls, (WARM_UP, WARM_UP))
        began = time.process_time()
        await make(client, url, calls, (in_flight, attempts))
        return 1e6 * (time.process_time() - began) / attempts / len(calls)


async def make(
    client: aiohttp.ClientSession,
    url: str,
    calls: list[dict[str, Any]],
    size: tuple[int, int],
) -> None:
    """Make so many attempts, so many at a time."""
    in_flight, attempts = size
    left = iter(range(attempts))

    async def go_on() -> None:
        for _ in left:
            for call in calls:
                async with client.request(
                    call["method"],
                    url + call["path"],
                    headers=call["headers"],
                    data=call["content"].encode(),
                ) as answer:
                    await answer.read()

    await asyncio.gather(*(go_on() for _ in range(in_flight)))


if __name__ == "__main__":
    base, width, count = sys.argv[1:]
    # As the worker does, and so every other way to call.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD + OBJECTS_OF_AN_ATTEMPT * int(width))
    print(
        json.dumps({"microseconds": uvloop.run(measure(base, int(width), int(count)))})
    )
