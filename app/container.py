"""Put the house together: the one place besides main that knows every part."""

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from app.background import make_background_jobs
from app.domain.clock import Clock, SystemClock
from app.domain.outcome import Fault
from app.domain.quota import Limits, QuotaCall
from app.grants.grants import Grants
from app.metrics import Metrics
from app.pacing.creators import CreatorCache
from app.pacing.pacer import Pacer
from app.runner.attempts.attempt import PollPolicy
from app.runner.attempts.attempt_pool import AttemptPolicy
from app.runner.attempts.live_effects import Dependencies
from app.runner.attempts.media_gateway import MediaGateway
from app.runner.runner import Capacity, Runner
from app.service.health import HealthService
from app.service.metrics import MetricsService
from app.settings import Settings, SettingsError
from app.store.accounts.account_store import AccountStore
from app.store.accounts.oauth_states import OAuthStateStore
from app.store.accounts.quotas import QuotaStore
from app.store.api_keys import KeyStore
from app.store.db.engine import Database
from app.store.db.health import HealthStore
from app.store.db.notify import DueHints
from app.store.db.vault import KeysUnusable, Vault
from app.store.jobs.backlog import BacklogStore
from app.store.jobs.claims import ClaimStore
from app.store.jobs.job_store import JobStore
from app.store.jobs.media_links import MediaStore
from app.store.webhooks.endpoints import WebhookStore
from app.tiktok import Endpoint, TikTok
from app.tracing import Tracing, open_tracing


@dataclass(frozen=True, slots=True)
class Container:
    """Every long-lived part of a running process."""

    settings: Settings
    clock: Clock
    database: Database
    jobs: JobStore
    accounts: AccountStore
    oauth_states: OAuthStateStore
    webhooks: WebhookStore
    keys: KeyStore
    tiktok: TikTok
    grants: Grants
    pacer: Pacer
    creators: CreatorCache
    runner: Runner
    metrics: Metrics
    figures: MetricsService
    health: HealthService


@asynccontextmanager
async def open_container(
    settings: Settings, *, clock: Clock | None = None, tracing: Tracing | None = None
) -> AsyncIterator[Container]:
    """Make every part, and close what needs closing at the end.

    Opens no connection yet. Raises SettingsError.
    """
    clock = clock or SystemClock()
    tracing = tracing or tracing_of(settings)
    database = open_database(settings)
    try:
        vault = open_vault(settings)
        container = _container(
            settings, clock, database=database, vault=vault, tracing=tracing
        )
        try:
            yield container
        finally:
            await container.grants.close()
    finally:
        await database.close()
        if tracing.provider is not None:  # it may wait for its collector
            await asyncio.to_thread(tracing.close)


async def run_jobs(container: Container, stop: asyncio.Event) -> None:
    """Run due jobs until ``stop``, woken by whichever process stores them."""
    container.tiktok.ready()  # the first post is not to wait for an import
    async with DueHints(container.database, container.clock).waking(
        container.runner.wake
    ):
        await container.runner.run(stop)


def tracing_of(settings: Settings) -> Tracing:
    """Trace to the collector that is set, or not at all."""
    endpoint = settings.otel_exporter_otlp_endpoint
    return open_tracing(None if endpoint is None else str(endpoint))


def open_database(settings: Settings) -> Database:
    """Make the engine; raises SettingsError that does not quote the URL."""
    url = settings.database_url.get_secret_value()
    try:
        make_url(url)
    except (ArgumentError, ValueError):  # the latter quotes what it took for a port
        raise SettingsError("DATABASE_URL: not a database URL") from None
    try:
        return Database(url)
    except ValueError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from None


def open_vault(settings: Settings) -> Vault:
    """Make what encrypts tokens; raises SettingsError that quotes no key."""
    keys = settings.token_encryption_keys
    try:
        return Vault.from_settings(
            keys.get_secret_value() if keys else None,
            database_url=settings.database_url.get_secret_value(),
        )
    except KeysUnusable as error:
        raise SettingsError(str(error)) from None


def _container(
    settings: Settings,
    clock: Clock,
    *,
    database: Database,
    vault: Vault,
    tracing: Tracing,
) -> Container:
    accounts, backlog = AccountStore(database, vault), BacklogStore(database)
    metrics = Metrics()
    tiktok = _tiktok(settings, metrics, tracing)
    deps = _deps(
        settings, clock, tiktok, accounts=accounts, database=database, metrics=metrics
    )
    runner = Runner(
        deps,
        _rules(settings),
        _capacity(settings),
        make_background_jobs(
            settings, deps, database=database, vault=vault, metrics=metrics
        ),
        metrics=metrics,
        tracing=tracing,
    )
    return Container(
        settings=settings,
        clock=clock,
        database=database,
        jobs=JobStore(database, preflights=settings.preflight_times),
        accounts=accounts,
        oauth_states=OAuthStateStore(database, vault),
        webhooks=WebhookStore(database, vault),
        keys=KeyStore(database),
        tiktok=deps.tiktok,
        grants=deps.grants,
        pacer=deps.pacer,
        creators=deps.creators,
        runner=runner,
        metrics=metrics,
        figures=MetricsService(metrics=metrics, backlog=backlog, clock=clock),
        health=_health(database, vault, clock, runner=runner),
    )


def _health(
    database: Database, vault: Vault, clock: Clock, *, runner: Runner
) -> HealthService:
    store = HealthStore(database, vault)
    return HealthService(database, store, clock=clock, runs=lambda: runner.running)


def _deps(
    settings: Settings,
    clock: Clock,
    tiktok: TikTok,
    *,
    accounts: AccountStore,
    database: Database,
    metrics: Metrics,
) -> Dependencies:
    seconds = settings.http_timeout_seconds
    lease = timedelta(seconds=settings.claim_timeout_seconds)
    return Dependencies(
        claims=ClaimStore(database, lease=lease),
        tiktok=tiktok,
        grants=Grants(
            accounts=accounts, tiktok=tiktok, clock=clock, call_timeout=seconds
        ),
        clock=clock,
        creators=CreatorCache(),
        pacer=Pacer(QuotaStore(database), clock, _limits(settings), metrics=metrics),
        http_timeout=seconds,
        media=_gateway(settings, database),
    )


def _tiktok(settings: Settings, metrics: Metrics, tracing: Tracing) -> TikTok:
    secret = settings.tiktok_client_secret

    def on_call(endpoint: Endpoint, fault: Fault | None, seconds: float) -> None:
        metrics.tiktok.call(endpoint, fault, seconds)
        tracing.call(endpoint, fault, seconds)

    return TikTok(
        base_url=str(settings.tiktok_api_base_url),
        client_key=settings.tiktok_client_key,
        client_secret=secret.get_secret_value() if secret else None,
        timeout=settings.http_timeout_seconds,
        on_call=on_call,
    )


def _rules(settings: Settings) -> AttemptPolicy:
    return AttemptPolicy(
        poll=PollPolicy(
            interval=timedelta(seconds=settings.poll_interval_seconds),
            deadline=timedelta(seconds=settings.poll_deadline_seconds),
        ),
        retry=settings.retry_policy,
        random=random.random,
    )


def _gateway(settings: Settings, database: Database) -> MediaGateway | None:
    if settings.media_base_url is None:
        return None
    return MediaGateway(settings.media_base_url, MediaStore(database))


def _limits(settings: Settings) -> Limits:
    return {
        QuotaCall.CREATOR_INFO: settings.tiktok_creator_info_per_minute,
        QuotaCall.INIT: settings.tiktok_init_per_minute,
        QuotaCall.STATUS: settings.tiktok_status_per_minute,
    }


def _capacity(settings: Settings) -> Capacity:
    return Capacity(
        worker=f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}",
        batch=settings.claim_batch_size,
        in_flight=settings.max_in_flight,
    )
