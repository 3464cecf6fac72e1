"""Traces: a span per request, attempt and call to TikTok, if there is a collector.

Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set. While it is off, OpenTelemetry's SDK is
not imported, and an attempt costs an empty context manager.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault
from app.tiktok.wire import Endpoint

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


class Tracing:
    """Makes spans; this one traces nothing."""

    provider: "TracerProvider | None" = None
    """Of FastAPI's request spans; None: no tracing."""

    def attempt(self, job: Job) -> AbstractContextManager[object]:  # noqa: ARG002  for others
        """Make the span of an attempt; calls within it become its children."""
        return nullcontext()

    def ended(self, outcome: str, error_code: str | None) -> None:
        """Set the outcome of the current attempt."""

    def call(self, endpoint: Endpoint, fault: Fault | None, seconds: float) -> None:
        """Add the span of a call to TikTok that just ended; it took ``seconds``."""

    def close(self) -> None:
        """Send the remaining spans; may take seconds."""
