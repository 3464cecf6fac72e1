"""Traces: a span per request, per attempt and per call to TikTok, if somebody listens.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set. Then nothing of OpenTelemetry's SDK is
imported, and an attempt pays for an empty context manager.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

import structlog

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault
from app.tiktok import Endpoint

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["Tracing", "Untraced", "open_tracing"]

log = structlog.get_logger(__name__)


class Tracing(Protocol):
    """What is told of the work, span by span."""

    @property
    def provider(self) -> "TracerProvider | None":
        """Return what FastAPI traces requests with, None for not at all."""
        ...

    def attempt(self, job: Job) -> AbstractContextManager[object]:
        """Surround an attempt; what is called within it belongs to it."""
        ...

    def ended(self, outcome: str, error_code: str | None) -> None:
        """Say what the present attempt came to."""
        ...

    def call(self, endpoint: Endpoint, fault: Fault | None, seconds: float) -> None:
        """Add a call to TikTok that just ended."""
        ...

    def close(self) -> None:
        """Send what is left; may take seconds."""
        ...


class Untraced:
    """Traces nothing."""

    provider = None

    def attempt(self, job: Job) -> AbstractContextManager[object]:  # noqa: ARG002
        """Surround nothing."""
        return nullcontext()

    def ended(self, outcome: str, error_code: str | None) -> None:
        """Say nothing."""

    def call(self, endpoint: Endpoint, fault: Fault | None, seconds: float) -> None:
        """Add nothing."""

    def close(self) -> None:
        """Send nothing."""


def open_tracing(endpoint: str | None) -> Tracing:
    """Trace to a collector's address, or not at all without one.

    Without the extra ``otel`` a warning is all that comes of it: platforms set the
    variable for whatever they run.
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
