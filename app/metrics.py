"""What a runner counts for Prometheus: whether posts are late, and their ends."""

from datetime import datetime, timedelta
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.domain.job import Job, JobStatus
from app.domain.transition import Transition
from app.store.backlog import Backlog
from app.store.claims import Claimed

LATENESS_BUCKETS: Final = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 21_600)
"""Seconds; a cron trigger alone brings up to 60."""


class Metrics:
    """One registry of its own, so that a process can hold two apps, as tests do."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.init_lateness = _lateness(
            "init", "From a post's time to TikTok taking it", registry
        )
        self.posted_lateness = _lateness(
            "posted", "From a post's time to TikTok having posted it", registry
        )
        self.attempts = Counter(
            "scheduler_attempts",
            "Attempts that ended, by what they came to and what was decided",
            ("outcome", "decision"),
            registry=registry,
        )
        self.claimed = Counter("scheduler_claims", "Jobs claimed", registry=registry)
        self.abandoned = Counter(
            "scheduler_claims_abandoned",
            "Claims taken over from workers that went away",
            registry=registry,
        )
        self.due = Gauge(
            "scheduler_jobs_due",
            "Jobs that are due and that no worker has",
            registry=registry,
        )
        self.oldest_due = Gauge(
            "scheduler_oldest_due_seconds",
            "For how long the oldest of them has been due",
            registry=registry,
        )

    def claim(self, claimed: Claimed) -> None:
        """Count a claim."""
        self.claimed.inc(len(claimed.jobs) + claimed.failed)
        self.abandoned.inc(claimed.reclaimed)

    def end(self, job: Job, change: Transition) -> None:
        """Count an attempt that was written down, and how late its post was."""
        if change.entry is not None:
            self.attempts.labels(change.entry.outcome, change.entry.decision).inc()
        if change.to is JobStatus.POSTED and job.posted_at is not None:
            self.posted_lateness.observe(_late(job, job.posted_at))
            if job.publish_started_at is not None:
                self.init_lateness.observe(_late(job, job.publish_started_at))

    def see(self, backlog: Backlog, now: datetime) -> None:
        """Note what waits."""
        oldest = backlog.oldest
        self.due.set(backlog.due)
        self.oldest_due.set(0 if oldest is None else (now - oldest).total_seconds())


def _lateness(name: str, text: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(
        f"scheduler_{name}_lateness_seconds",
        text,
        buckets=LATENESS_BUCKETS,
        registry=registry,
    )


def _late(job: Job, moment: datetime) -> float:
    return max(timedelta(0), moment - job.scheduled_for).total_seconds()
