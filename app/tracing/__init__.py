"""Traces: a span per request, attempt and call to TikTok, if there is a collector.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set. While it is off, OpenTelemetry's SDK is
not imported, and an attempt costs an empty context manager.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

import structlog

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault
from app.tiktok.wire import Endpoint

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["Tracing", "Untraced", "open_tracing"]

log = structlog.get_logger(__name__)


class Tracing(Protocol):
    """Makes spans."""

    @property
    def provider(self) -> "TracerProvider | None":
        """Return the provider for FastAPI's request spans, None for no tracing."""
        ...

    def attempt(self, job: Job) -> AbstractContextManager[object]:
        """Make the span of an attempt; calls within it become its children."""
        ...

    def ended(self, outcome: str, error_code: str | None) -> None:
        """Set the outcome of the current attempt."""
        ...

    def call(self, endpoint: Endpoint, fault: Fault | None, seconds: float) -> None:
        """Add the span of a call to TikTok that just ended."""
        ...

    def close(self) -> None:
        """Send the remaining spans; may take seconds."""
        ...


class Untraced:
    """Traces nothing."""

    provider = None

    def attempt(self, job: Job) -> AbstractContextManager[object]:  # noqa: ARG002
        """Make no span."""
        return nullcontext()

    def ended(self, outcome: str, error_code: str | None) -> None:
        """Do nothing."""

    def call(self, endpoint: Endpoint, fault: Fault | None, seconds: float) -> None:
        """Add no span."""

    def close(self) -> None:
        """Close nothing."""


def open_tracing(endpoint: str | None) -> Tracing:
    """Trace to a collector's address; without one, not at all.

    Without the extra ``otel`` it only warns: platforms set the variable for whatever
    they run.
    """
    if endpoint is None:
        return Untraced()
    try:
        from app.tracing.otel import exporting_to
    except ImportError:
        log.warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and nothing is traced: the packages"
            " of the extra `otel` are not installed"
        )
        return Untraced()
    return exporting_to(endpoint)
