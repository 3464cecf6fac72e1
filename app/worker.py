"""The programs without an API: a worker, and one tick."""

import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import asdict

from app.machine import collector

with collector.paused():
    import structlog
    from pydantic.alias_generators import to_camel

    from app.container import Container, open_container
    from app.machine.descriptors import raise_soft_limit
    from app.serving.probes import answering, worker_pages
    from app.settings import Settings
    from app.stopping import LastExit, stopped_by_signal

log = structlog.get_logger(__name__)


async def work(settings: Settings) -> None:
    """Run due jobs until a signal, then give them back and return."""
    raise_soft_limit()
    last_exit = LastExit(call_seconds=settings.http_timeout_seconds)
    stop = stopped_by_signal(last_exit)
    async with open_container(settings, stop=stop) as container, _probed(container):
        last_exit.spare(container.tiktok.is_calling)
        gc.freeze()  # objects made so far live on: do not scan them for garbage
        log.info("worker started")
        await container.run_jobs()
        log.info("worker stopped")


async def tick(settings: Settings) -> str:
    """Run one tick and return its report as JSON; raises StoreUnavailable."""
    raise_soft_limit()
    last_exit = LastExit(call_seconds=settings.http_timeout_seconds)
    stop = stopped_by_signal(last_exit)
    async with open_container(settings, stop=stop) as container:
        last_exit.spare(container.tiktok.is_calling)
        await container.ready()
        report = await container.runner.tick(
            budget=settings.tick_budget_seconds, stop=stop
        )
        await container.failover.sign_off()
    return json.dumps({to_camel(key): value for key, value in asdict(report).items()})


@asynccontextmanager
async def _probed(container: Container) -> AsyncIterator[None]:
    """Serve metrics and health, if a port is set."""
    host, port = container.settings.metrics_host, container.settings.metrics_port
    if port is None:
        yield
        return
    async with answering(worker_pages(container), host=host, port=port) as bound:
        log.info("metrics served", host=host, port=bound)
        yield
