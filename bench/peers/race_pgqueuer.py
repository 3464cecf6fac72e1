"""PgQueuer and an HTTP client publish posts; what it took is printed as JSON.

race_pgqueuer.py DSN TIKTOK POSTS IN_FLIGHT httpx|aiohttp
"""

import gc
import json
import sys
import time

import asyncpg
import uvloop
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode
from publish import CLIENTS, fill, publish, resident_kib


async def main(dsn: str, tiktok: str, posts: int, in_flight: int, client: str) -> None:
    """Enqueue first, untimed; then publish until the queue is empty."""
    call, close = CLIENTS[client](tiktok)
    async with asyncpg.create_pool(dsn, min_size=2, max_size=10) as pool:
        queries = Queries(AsyncpgPoolDriver(pool))
        await queries.install()
        await fill(pool, posts)
        payloads = [str(number + 1).encode() for number in range(posts)]
        await queries.enqueue(["publish"] * posts, payloads, [0] * posts)
        manager = QueueManager(queries)

        @manager.entrypoint("publish")
        async def run(job: Job) -> None:
            await publish(call, pool, int(job.payload or b""))

        gc.freeze()
        gc.set_threshold(50_000)
        began, cpu = time.perf_counter(), time.process_time()
        await manager.run(
            # The most that it allows beside a cap on tasks.
            batch_size=in_flight // 2,
            max_concurrent_tasks=in_flight,
            mode=QueueExecutionMode.drain,
        )
        took = time.perf_counter() - began, time.process_time() - cpu
    await close()
    resident = resident_kib()
    print(json.dumps({"seconds": took[0], "cpu": took[1], "resident_kib": resident}))


if __name__ == "__main__":
    uvloop.run(
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    )
