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
    from app.assembly import House, assembled, run_jobs, tracing_of
    from app.chores import make_courier, render_event
    from app.domain.clock import Clock
    from app.outbound import Outbound
    from app.service.accounts import AccountService
    from app.service.connect import ConnectService, OAuthApp
    from app.service.feed import JobFeed
    from app.service.jobs import JobService
    from app.service.keys import KeyService
    from app.service.media import MediaService
    from app.service.tiktok_events import TikTokEventService
    from app.service.webhooks import WebhookService
    from app.settings import RunnerMode, Settings
    from app.store.changes import ChangeStore
    from app.store.media import MediaStore
    from app.store.migrate import upgrade
    from app.store.revision import is_migrated
    from app.store.tiktok_events import TikTokEventStore
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
        async with assembled(settings, clock=clock, tracing=tracing) as house:
            if house.database.is_sqlite and not await is_migrated(house.database):
                url = settings.database_url.get_secret_value()
                await asyncio.to_thread(upgrade, url)
            services = app.state.services = services_of(house, stop)
            async with _runner(house, stop):
                yield
            await services.feed.close()

    return build_app(
        lifespan=lifespan,
        cors_origins=settings.cors_origins,
        tracer_provider=tracing.provider,
    )


def services_of(house: House, stop: asyncio.Event) -> Services:
    """Build the use cases on the parts of the house."""
    settings, clock = house.settings, house.clock
    secret = settings.cron_secret
    return Services(
        jobs=JobService(
            store=house.jobs,
            clock=clock,
            on_due=house.runner.wake,
            allow_private_urls=settings.allow_private_urls,
            metrics=house.metrics,
        ),
        feed=JobFeed(store=ChangeStore(house.database), clock=clock, stop=stop),
        accounts=AccountService(
            store=house.accounts,
            grants=house.grants,
            tiktok=house.tiktok,
            pacer=house.pacer,
            creators=house.creators,
            clock=clock,
        ),
        connect=ConnectService(
            _oauth_app(settings),
            accounts=house.accounts,
            states=house.oauth_states,
            tiktok=house.tiktok,
            clock=clock,
        ),
        keys=KeyService(store=house.keys, clock=clock),
        tiktok_events=_tiktok_events(house),
        media=_media(house),
        webhooks=_webhooks(house),
        metrics=house.figures,
        tick=partial(house.runner.tick, budget=settings.tick_budget_seconds, stop=stop),
        health=house.health,
        clock=clock,
        run_by_cron=settings.runner is RunnerMode.CRON,
        default_max_attempts=settings.max_attempts,
        cron_secret=secret.get_secret_value() if secret else None,
    )


def _tiktok_events(house: House) -> TikTokEventService:
    secret = house.settings.tiktok_client_secret
    return TikTokEventService(
        store=TikTokEventStore(house.database),
        clock=house.clock,
        client_key=house.settings.tiktok_client_key,
        client_secret=secret.get_secret_value() if secret else None,
        on_hint=house.runner.look_again,
        metrics=house.metrics,
    )


def _webhooks(house: House) -> WebhookService:
    return WebhookService(
        store=house.webhooks,
        courier=make_courier(house.settings),
        render=partial(render_event, house.settings),
        clock=house.clock,
        on_due=house.runner.tell,
        allow_private_urls=house.settings.allow_private_urls,
    )


def _media(house: House) -> MediaService | None:
    if house.settings.media_base_url is None:
        return None
    return MediaService(
        store=MediaStore(house.database),
        outbound=Outbound(allow_private=house.settings.allow_private_urls),
        clock=house.clock,
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
async def _runner(house: House, stop: asyncio.Event) -> AsyncIterator[None]:
    """Run due jobs beside the API, and hand them back at its end."""
    if house.settings.runner is not RunnerMode.EMBEDDED:
        yield
        return
    running = asyncio.create_task(run_jobs(house, stop), name="runner")
    try:
        yield
    finally:
        stop.set()
        await running
