"""Procrastinate: claim and finish no-op jobs, and print the seconds that it took.

run_procrastinate.py DSN JOBS CONCURRENCY
"""

import sys
import time

import procrastinate
import uvloop


async def main(dsn: str, jobs: int, concurrency: int) -> None:
    """Defer first, untimed; then run until nothing is left."""
    connector = procrastinate.PsycopgConnector(conninfo=dsn)
    app = procrastinate.App(connector=connector)
    done = 0

    @app.task(name="noop")
    async def noop(number: int) -> None:
        nonlocal done
        done += number >= 0

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await noop.batch_defer_async(*({"number": number} for number in range(jobs)))
        began = time.perf_counter()
        await app.run_worker_async(wait=False, concurrency=concurrency)
        print(time.perf_counter() - began)
    assert done == jobs, done


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
