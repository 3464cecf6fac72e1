"""Workers with real quotas, and a TikTok that answers 429 where they are broken."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from msgspec import structs

from app.domain.accounts.quota import WINDOW
from app.domain.jobs.job import Job
from app.pacing.pacer import Pacer
from app.sandbox.recording import Call
from app.sandbox.settings import Quotas
from app.store.accounts.quotas import QuotaStore
from tests.pacing.pacers import CREATOR, INIT, LIMITS, STATUS, most_in_a_window
from tests.runner.stage import Stage, Worker, utc

PER_MINUTE: Final = {
    "tiktok_init_per_minute": LIMITS[INIT],
    "tiktok_status_per_minute": LIMITS[STATUS],
    "tiktok_creator_info_per_minute": LIMITS[CREATOR],
}


def keep_quotas(stage: Stage, *, window: timedelta = WINDOW) -> None:
    """Let TikTok keep its quotas, and take its time for each video."""
    sandbox = stage.tiktok.sandbox
    changes = {
        "quotas": Quotas(),
        "quota_window_seconds": window.total_seconds(),
        "processing_seconds": 0.3,
    }
    sandbox.apply(sandbox.settings.model_copy(update=changes), reseed=False)


async def paced_worker(stage: Stage, *, window: timedelta = WINDOW) -> Worker:
    """Start a process that keeps TikTok's quotas in windows of this length."""
    worker = await stage.worker(**PER_MINUTE, poll_interval_seconds=0.25)
    store = QuotaStore(worker.container.database)
    pacer = Pacer(store, stage.clock, LIMITS, window=window)
    runner = worker.runner
    deps = structs.replace(runner._deps, pacer=pacer)
    worker.runner = stage.runner(deps, runner._rules, runner._capacity)
    return worker


@asynccontextmanager
async def all_running(stage: Stage, workers: Iterable[Worker]) -> AsyncIterator[None]:
    """Let workers run side by side."""
    stop = asyncio.Event()
    running = [asyncio.create_task(each.runner.run(stop)) for each in workers]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*running)


async def until_posted(stage: Stage, worker: Worker, jobs: Iterable[Job]) -> list[Job]:
    """Wait until all are posted, and give them as they are then."""
    done = list[Job]()
    for job in jobs:
        while (now := await worker.job(job)).status != "posted":
            assert now.status != "failed", now
            stage.signals._changed.clear()
            await stage.signals._changed.wait()
        done.append(now)
    return done


def assert_kept(stage: Stage, *, window: timedelta) -> None:
    """Check at TikTok's door that no window held too many calls."""
    for call, limit in (
        (Call.INIT, LIMITS[INIT]),
        (Call.STATUS, LIMITS[STATUS]),
        (Call.CREATOR_INFO, LIMITS[CREATOR]),
    ):
        calls = stage.calls(call)
        assert {each.code for each in calls} == {"ok"}
        assert most_in_a_window((utc(each.at) for each in calls), window) <= limit
