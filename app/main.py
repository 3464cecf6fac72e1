"""Make the FastAPI app from the settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.machine import collector

with collector.paused():
    from fastapi import FastAPI

    from app.api.app import build_app
    from app.container import Container, open_container
    from app.machine.clock import Clock
    from app.opening import open_tracing
    from app.settings import RunnerMode, Settings
    from app.store.db.health import is_migrated
    from app.store.db.migrate import upgrade
    from app.tracing import Tracing
    from app.use_cases import UseCases


def create_app(
    settings: Settings,
    *,
    stop: asyncio.Event | None = None,
    clock: Clock | None = None,
    tracing: Tracing | None = None,
) -> FastAPI:
    """Make the app; nothing is opened before it starts.

    ``stop`` ends the runner and every tick before the app itself stops. Starting raises
    SettingsError for settings that do not fit together.
    """
    tracing = tracing or open_tracing(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_container(
            settings, clock=clock, tracing=tracing, stop=stop
        ) as container:
            await _migrate_sqlite(container)
            services = app.state.services = UseCases(container)
            app.state.is_calling = container.tiktok.is_calling
            async with _runner(container):
                yield
            await services.feed.close()

    return build_app(
        lifespan=lifespan,
        cors_origins=settings.cors_origins,
        tracer_provider=tracing.provider,
    )


async def _migrate_sqlite(container: Container) -> None:
    """Migrate an SQLite database, which no other service uses."""
    database = container.database
    if database.is_sqlite and not await is_migrated(database):
        url = container.settings.database_url.get_secret_value()
        await asyncio.to_thread(upgrade, url)


@asynccontextmanager
async def _runner(container: Container) -> AsyncIterator[None]:
    """Run due jobs beside the API, and give them back at its end."""
    if container.settings.runner is not RunnerMode.EMBEDDED:
        await container.hand_in_if_possible()
        yield
        return
    running = asyncio.create_task(container.run_jobs(), name="runner")
    try:
        yield
    finally:
        container.stop.set()
        await running
