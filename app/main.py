"""The app as it is served: settings in, FastAPI out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from app import collector

with collector.paused():
    from fastapi import FastAPI

    from app.api.app import build_app
    from app.api.services import Services
    from app.background import make_webhook_sender, render_event
    from app.container import Container, open_container, run_jobs, tracing_of
    from app.domain.clock import Clock
    from app.outbound import Outbound
    from app.service.accounts import AccountService
    from app.service.connect import ConnectService, OAuthApp
    from app.service.feed import JobFeed
    from app.service.jobs import JobService
    from app.service.keys import KeyService
    from app.service.media import MediaService
    from app.service.tiktok_events import TikTokEventService
    from app.service.webhook_endpoints import WebhookService
    from app.settings import RunnerMode, Settings
    from app.store.db.migrate import upgrade
    from app.store.db.revision import is_migrated
    from app.store.jobs.changes import ChangeStore
    from app.store.jobs.media_links import MediaStore
    from app.store.jobs.tiktok_events import TikTokEventStore
    from app.tracing import Tracing


def create_app(
    settings: Settings,
    *,
    stop: asyncio.Event | None = None,
    clock: Clock | None = None,
    tracing: Tracing | None = None,
) -> FastAPI:
    """Make the app; nothing is opened before it starts.

    ``stop`` ends the runner and every tick before the app itself is stopped. Starting
    raises SettingsError for settings that do not fit together.
    """
    stop = stop or asyncio.Event()
    tracing = tracing or tracing_of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_container(settings, clock=clock, tracing=tracing) as container:
            if container.database.is_sqlite and not await is_migrated(
                container.database
            ):
                url = settings.database_url.get_secret_value()
                await asyncio.to_thread(upgrade, url)
            services = app.state.services = services_of(container, stop)
            async with _runner(container, stop):
                yield
            await services.feed.close()

    return build_app(
        lifespan=lifespan,
        cors_origins=settings.cors_origins,
        tracer_provider=tracing.provider,
    )


def services_of(container: Container, stop: asyncio.Event) -> Services:
    """Build the use cases on the parts of the house."""
    settings, clock = container.settings, container.clock
    secret = settings.cron_secret
    return Services(
        jobs=JobService(
            store=container.jobs,
            clock=clock,
            on_due=container.runner.wake,
            allow_private_urls=settings.allow_private_urls,
            metrics=container.metrics,
        ),
        feed=JobFeed(store=ChangeStore(container.database), clock=clock, stop=stop),
        accounts=AccountService(
            store=container.accounts,
            grants=container.grants,
            tiktok=container.tiktok,
            pacer=container.pacer,
            creators=container.creators,
            clock=clock,
        ),
        connect=_connect(container),
        keys=KeyService(store=container.keys, clock=clock),
        tiktok_events=_tiktok_events(container),
        media=_media(container),
        webhooks=_webhooks(container),
        metrics=container.figures,
        tick=partial(
            container.runner.tick, budget=settings.tick_budget_seconds, stop=stop
        ),
        health=container.health,
        clock=clock,
        run_by_cron=settings.runner is RunnerMode.CRON,
        default_max_attempts=settings.max_attempts,
        cron_secret=secret.get_secret_value() if secret else None,
    )


def _connect(container: Container) -> ConnectService:
    return ConnectService(
        _oauth_app(container.settings),
        accounts=container.accounts,
        states=container.oauth_states,
        tiktok=container.tiktok,
        clock=container.clock,
    )


def _tiktok_events(container: Container) -> TikTokEventService:
    secret = container.settings.tiktok_client_secret
    return TikTokEventService(
        store=TikTokEventStore(container.database),
        clock=container.clock,
        client_key=container.settings.tiktok_client_key,
        client_secret=secret.get_secret_value() if secret else None,
        on_hint=container.runner.look_again,
        metrics=container.metrics,
    )


def _webhooks(container: Container) -> WebhookService:
    return WebhookService(
        store=container.webhooks,
        sender=make_webhook_sender(container.settings),
        render=partial(render_event, container.settings),
        clock=container.clock,
        on_due=container.runner.tell,
        allow_private_urls=container.settings.allow_private_urls,
    )


def _media(container: Container) -> MediaService | None:
    if container.settings.media_base_url is None:
        return None
    return MediaService(
        store=MediaStore(container.database),
        outbound=Outbound(allow_private=container.settings.allow_private_urls),
        clock=container.clock,
    )


def _oauth_app(settings: Settings) -> OAuthApp:
    return OAuthApp(
        authorize_url=str(settings.tiktok_authorize_url),
        client_key=settings.tiktok_client_key,
        client_secret_is_set=settings.tiktok_client_secret is not None,
        redirect_uri=settings.tiktok_redirect_uri,
        scopes=settings.tiktok_scopes,
        pkce=settings.tiktok_pkce,
        frontend_origins=settings.cors_origins,
    )


@asynccontextmanager
async def _runner(container: Container, stop: asyncio.Event) -> AsyncIterator[None]:
    """Run due jobs beside the API, and hand them back at its end."""
    if container.settings.runner is not RunnerMode.EMBEDDED:
        yield
        return
    running = asyncio.create_task(run_jobs(container, stop), name="runner")
    try:
        yield
    finally:
        stop.set()
        await running
