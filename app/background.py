"""Put together what a runner does beside running jobs."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from app.domain.events import EventPayload, EventType
from app.metrics import Metrics
from app.outbound import Outbound
from app.outbound.webhook_sender import WebhookSender
from app.runner.attempts.live_effects import Dependencies
from app.runner.background.background_jobs import BackgroundJob, BackgroundJobs, Hint
from app.runner.background.confirmer import Confirmer
from app.runner.background.pruner import Pruner, WebhookPruner
from app.runner.background.readiness_checker import ReadinessChecker
from app.runner.background.webhook_deliveries import (
    LEASE_EXTRA,
    LOOK_EVERY_SECONDS,
    Deliveries,
)
from app.settings import RunnerMode, Settings
from app.store.db.engine import Database
from app.store.db.vault import Vault
from app.store.jobs.confirmations import ConfirmationStore
from app.store.jobs.media_links import MediaStore
from app.store.jobs.readiness import ReadinessStore
from app.store.retention.pruning import RetentionStore
from app.store.webhooks.deliveries import DeliveryStore
from app.store.webhooks.endpoints import WebhookStore

CONFIRM_EVERY: Final = 10.0
REFRESH_EVERY: Final = 60.0
LOOK_AHEAD_EVERY: Final = 15.0
PRUNE_EVERY: Final = 3600.0


def make_background_jobs(
    settings: Settings,
    deps: Dependencies,
    *,
    database: Database,
    vault: Vault,
    metrics: Metrics,
) -> BackgroundJobs:
    """Make every chore of a runner."""
    clock = deps.clock
    confirmer = _confirmer(deps, database, metrics)
    checker = _checker(settings, deps, database)
    pruner = Pruner(
        store=RetentionStore(database), clock=clock, keep=settings.retention
    )
    told = WebhookPruner(store=WebhookStore(database, vault), clock=clock)
    return BackgroundJobs(
        (
            BackgroundJob(
                "confirm",
                CONFIRM_EVERY,
                lambda: confirmer.run_due(limit=20),
                prompted_by=Hint.TIKTOK,
            ),
            BackgroundJob(
                "refresh",
                REFRESH_EVERY,
                lambda: deps.grants.refresh_expiring(now=clock.now(), limit=50),
            ),
            BackgroundJob(
                "look ahead", LOOK_AHEAD_EVERY, lambda: checker.run_due(limit=8)
            ),
            BackgroundJob("prune", PRUNE_EVERY, pruner.run_due),
            BackgroundJob("prune webhooks", PRUNE_EVERY, told.run_due),
            _deliver(settings, deps, database=database, vault=vault, metrics=metrics),
        ),
        clock,
    )


def make_webhook_sender(settings: Settings) -> WebhookSender:
    """Make what carries events to frontends."""
    return WebhookSender(
        Outbound(allow_private=settings.allow_private_urls),
        seconds=settings.webhook_timeout_seconds,
    )


def render_event(
    settings: Settings, kind: EventType, at: datetime, told: EventPayload
) -> bytes:
    """Write an event's body, which shows what the API shows."""
    # Here, so that a worker that tells nobody needs no web framework.
    from app.api.webhook_bodies import body_of

    return body_of(kind, at, told, run_by_cron=settings.runner is RunnerMode.CRON)


def _deliver(
    settings: Settings,
    deps: Dependencies,
    *,
    database: Database,
    vault: Vault,
    metrics: Metrics,
) -> BackgroundJob:
    lease = timedelta(seconds=settings.webhook_timeout_seconds) + LEASE_EXTRA
    deliveries = Deliveries(
        store=DeliveryStore(database, vault, lease=lease),
        sender=make_webhook_sender(settings),
        render=partial(render_event, settings),
        clock=deps.clock,
        metrics=metrics,
        retry_after=settings.webhook_retry_seconds,
    )
    return BackgroundJob(
        "deliver",
        LOOK_EVERY_SECONDS,
        deliveries.run_due,
        prompted_by=Hint.OUTBOX,
        prompt=deliveries.hint,
        follows_jobs=True,
    )


def _confirmer(deps: Dependencies, database: Database, metrics: Metrics) -> Confirmer:
    return Confirmer(
        store=ConfirmationStore(database),
        links=MediaStore(database),
        tiktok=deps.tiktok,
        grants=deps.grants,
        pacer=deps.pacer,
        clock=deps.clock,
        metrics=metrics,
    )


def _checker(
    settings: Settings, deps: Dependencies, database: Database
) -> ReadinessChecker:
    return ReadinessChecker(
        store=ReadinessStore(database),
        tiktok=deps.tiktok,
        grants=deps.grants,
        pacer=deps.pacer,
        creators=deps.creators,
        outbound=Outbound(allow_private=settings.allow_private_urls),
        clock=deps.clock,
        preflights=settings.preflight_times,
        inits_per_minute=settings.tiktok_init_per_minute,
    )
