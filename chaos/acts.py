"""What can be done to a worker that halts at a step, and how the cell goes on."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from chaos import disk
from chaos.cells import Script
from chaos.gate import Stop
from chaos.place import Place
from chaos.workers import Worker
from chaos.world import PATIENCE_SECONDS

Act = Callable[[Place, Worker], Awaitable[None]]

OUTAGE_SECONDS: Final = 1.0


class NotReached(Exception):
    """The worker never reached the stop: the matrix itself is wrong."""


async def undisturbed(place: Place) -> None:
    """Let one worker do its work."""
    await place.worker()


def struck(stop: Stop, act: Act, **order: float) -> Script:
    """Do something to a worker at the moment it reaches a stop."""

    async def script(place: Place) -> None:
        worker = await place.worker(stop, **order)
        await at_stop(worker, stop)
        await act(place, worker)

    return script


async def at_stop(worker: Worker, stop: Stop) -> None:
    """Wait until a worker halts; raises NotReached."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reached = await worker.reached()
    except TimeoutError:
        reached = False
    if not reached:
        raise NotReached(str(stop))


async def killed(place: Place, worker: Worker) -> None:
    """Kill it; another one finds what it left."""
    await worker.kill()
    await place.worker()


async def told_to_stop(place: Place, worker: Worker) -> None:
    """Send SIGTERM; another one finds what it gives back."""
    worker.signal(signal.SIGTERM)
    worker.go()
    await worker.gone()
    await place.worker()


async def frozen(place: Place, worker: Worker) -> None:
    """Stop it for longer than its lease while another works, then let it continue."""
    worker.signal(signal.SIGSTOP)
    worker.go()
    await place.worker()
    await place.over(patience=place.lease * 3)
    worker.signal(signal.SIGCONT)
    await asyncio.sleep(1.0)


def overslept(stop: Stop, other: Stop) -> Script:
    """Stop a worker for longer than its lease, and wake it in the middle of another."""

    async def script(place: Place) -> None:
        sleeper = await place.worker(stop)
        await at_stop(sleeper, stop)
        sleeper.signal(signal.SIGSTOP)
        sleeper.go()
        successor = await place.worker(other)
        await at_stop(successor, other)
        sleeper.signal(signal.SIGCONT)
        await asyncio.sleep(1.0)
        successor.go()

    return script


async def answer_lost(_: Place, worker: Worker) -> None:
    """Let the database carry out the write, and lose its answer."""
    worker.go("lose")


async def connections_cut(place: Place, worker: Worker) -> None:
    """End every connection to its database, as a failover would."""
    name = place.container.database.url.database
    await place.server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    )
    worker.go()


def outage(seconds: float) -> Act:
    """Stop the database as a crash would, for a while."""

    async def act(place: Place, worker: Worker) -> None:
        await place.server.stop()
        worker.go()
        await asyncio.sleep(seconds)
        await place.server.start()

    return act


async def disk_full(place: Place, worker: Worker) -> None:
    """Fill its disk for a while."""
    disk.fill(place.directory)
    worker.go()
    await asyncio.sleep(OUTAGE_SECONDS)
    disk.free(place.directory)


def clock_jumps(seconds: float, *, others: float) -> Act:
    """Set its clock forward or back; another worker's clock is ahead by ``others``."""

    async def act(place: Place, worker: Worker) -> None:
        worker.go(f"clock {seconds}")
        await place.worker(clock=others)

    return act


def overtaken(clock: float) -> Act:
    """Let a worker whose clock is ahead finish before this one continues."""

    async def act(place: Place, worker: Worker) -> None:
        await place.worker(clock=clock)
        await place.over(patience=place.lease * 3)
        worker.go()
        await asyncio.sleep(1.0)

    return act
