"""Run small repeated work besides attempts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Final

import structlog
from msgspec import Struct, field

from app.domain.errors import StoreUnavailable
from app.machine.clock import Clock
from app.machine.concurrency import first

log = structlog.get_logger(__name__)

GATHER_SECONDS: Final = 0.1
"""How long to wait after a hint, so that a burst of hints causes one pass."""


class Hint(StrEnum):
    """Why a background job should run now."""

    TIKTOK = "tiktok"  # TikTok sent an event
    OUTBOX = "outbox"  # there may be an event to deliver


class BackgroundJob(Struct, frozen=True):
    """Work done in passes; each pass claims its rows, so workers may overlap."""

    name: str
    every: float  # seconds between two passes
    run: Callable[[], Awaitable[object]]
    prompted_by: Hint | None = None
    prompt: asyncio.Event = field(default_factory=asyncio.Event)
    follows_jobs: bool = False  # whether a tick's attempts give it more to do


class BackgroundJobs:
    """Runs background jobs beside a worker, or once beside a tick."""

    def __init__(
        self, background_jobs: tuple[BackgroundJob, ...], clock: Clock
    ) -> None:
        self._background_jobs = background_jobs
        self._clock = clock

    def hurry(self, hint: Hint) -> None:
        """Run the jobs that a hint is for now."""
        for background_job in self._background_jobs:
            if background_job.prompted_by is hint:
                background_job.prompt.set()

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """Repeat every job at its interval while the block runs."""
        async with _background(map(self._repeat, self._background_jobs)):
            yield

    @asynccontextmanager
    async def once(self, seconds_left: Callable[[], float]) -> AsyncIterator[None]:
        """Run every job once beside the block, and after it for the time left.

        Jobs that are not done then are broken off; the next tick continues them.
        """
        jobs_ended = asyncio.Event()
        passes = (
            _once(background_job, jobs_ended)
            for background_job in self._background_jobs
        )
        async with _background(passes) as tasks:
            yield
            jobs_ended.set()
            if tasks:
                await asyncio.wait(tasks, timeout=max(0.0, seconds_left()))

    async def _repeat(self, background_job: BackgroundJob) -> None:
        while True:
            background_job.prompt.clear()
            await _pass(background_job)
            await first(
                background_job.prompt.wait(), self._clock.sleep(background_job.every)
            )
            if background_job.prompt.is_set():
                await self._clock.sleep(GATHER_SECONDS)


async def _once(background_job: BackgroundJob, jobs_ended: asyncio.Event) -> None:
    await _pass(background_job)
    if background_job.follows_jobs:
        await jobs_ended.wait()
        await _pass(background_job)


async def _pass(background_job: BackgroundJob) -> None:
    try:
        await background_job.run()
    except StoreUnavailable as error:
        log.warning(
            "a background job waits for the database",
            background_job=background_job.name,
            reason=str(error),
        )
    except Exception:
        log.exception("a background job failed", background_job=background_job.name)


@asynccontextmanager
async def _background(
    background_jobs: Iterable[Coroutine[None, None, None]],
) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(background_job) for background_job in background_jobs]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
