"""The programs without HTTP: a worker, and one tick."""

import asyncio
import json
import signal
from dataclasses import asdict

import structlog
from pydantic.alias_generators import to_camel

from app.assembly import assembled
from app.settings import Settings

log = structlog.get_logger(__name__)


async def work(settings: Settings) -> None:
    """Run due jobs until SIGTERM or SIGINT, then give them back and return."""
    stop = _stopped_by_signal()
    async with assembled(settings) as house:
        log.info("worker started")
        await house.runner.run(stop)
        log.info("worker stopped")


async def tick(settings: Settings) -> str:
    """Run one tick and return its report as JSON; raises StoreUnavailable."""
    stop = _stopped_by_signal()
    async with assembled(settings) as house:
        report = await house.runner.tick(budget=settings.tick_budget_seconds, stop=stop)
    return json.dumps({to_camel(key): value for key, value in asdict(report).items()})


def _stopped_by_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    return stop
