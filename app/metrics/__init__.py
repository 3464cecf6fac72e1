"""What this process counts and what it sees of the queue, as Prometheus reads it."""

from prometheus_client import CollectorRegistry
from prometheus_client.process_collector import ProcessCollector

from app.metrics.duplicates import DuplicateMetrics, Prevented
from app.metrics.posts import PostMetrics
from app.metrics.queue import QueueMetrics
from app.metrics.tiktok import TikTokMetrics

__all__ = ["Metrics", "Prevented"]


class Metrics:
    """One registry of its own, so that a process can hold two apps, as tests do."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.posts = PostMetrics(self.registry)
        self.duplicates = DuplicateMetrics(self.registry)
        self.tiktok = TikTokMetrics(self.registry)
        self.queue = QueueMetrics(self.registry)
        ProcessCollector(registry=self.registry)
