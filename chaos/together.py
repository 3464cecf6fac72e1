"""Rows in which many work at once."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from chaos.cells import IN_DOUBT_NOT_POSTED, IN_DOUBT_POSTED, POSTED, Row, Script
from chaos.gate import Moment, Stop
from chaos.place import Place
from chaos.world import PATIENCE_SECONDS

GROUP: Final = "together"
JOBS: Final = 20
WORKERS: Final = 4
TICK_SECONDS: Final = 6.0

UNHURRIED: Final = {
    "claim_timeout_seconds": 12,
    "poll_deadline_seconds": 10,
    "http_timeout_seconds": 5,
}
"""Many jobs in one process take longer than one does."""


def rows() -> Iterator[Row]:
    """Return every row in which workers meet."""
    yield _row(f"{WORKERS} workers on one queue", _workers, attempts=0)
    yield _row(f"{WORKERS} ticks at once, again and again", _ticks, attempts=0)
    yield _row(
        f"{WORKERS} workers, one killed every half second",
        _workers_killed,
        ends=(POSTED, IN_DOUBT_POSTED, IN_DOUBT_NOT_POSTED),
        max_attempts=20,
        settings=UNHURRIED | {"max_in_flight": 5, "claim_timeout_seconds": 11},
    )
    yield Row(
        group=GROUP,
        cause=f"{WORKERS} workers meet at one abandoned claim",
        script=_meeting_at_a_claim,
        ends=(POSTED,),
        attempts=1,
    )


def _row(cause: str, script: Script, **fields: Any) -> Row:  # noqa: ANN401
    fields = {"ends": (POSTED,), "settings": UNHURRIED} | fields
    return Row(
        group=GROUP,
        cause=f"{cause}, {JOBS} jobs",
        script=script,
        jobs=JOBS,
        crowded=True,
        **fields,
    )


async def _workers(place: Place) -> None:
    for _ in range(WORKERS):
        await place.worker()


async def _ticks(place: Place) -> None:
    async def again_and_again() -> None:
        while not await place.over(patience=0.1):
            await (await place.worker(tick=TICK_SECONDS)).gone()

    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*(again_and_again() for _ in range(WORKERS)))


async def _workers_killed(place: Place) -> None:
    for _ in range(WORKERS - 1):
        await place.worker()
    for _ in range(WORKERS * 2):
        worker = place.world.random.choice(place.workers)
        await asyncio.sleep(0.5)
        await worker.kill()
        place.workers.remove(worker)
        await place.worker()


async def _meeting_at_a_claim(place: Place) -> None:
    worker = await place.worker(Stop("wait", Moment.AFTER))
    await worker.reached()
    for _ in range(WORKERS):
        await place.worker()
    await worker.kill()
