"""Claim and finish no-op jobs, and print seconds and CPU: `bench.noop URL BATCH`.

Everything of a finished attempt is written: the job's new state, its ledger row, and
its events if there is an endpoint.
"""

import asyncio
import gc
import json
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import uvloop

from app.domain.jobs.backoff import RetryPolicy
from app.domain.jobs.job import Job
from app.domain.jobs.lifecycle import decide
from app.domain.jobs.outcome import Published
from app.machine import collector
from app.machine.clock import SystemClock
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from bench.servers import ROOT

BATCHES_AT_ONCE: Final = 5  # as many as a worker with the default settings
_POLICY: Final = RetryPolicy()
_CLOCK: Final = SystemClock()


@dataclass(frozen=True, slots=True)
class Drained:
    """What it took to claim and finish so many jobs."""

    jobs: int
    seconds: float
    cpu: float  # seconds of it that the process itself worked


async def drained(url: str, *, batch: int) -> Drained:
    """Drain a queue in a process of its own."""
    command = (sys.executable, "-m", "bench.noop", url, str(batch))
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return Drained(*json.loads(said))


async def main(url: str, batch: int) -> None:
    """Drain the queue, every job in a task of its own."""
    spare_the_collector()
    database = Database(url)
    claims = ClaimStore(database, lease=timedelta(minutes=5))
    await claims.next_due()  # whoever is measured has a connection
    began, cpu = time.perf_counter(), time.process_time()
    done = await drain(claims, batch)
    spent = (time.perf_counter() - began, time.process_time() - cpu)
    await database.close()
    print(json.dumps([done, *spent]))


def spare_the_collector() -> None:
    """Let the garbage collector look as seldom as in the service's own programs."""
    gc.freeze()
    collector.run_less()


async def drain(claims: ClaimStore, batch: int) -> int:
    """Claim and finish until nothing is due; return how many were finished."""
    running: set[asyncio.Task[None]] = set()
    ended = asyncio.Event()

    def end(task: asyncio.Task[None]) -> None:
        running.discard(task)
        ended.set()

    done = 0
    while True:
        claimed = await claims.claim_due(
            now=_CLOCK.now(),
            limit=batch,
            worker="bench",
            retry=_POLICY,
            random=lambda: 0.0,
        )
        if not claimed.jobs:
            break
        done += len(claimed.jobs)
        for job in claimed.jobs:
            task = asyncio.create_task(_attempt(claims, job))
            running.add(task)
            task.add_done_callback(end)
        while len(running) > batch * (BATCHES_AT_ONCE - 1):
            # Not by waiting for the tasks: each wait would visit all of the hundreds.
            ended.clear()
            await ended.wait()
    if running:
        await asyncio.wait(running)
    return done


async def _attempt(claims: ClaimStore, job: Job) -> None:
    now = _CLOCK.now()
    outcome = Published(publish_id="v_pub_url~v2.7602997517160123666")
    change = decide(job, outcome, now=now, policy=_POLICY, random=lambda: 0.0)
    if await claims.apply(job, change, now=now) is None:
        raise AssertionError("a claim was lost")


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
