"""What a runner does beside running jobs: small, repeated, never urgent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from app.domain.clock import Clock
from app.domain.errors import StoreUnavailable
from app.domain.waiting import first

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """One pass over something; it claims what it does, so workers may overlap."""

    name: str
    every: float  # seconds
    run: Callable[[], Awaitable[object]]
    prompt: bool = False  # whether a hint lets it begin at once


class Chores:
    """Runs chores in the background of a worker, or once beside a tick."""

    def __init__(self, chores: tuple[Chore, ...], clock: Clock) -> None:
        self._chores = chores
        self._clock = clock
        self._hurried = {chore.name: asyncio.Event() for chore in chores}

    def hurry(self) -> None:
        """Let the chores that can be prompt begin their next pass now."""
        for chore in self._chores:
            if chore.prompt:
                self._hurried[chore.name].set()

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """Repeat every chore at its pace while the block runs."""
        async with _background(map(self._repeat, self._chores)):
            yield

    @asynccontextmanager
    async def once(self, seconds_left: Callable[[], float]) -> AsyncIterator[None]:
        """Run every chore once beside the block, and after it for the time left.

        What is not done then is broken off; the next tick goes on with it.
        """
        async with _background(map(_pass, self._chores)) as tasks:
            yield
            if tasks:
                await asyncio.wait(tasks, timeout=max(0.0, seconds_left()))

    async def _repeat(self, chore: Chore) -> None:
        while True:
            self._hurried[chore.name].clear()
            await _pass(chore)
            await first(
                self._hurried[chore.name].wait(), self._clock.sleep(chore.every)
            )


async def _pass(chore: Chore) -> None:
    try:
        await chore.run()
    except StoreUnavailable:
        log.warning("a chore waits for the database", chore=chore.name)
    except Exception:
        log.exception("a chore stumbled", chore=chore.name)


@asynccontextmanager
async def _background(
    chores: Iterable[Coroutine[None, None, None]],
) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(chore) for chore in chores]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
