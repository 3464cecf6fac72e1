"""What a runner does beside running jobs: small, repeated, never urgent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import structlog

from app.domain.clock import Clock
from app.domain.errors import StoreUnavailable
from app.domain.waiting import first

log = structlog.get_logger(__name__)

GATHER_SECONDS: Final = 0.1
"""How long a hint is left alone, so that a burst of them costs one pass."""


class Hint(StrEnum):
    """Why a chore should begin its next pass at once."""

    TIKTOK = "tiktok"  # TikTok has told of something
    OUTBOX = "outbox"  # a frontend may have to be told of something


@dataclass(frozen=True, slots=True)
class Chore:
    """One pass over something; it claims what it does, so workers may overlap."""

    name: str
    every: float  # seconds
    run: Callable[[], Awaitable[object]]
    prompted_by: Hint | None = None
    prompt: asyncio.Event = field(default_factory=asyncio.Event)
    follows_jobs: bool = False  # whether a tick's jobs give it more to do


class Chores:
    """Runs chores in the background of a worker, or once beside a tick."""

    def __init__(self, chores: tuple[Chore, ...], clock: Clock) -> None:
        self._chores = chores
        self._clock = clock

    def hurry(self, hint: Hint) -> None:
        """Let the chores that a hint is for begin their next pass now."""
        for chore in self._chores:
            if chore.prompted_by is hint:
                chore.prompt.set()

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
        jobs_ended = asyncio.Event()
        passes = (_once(chore, jobs_ended) for chore in self._chores)
        async with _background(passes) as tasks:
            yield
            jobs_ended.set()
            if tasks:
                await asyncio.wait(tasks, timeout=max(0.0, seconds_left()))

    async def _repeat(self, chore: Chore) -> None:
        while True:
            chore.prompt.clear()
            await _pass(chore)
            await first(chore.prompt.wait(), self._clock.sleep(chore.every))
            if chore.prompt.is_set():
                await self._clock.sleep(GATHER_SECONDS)


async def _once(chore: Chore, jobs_ended: asyncio.Event) -> None:
    await _pass(chore)
    if chore.follows_jobs:
        await jobs_ended.wait()
        await _pass(chore)


async def _pass(chore: Chore) -> None:
    try:
        await chore.run()
    except StoreUnavailable as error:
        log.warning(
            "a chore waits for the database", chore=chore.name, reason=str(error)
        )
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
