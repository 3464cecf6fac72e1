"""Metrics for Prometheus: what this process counts, and the state of the queue."""

import logging
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from app.domain.errors import StoreUnavailable
from app.domain.jobs.job import Job
from app.domain.jobs.transition import Transition
from app.domain.webhook_endpoint import DisabledReason
from app.machine.clock import Clock
from app.machine.log_writer import dropped_lines
from app.metrics.posts import DuplicateMetrics, PostMetrics, Prevented
from app.metrics.tiktok import TikTokMetrics, UploadMetrics
from app.store.backlog import Backlog, BacklogStore
from app.store.jobs.claims import Claimed

__all__ = ["Delivered", "Metrics", "Prevented"]


class Metrics:
    """A separate registry, so that a process can hold two apps, as tests do."""

    def __init__(self) -> None:
        # No extra series per counter with its start time.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types
        self.registry = CollectorRegistry()
        self.posts = PostMetrics(self.registry)
        self.duplicates = DuplicateMetrics(self.registry)
        self.tiktok = TikTokMetrics(self.registry)
        self.uploads = UploadMetrics(self.registry)
        self.queue = QueueMetrics(self.registry)
        self.webhooks = WebhookMetrics(self.registry)
        _LogMetrics(self.registry)
        ProcessCollector(registry=self.registry)

    def claim(self, claimed: Claimed) -> None:
        """Count a claim, and the abandoned attempts that ended with it."""
        self.posts.claim(claimed)
        for each in claimed.taken_over:
            self.duplicates.end(each.change)

    def end(self, job: Job, change: Transition) -> None:
        """Count an attempt that was written."""
        self.posts.end(job, change)
        self.duplicates.end(change)


class QueueMetrics:
    """Exports what is due, and what waits for a person."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._up = Gauge(
            "scheduler_database_up",
            "Whether the database answered when it was asked for the figures below",
            registry=registry,
        )
        self._due = Gauge(
            "scheduler_jobs_due",
            "Jobs that are due and that no worker has",
            registry=registry,
        )
        self._oldest_due = Gauge(
            "scheduler_oldest_due_seconds",
            "For how long the oldest of them has been due",
            registry=registry,
        )
        self._unconfirmed = Gauge(
            "scheduler_jobs_unconfirmed",
            "Jobs that ended without anybody knowing whether TikTok took them",
            registry=registry,
        )
        self._reconnect = Gauge(
            "scheduler_accounts_reconnect_required",
            "Accounts that a person has to connect again",
            registry=registry,
        )

    def see(self, backlog: Backlog, now: datetime) -> None:
        """Set the figures."""
        oldest = backlog.oldest
        self._up.set(1)
        self._due.set(backlog.due)
        self._oldest_due.set(0 if oldest is None else (now - oldest).total_seconds())
        self._unconfirmed.set(backlog.unconfirmed)
        self._reconnect.set(backlog.reconnect_required)

    def miss(self) -> None:
        """Note that the database did not answer; the last figures stay."""
        self._up.set(0)


class Delivered(StrEnum):
    """The result of one try to deliver an event."""

    DELIVERED = "delivered"
    RETRYING = "retrying"
    FAILED = "failed"  # given up


class WebhookMetrics:
    """Counts this process's deliveries."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._deliveries = Counter(
            "scheduler_webhook_deliveries",
            "Tries to deliver an event to a frontend, by what they came to",
            ("result",),
            registry=registry,
        )
        self._disabled = Counter(
            "scheduler_webhook_endpoints_disabled",
            "Endpoints that are no longer called, by reason",
            ("reason",),
            registry=registry,
        )
        for result in Delivered:
            self._deliveries.labels(result)
        for reason in DisabledReason:
            self._disabled.labels(reason)

    def sent(self, result: Delivered) -> None:
        """Count a try."""
        self._deliveries.labels(result).inc()

    def disabled(self, reason: DisabledReason) -> None:
        """Count an endpoint that was disabled."""
        self._disabled.labels(reason).inc()


class _LogMetrics(Collector):
    """Tells of lines that nobody read in time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        registry.register(self)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Count them as they stand."""
        yield CounterMetricFamily(
            "scheduler_log_lines_dropped",
            "Log lines dropped because nobody read them in time",
            value=dropped_lines(logging.getLogger().handlers),
        )


class MetricsService(Struct, frozen=True, kw_only=True):
    """Renders metrics for Prometheus."""

    metrics: Metrics
    backlog: BacklogStore
    clock: Clock

    async def render(self) -> bytes:
        """Return all metrics; if the database is away, the queue's last figures."""
        now = self.clock.now()
        # /readyz reports the database; what this process counted is still true.
        try:
            self.metrics.queue.see(await self.backlog.look(now=now), now)
        except StoreUnavailable:
            self.metrics.queue.miss()
        return generate_latest(self.metrics.registry)
