"""Every long-lived part of a process, made when first used.

Besides main, the only module that knows every part.
"""

import asyncio
import os
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Final
from uuid import uuid4

import structlog

from app import __version__
from app.domain.accounts.quota import LONGEST_TURN, QuotaCall
from app.domain.errors import StoreUnavailable
from app.domain.events import EventPayload, EventType, Render
from app.domain.jobs.outcome import Fault
from app.domain.jobs.redating import Bounds
from app.domain.jobs.witness import Witness
from app.grants.grants import Grants
from app.machine.clock import Clock, ClockJumps, ClockWatch, SystemClock
from app.metrics import Metrics, MetricsService
from app.opening import open_database, open_tracing, open_vault, plain
from app.outbound.client import Outbound
from app.outbound.media.at_once import AtOnce
from app.outbound.media.checker import MediaChecker
from app.outbound.webhook_sender import WebhookSender
from app.pacing.creators import CreatorCache, CreatorOptions
from app.pacing.pacer import Pacer
from app.runner.attempts.attempt_pool import AttemptPolicy
from app.runner.attempts.dependencies import Dependencies, PushParts
from app.runner.attempts.polling import PollPolicy
from app.runner.attempts.ways.gateway import MediaGateway
from app.runner.background.background_jobs import BackgroundJob, BackgroundJobs, Hint
from app.runner.background.confirmer import Confirmer
from app.runner.background.pruner import Pruner
from app.runner.background.readiness_checker import ReadinessChecker
from app.runner.background.removal_checker import RemovalChecker
from app.runner.background.webhook_deliveries import (
    LEASE_EXTRA,
    LOOK_EVERY_SECONDS,
    Deliveries,
)
from app.runner.failover import Failover
from app.runner.runner import Capacity, Runner
from app.service.operations.health import HealthService, wait_until_ready
from app.service.operations.restore import RestoreService
from app.settings import RunnerMode, Settings
from app.store.accounts.account_store import AccountStore
from app.store.accounts.quotas import QuotaStore
from app.store.api_keys import KeyStore
from app.store.backlog import BacklogStore
from app.store.db.engine import Database
from app.store.db.health import HealthStore, is_migrated
from app.store.db.notify import DueHints
from app.store.db.vault import Vault
from app.store.jobs.claims import ClaimStore
from app.store.jobs.confirmations import ConfirmationStore
from app.store.jobs.holds import HoldStore
from app.store.jobs.media_links import MediaStore
from app.store.jobs.readiness import ReadinessStore
from app.store.jobs.recovery.gap import GapStore
from app.store.jobs.recovery.put_back import PutBack
from app.store.jobs.recovery.redated import RedatingStore
from app.store.jobs.recovery.restored import RestoreStore
from app.store.jobs.recovery.spool import Spool, SpoolStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.uploads import UploadStore
from app.store.last_seen import InstallationStore, LastSeen
from app.store.retention.pruning import RetentionStore
from app.store.runners import RunnerStore, SeenRunner
from app.store.webhooks.deliveries import DeliveryStore
from app.store.webhooks.endpoints import WebhookStore
from app.tiktok.client import TikTok
from app.tiktok.wire import Endpoint
from app.tracing import Tracing

log = structlog.get_logger(__name__)


MOST_LAG: Final = timedelta(minutes=1)
"""So much may be lost at a fail-over; what lost more is a restored backup."""


class Container:
    """The parts of a running process; each is made once, when first used.

    A clock that is passed in is trusted; the machine's own may be wrong. Making a
    container opens no connection. ``stop`` ends the runner, ticks and streams.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None,
        tracing: Tracing,
        stop: asyncio.Event,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self._doubts_clock = clock is None
        self.tracing = tracing
        self.stop = stop
        self._is_ready = False

    @property
    def run_by_cron(self) -> bool:
        """Tell whether only /cron/tick runs due jobs."""
        return self.settings.runner is RunnerMode.CRON

    @cached_property
    def database(self) -> Database:
        """Return the engine; raises SettingsError."""
        return open_database(self.settings, render=self._render)

    @cached_property
    def vault(self) -> Vault:
        """Return the vault that encrypts tokens; raises SettingsError."""
        return open_vault(self.settings)

    @cached_property
    def metrics(self) -> Metrics:
        """Return the metrics of this process."""
        return Metrics()

    @cached_property
    def figures(self) -> MetricsService:
        """Return the renderer of the metrics."""
        backlog = BacklogStore(self.database)
        return MetricsService(metrics=self.metrics, backlog=backlog, clock=self.clock)

    @cached_property
    def health(self) -> HealthService:
        """Return the health checks."""
        return HealthService(
            database=self.database,
            store=HealthStore(self.database, self.vault),
            clock=self.clock,
            runs=lambda: self.runner.running,
            tolerance=watch.tolerance if (watch := self.database_clock) else None,
        )

    @cached_property
    def outbound(self) -> Outbound:
        """Return the client for URLs that others chose."""
        return Outbound(allow_private=self.settings.allow_private_urls)

    @cached_property
    def tiktok(self) -> TikTok:
        """Return the client of TikTok's API."""
        settings = self.settings
        return TikTok(
            base_url=str(settings.tiktok_api_base_url),
            client_key=settings.tiktok_client_key,
            client_secret=plain(settings.tiktok_client_secret),
            timeout=settings.http_timeout_seconds,
            on_call=self._count_call,
        )

    @cached_property
    def jobs(self) -> JobStore:
        """Return the store of jobs for their owners."""
        return JobStore(
            self.database,
            preflights=self.settings.preflight_times,
            longest_pulled=self.settings.longest_pulled_url,
        )

    @cached_property
    def holds(self) -> HoldStore:
        """Return the store of holds."""
        return HoldStore(self.database)

    @cached_property
    def media_links(self) -> MediaStore:
        """Return the store of the media gateway's pull URLs."""
        return MediaStore(self.database)

    @cached_property
    def accounts(self) -> AccountStore:
        """Return the store of accounts."""
        return AccountStore(self.database, self.vault)

    @cached_property
    def keys(self) -> KeyStore:
        """Return the store of API keys."""
        return KeyStore(self.database)

    @cached_property
    def webhooks(self) -> WebhookStore:
        """Return the endpoints of frontends and what they were told."""
        return WebhookStore(self.database, self.vault)

    @cached_property
    def webhook_sender(self) -> WebhookSender:
        """Return what brings events to frontends."""
        return WebhookSender(
            self.outbound, seconds=self.settings.webhook_timeout_seconds
        )

    @cached_property
    def grants(self) -> Grants:
        """Return what keeps access tokens fresh."""
        return Grants(
            accounts=self.accounts,
            tiktok=self.tiktok,
            clock=self.clock,
            call_timeout=self.settings.http_timeout_seconds,
        )

    @cached_property
    def creators(self) -> CreatorCache:
        """Return the cache of creator_info."""
        return CreatorCache()

    @cached_property
    def creator_options(self) -> CreatorOptions:
        """Return what asks for creators' options apart from posts."""
        return CreatorOptions(
            creators=self.creators,
            pacer=self.pacer,
            tiktok=self.tiktok,
            clock=self.clock,
        )

    @cached_property
    def pacer(self) -> Pacer:
        """Return what keeps calls within TikTok's quotas."""
        settings = self.settings
        limits = {
            QuotaCall.CREATOR_INFO: settings.tiktok_creator_info_per_minute,
            QuotaCall.INIT: settings.tiktok_init_per_minute,
            QuotaCall.STATUS: settings.tiktok_status_per_minute,
        }
        store = QuotaStore(self.database)
        return Pacer(
            store,
            self.clock,
            limits,
            longest_rest=settings.retry_policy.longest,
            metrics=self.metrics,
        )

    @cached_property
    def deps(self) -> Dependencies:
        """Return what attempts work with."""
        lease = timedelta(seconds=self.settings.claim_timeout_seconds)
        base_url = self.settings.media_base_url
        return Dependencies(
            claims=ClaimStore(
                self.database,
                lease=lease,
                watch=self.database_clock,
                witness=self.witness,
            ),
            tiktok=self.tiktok,
            grants=self.grants,
            clock=self.clock,
            creators=self.creators,
            pacer=self.pacer,
            http_timeout=self.settings.http_timeout_seconds,
            measure=self.at_once,
            push=self._push_parts(),
            media=MediaGateway(base_url, self.media_links) if base_url else None,
            database_clock=self.database_clock,
            tiktok_clock=self._watch(),
            clock_jumps=self._clock_jumps(),
            failover=self.failover,
            spool=self.spool,
        )

    @cached_property
    def witness(self) -> Witness:
        """Return what remembers the inits that this process sent."""
        return Witness()

    @cached_property
    def failover(self) -> Failover:
        """Return what looks after the database's failing over."""
        shortest = timedelta(seconds=min(self.settings.retry_policy.steps))
        return Failover(
            self.database.lineage,
            self.runners,
            GapStore(self.database, shortest_retry=shortest),
            PutBack(self.database, self.witness, self.accounts),
            self.clock,
            me=SeenRunner(self._worker, __version__, self.clock.now()),
            tolerance=timedelta(seconds=self.settings.clock_tolerance_seconds),
        )

    @cached_property
    def database_clock(self) -> ClockWatch | None:
        """Return what compares our clock with the database's; None: ours is right."""
        return self._watch()

    def _watch(self) -> ClockWatch | None:
        now, tolerance = self.clock.now, self._tolerance
        return ClockWatch(now, tolerance=tolerance) if self._doubts_clock else None

    def _clock_jumps(self) -> ClockJumps | None:
        if not self._doubts_clock:
            return None
        return ClockJumps(self.clock.now, time.monotonic, tolerance=self._tolerance)

    @property
    def _tolerance(self) -> timedelta:
        return timedelta(seconds=self.settings.clock_tolerance_seconds)

    @cached_property
    def spool(self) -> Spool:
        """Return what keeps publish_ids that no database would take."""
        return Spool(self.settings.spool_dir, self.vault)

    async def hand_in(self) -> int:
        """Write publish_ids that an earlier process kept in files."""
        store = SpoolStore(self.database, self.spool)
        return await store.hand_in(now=self.clock.now())

    @cached_property
    def restore(self) -> RestoreService:
        """Return what is done after a restore."""
        return RestoreService(
            store=RestoreStore(self.database),
            holds=self.holds,
            clock=self.clock,
            installations=InstallationStore(self.database),
            last_seen=self._last_seen,
        )

    @cached_property
    def _last_seen(self) -> LastSeen:
        return LastSeen(self.settings.spool_dir)

    async def ready(self) -> None:
        """Do what has to be done before the first claim, once.

        Raises StoreUnavailable, also for a database without all tables: an init could
        be sent that cannot be recorded.
        """
        if self._is_ready:
            return
        if not await is_migrated(self.database):
            raise StoreUnavailable("the database is not migrated")
        await self.hand_in()
        # A fail-over loses moments, and is looked after; it is no restored backup.
        lag = MOST_LAG if await self.failover.is_open() else timedelta(0)
        count = await self.restore.hold_if_unannounced(lag=lag)
        if count is not None:
            log.error(
                "all posting is on hold: look at the jobs, then `release`",
                unconfirmed=count,
            )
        self._is_ready = True

    async def hand_in_if_possible(self) -> None:
        """Do it before any job is claimed; else a background job does it later."""
        try:
            await self.hand_in()
        except StoreUnavailable as error:
            log.warning(
                "publish_ids kept in SPOOL_DIR wait for the database", reason=str(error)
            )

    @cached_property
    def runner(self) -> Runner:
        """Return the runner of due jobs."""
        return Runner(
            self.deps,
            self._attempt_policy(),
            self._capacity(),
            self.background_jobs,
            metrics=self.metrics,
            tracing=self.tracing,
        )

    @cached_property
    def background_jobs(self) -> BackgroundJobs:
        """Return the runner's background jobs, each with the seconds between passes."""
        removals = RemovalChecker(
            accounts=self.accounts,
            grants=self.grants,
            tiktok=self.tiktok,
            clock=self.clock,
        )
        jobs = (
            BackgroundJob(
                "confirm", 10, lambda: self.confirmer.run_due(limit=20), Hint.TIKTOK
            ),
            BackgroundJob(
                "removals", 10, partial(removals.run_due, limit=20), Hint.TIKTOK
            ),
            BackgroundJob("refresh", 60, self._refresh),
            BackgroundJob(
                "preflight", 15, lambda: self.readiness_checker.run_due(limit=8)
            ),
            *self._housekeeping(),
            BackgroundJob(
                "deliver",
                LOOK_EVERY_SECONDS,
                self.deliveries.run_due,
                Hint.OUTBOX,
                prompt=self.deliveries.hint,
                follows_jobs=True,
            ),
        )
        return BackgroundJobs(jobs, self.clock)

    async def _refresh(self) -> None:
        """Refresh no pair that a failed-over database may know by a former one."""
        if await self.failover.ready():
            await self.grants.refresh_expiring(now=self.clock.now(), limit=50)

    def _housekeeping(self) -> tuple[BackgroundJob, ...]:
        now = self.clock.now
        return (
            BackgroundJob("heartbeat", 30, self._say_alive),
            BackgroundJob("hand in", 30, self.hand_in),
            BackgroundJob("redate", 30, self._redate),
            BackgroundJob("let go", 5, lambda: self.holds.let_go(now=now())),
            BackgroundJob("prune", 3600, self._prune),
        )

    @cached_property
    def runners(self) -> RunnerStore:
        """Return the store of live runners."""
        return RunnerStore(self.database)

    @cached_property
    def _worker(self) -> str:
        return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:6]}"

    async def _say_alive(self) -> None:
        now = self.clock.now()
        if not await self.failover.beat(now=now):
            return
        found = await InstallationStore(self.database).look()
        if found is not None:
            await asyncio.to_thread(self._last_seen.write, found.name, now)

    async def _redate(self) -> None:
        """Let jobs go on that a wrong clock put off too far."""
        settings = self.settings
        bounds = Bounds(
            lease=timedelta(seconds=settings.claim_timeout_seconds),
            longest=max(settings.retry_policy.longest, LONGEST_TURN),
            delivery=timedelta(seconds=max(settings.webhook_retry_seconds)),
            # Two workers may be as far on either side of the database's clock.
            slack=timedelta(seconds=2 * settings.clock_tolerance_seconds + 1),
        )
        store = RedatingStore(self.database, bounds, watch=self.database_clock)
        if count := await store.run(now=self.clock.now()):
            log.warning(
                "jobs or events waited because a clock was wrong; they continue",
                count=count,
            )

    async def _prune(self) -> None:
        """Delete nothing by a clock that another one contradicts."""
        await self.deps.claims.next_due()  # it compares them
        if self.database_clock is None or not self.database_clock.is_skewed:
            pruner = Pruner(
                store=RetentionStore(self.database),
                webhooks=self.webhooks,
                clock=self.clock,
                keep=self.settings.retention,
            )
            await pruner.run_due()

    @cached_property
    def confirmer(self) -> Confirmer:
        """Return the confirmer of ended jobs."""
        return Confirmer(
            store=ConfirmationStore(self.database),
            links=self.media_links,
            tiktok=self.tiktok,
            grants=self.grants,
            pacer=self.pacer,
            clock=self.clock,
            metrics=self.metrics,
            sole_publisher=self.settings.sole_publisher,
        )

    @cached_property
    def readiness_checker(self) -> ReadinessChecker:
        """Return the checker of jobs before their time."""
        return ReadinessChecker(
            store=ReadinessStore(self.database),
            grants=self.grants,
            options=self.creator_options,
            media=MediaChecker(self.outbound),
            clock=self.clock,
            preflights=self.settings.preflight_times,
            inits_per_minute=self.settings.tiktok_init_per_minute,
        )

    @cached_property
    def deliveries(self) -> Deliveries:
        """Return the sender of events."""
        lease = timedelta(seconds=self.settings.webhook_timeout_seconds) + LEASE_EXTRA
        return Deliveries(
            store=DeliveryStore(
                self.database, self.vault, lease=lease, render=self._render
            ),
            sender=self.webhook_sender,
            clock=self.clock,
            metrics=self.metrics,
            retry_after=self.settings.webhook_retry_seconds,
        )

    @cached_property
    def render_event(self) -> Render:
        """Return the renderer of events' bodies, which show what the API shows."""
        # Imported here, so that a process without events does not load the models.
        from app.schemas.events import body_of

        return partial(body_of, run_by_cron=self.run_by_cron)

    async def run_jobs(self) -> None:
        """Run due jobs until ``stop``, woken by any process that stores a job.

        Waits first until the database has all tables.
        """
        # So that neither the first post nor the first event waits for an import.
        self.tiktok.ready()
        _ = self.render_event
        if not await wait_until_ready(self.ready, clock=self.clock, stop=self.stop):
            return
        async with DueHints(self.database, self.clock).waking(self.runner.wake):
            await self.runner.run(self.stop)
        await self.failover.sign_off()

    async def close(self) -> None:
        """Close what was made; waits for running refreshes."""
        made = vars(self)
        try:
            if "grants" in made:
                await self.grants.close()
        finally:
            if "database" in made:
                await self.database.close()
            if self.tracing.provider is not None:  # closing may wait for the collector
                await asyncio.to_thread(self.tracing.close)

    def _render(self, kind: EventType, at: datetime, shows: EventPayload) -> bytes:
        return self.render_event(kind, at, shows)

    def _count_call(
        self, endpoint: Endpoint, fault: Fault | None, seconds: float
    ) -> None:
        self.metrics.tiktok.call(endpoint, fault, seconds)
        self.tracing.call(endpoint, fault, seconds)

    @cached_property
    def at_once(self) -> AtOnce:
        """Return what measures videos right before their init."""
        return AtOnce(self.outbound)

    def _push_parts(self) -> PushParts:
        settings = self.settings
        return PushParts(
            uploads=UploadStore(self.database, self.vault, witness=self.witness),
            measure=self.at_once,
            outbound=self.outbound,
            sizes=settings.chunk_sizes,
            hosts=settings.allowed_upload_hosts,
            allow_http=settings.allow_private_urls,
            silence=settings.http_timeout_seconds,
            monotonic=time.monotonic,
            watch=self.metrics.uploads,
        )

    def _attempt_policy(self) -> AttemptPolicy:
        settings = self.settings
        return AttemptPolicy(
            poll=PollPolicy(
                interval=timedelta(seconds=settings.poll_interval_seconds),
                deadline=timedelta(seconds=settings.poll_deadline_seconds),
            ),
            retry=settings.retry_policy,
            random=random.random,
        )

    def _capacity(self) -> Capacity:
        return Capacity(
            worker=self._worker,
            batch=self.settings.claim_batch_size,
            in_flight=self.settings.max_in_flight,
        )


@asynccontextmanager
async def open_container(
    settings: Settings,
    *,
    clock: Clock | None = None,
    tracing: Tracing | None = None,
    stop: asyncio.Event | None = None,
) -> AsyncIterator[Container]:
    """Yield a container, and close it at the end.

    Opens no connection yet. Raises SettingsError.
    """
    container = Container(
        settings,
        clock=clock,
        tracing=tracing or open_tracing(settings),
        stop=stop or asyncio.Event(),
    )
    try:
        _ = container.database, container.vault  # a wrong setting stops the start
        async with _hurried(container):
            yield container
    finally:
        await container.close()


@asynccontextmanager
async def _hurried(container: Container) -> AsyncIterator[None]:
    """After a stop, wait for a hanging database only for seconds."""

    async def pass_on() -> None:
        await container.stop.wait()
        container.database.hurry()

    watcher = asyncio.create_task(pass_on(), name="hurry")
    try:
        yield
    finally:
        watcher.cancel()
