"""The queue's state from the database, the same in every process."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge

from app.store.backlog import Backlog


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
