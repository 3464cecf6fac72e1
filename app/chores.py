"""Put together what a runner does beside running jobs."""

from datetime import datetime, timedelta
from functools import partial
from typing import Final

from app.domain.events import EventType, Told
from app.metrics import Metrics
from app.outbound import Outbound
from app.outbound.courier import Courier
from app.runner.chores import Chore, Chores, Hint
from app.runner.confirmer import Confirmer
from app.runner.deliveries import LEASE_EXTRA, LOOK_EVERY_SECONDS, Deliveries
from app.runner.live import Tools
from app.runner.readiness import ReadinessChecker
from app.runner.retention import Pruner, WebhookPruner
from app.settings import RunnerMode, Settings
from app.store.confirmations import ConfirmationStore
from app.store.deliveries import DeliveryStore
from app.store.engine import Database
from app.store.media import MediaStore
from app.store.readiness import ReadinessStore
from app.store.retention import RetentionStore
from app.store.vault import Vault
from app.store.webhooks import WebhookStore

CONFIRM_EVERY: Final = 10.0
REFRESH_EVERY: Final = 60.0
LOOK_AHEAD_EVERY: Final = 15.0
PRUNE_EVERY: Final = 3600.0


def make_chores(
    settings: Settings,
    tools: Tools,
    *,
    database: Database,
    vault: Vault,
    metrics: Metrics,
) -> Chores:
    """Make every chore of a runner."""
    clock = tools.clock
    confirmer = _confirmer(tools, database, metrics)
    checker = _checker(settings, tools, database)
    pruner = Pruner(
        store=RetentionStore(database), clock=clock, keep=settings.retention
    )
    told = WebhookPruner(store=WebhookStore(database, vault), clock=clock)
    return Chores(
        (
            Chore(
                "confirm",
                CONFIRM_EVERY,
                lambda: confirmer.run_due(limit=20),
                prompted_by=Hint.TIKTOK,
            ),
            Chore(
                "refresh",
                REFRESH_EVERY,
                lambda: tools.grants.refresh_expiring(now=clock.now(), limit=50),
            ),
            Chore("look ahead", LOOK_AHEAD_EVERY, lambda: checker.run_due(limit=8)),
            Chore("prune", PRUNE_EVERY, pruner.run_due),
            Chore("prune webhooks", PRUNE_EVERY, told.run_due),
            _deliver(settings, tools, database=database, vault=vault, metrics=metrics),
        ),
        clock,
    )


def make_courier(settings: Settings) -> Courier:
    """Make what carries events to frontends."""
    return Courier(
        Outbound(allow_private=settings.allow_private_urls),
        seconds=settings.webhook_timeout_seconds,
    )


def render_event(
    settings: Settings, kind: EventType, at: datetime, told: Told
) -> bytes:
    """Write an event's body, which shows what the API shows."""
    # Here, so that a worker that tells nobody needs no web framework.
    from app.api.webhook_bodies import body_of

    return body_of(kind, at, told, run_by_cron=settings.runner is RunnerMode.CRON)


def _deliver(
    settings: Settings,
    tools: Tools,
    *,
    database: Database,
    vault: Vault,
    metrics: Metrics,
) -> Chore:
    lease = timedelta(seconds=settings.webhook_timeout_seconds) + LEASE_EXTRA
    deliveries = Deliveries(
        store=DeliveryStore(database, vault, lease=lease),
        courier=make_courier(settings),
        render=partial(render_event, settings),
        clock=tools.clock,
        metrics=metrics,
        retry_after=settings.webhook_retry_seconds,
    )
    return Chore(
        "deliver",
        LOOK_EVERY_SECONDS,
        deliveries.run_due,
        prompted_by=Hint.OUTBOX,
        prompt=deliveries.hint,
        follows_jobs=True,
    )


def _confirmer(tools: Tools, database: Database, metrics: Metrics) -> Confirmer:
    return Confirmer(
        store=ConfirmationStore(database),
        links=MediaStore(database),
        tiktok=tools.tiktok,
        grants=tools.grants,
        pacer=tools.pacer,
        clock=tools.clock,
        metrics=metrics,
    )


def _checker(settings: Settings, tools: Tools, database: Database) -> ReadinessChecker:
    return ReadinessChecker(
        store=ReadinessStore(database),
        tiktok=tools.tiktok,
        grants=tools.grants,
        pacer=tools.pacer,
        creators=tools.creators,
        outbound=Outbound(allow_private=settings.allow_private_urls),
        clock=tools.clock,
        ahead=settings.looks_ahead,
        inits_per_minute=settings.tiktok_init_per_minute,
    )
