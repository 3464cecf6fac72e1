"""Metrics for Prometheus: what this process counts, and the state of the queue."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from app.domain.errors import StoreUnavailable
from app.domain.jobs.job import Job
from app.domain.jobs.transition import Transition
from app.machine.clock import Clock
from app.machine.log_writer import dropped_lines
from app.metrics.posts import DuplicateMetrics, PostMetrics, Prevented
from app.metrics.queue import QueueMetrics
from app.metrics.tiktok import TikTokMetrics, UploadMetrics
from app.metrics.webhooks import WebhookMetrics
from app.store.backlog import BacklogStore
from app.store.jobs.claims import Claimed

__all__ = ["Metrics", "Prevented"]


class Metrics:
    """A separate registry, so that a process can hold two apps, as tests do."""

    def __init__(self) -> None:
        # No extra series per counter with its start time.
        disable_created_metrics()  # type: ignore[no-untyped-call]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsService:
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
