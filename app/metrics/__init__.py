"""Metrics for Prometheus: what this process counts, and the state of the queue."""

from prometheus_client import CollectorRegistry, disable_created_metrics
from prometheus_client.process_collector import ProcessCollector

from app.domain.jobs.job import Job
from app.domain.jobs.transition import Transition
from app.metrics.duplicates import DuplicateMetrics, Prevented
from app.metrics.logs import LogMetrics
from app.metrics.posts import PostMetrics
from app.metrics.queue import QueueMetrics
from app.metrics.tiktok import TikTokMetrics
from app.metrics.uploads import UploadMetrics
from app.metrics.webhooks import WebhookMetrics
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
        LogMetrics(self.registry)
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
