"""Procrastinate and httpx publish posts; what it took is printed as JSON.

race_procrastinate.py DSN TIKTOK POSTS IN_FLIGHT httpx|aiohttp
"""

import gc
import json
import sys
import time

import asyncpg
import procrastinate
import uvloop
from publish import CLIENTS, fill, publish, resident_kib


async def main(dsn: str, tiktok: str, posts: int, in_flight: int, client: str) -> None:
    """Defer first, untimed; then publish until nothing is left."""
    call, close = CLIENTS[client](tiktok)
    connector = procrastinate.PsycopgConnector(conninfo=dsn, min_size=2, max_size=10)
    app = procrastinate.App(connector=connector)
    async with asyncpg.create_pool(dsn, min_size=2, max_size=10) as pool:

        @app.task(name="publish")
        async def run(number: int) -> None:
            await publish(call, pool, number)

        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            await fill(pool, posts)
            await run.batch_defer_async(*({"number": n + 1} for n in range(posts)))
            gc.freeze()
            gc.set_threshold(50_000)
            began, cpu = time.perf_counter(), time.process_time()
            await app.run_worker_async(wait=False, concurrency=in_flight)
            took = time.perf_counter() - began, time.process_time() - cpu
    await close()
    resident = resident_kib()
    print(json.dumps({"seconds": took[0], "cpu": took[1], "resident_kib": resident}))


if __name__ == "__main__":
    uvloop.run(
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    )
