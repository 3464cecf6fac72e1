"""PgQueuer: claim and finish no-op jobs, and print the seconds that it took.

run_pgqueuer.py DSN JOBS BATCH
"""

import sys
import time

import asyncpg
import uvloop
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode


async def main(dsn: str, jobs: int, batch: int) -> None:
    """Enqueue first, untimed; then drain."""
    connection = await asyncpg.connect(dsn)
    driver = AsyncpgDriver(connection)
    queries = Queries(driver)
    await queries.install()
    await queries.enqueue(["noop"] * jobs, [None] * jobs, [0] * jobs)
    await connection.execute("ANALYZE")
    manager = QueueManager(queries)
    done = 0

    @manager.entrypoint("noop")
    async def noop(_job: Job) -> None:
        nonlocal done
        done += 1

    began = time.perf_counter()
    await manager.run(batch_size=batch, mode=QueueExecutionMode.drain)
    print(time.perf_counter() - began)
    assert done == jobs, done


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
