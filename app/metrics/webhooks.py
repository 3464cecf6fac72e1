"""Deliveries to frontends."""

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter

from app.domain.webhook_endpoint import DisabledReason


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
