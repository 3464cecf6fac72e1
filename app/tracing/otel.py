"""Spans for OpenTelemetry; imported only if tracing is on.

https://opentelemetry.io/docs/languages/python/
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode, get_current_span

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault
from app.logs import REDACTED, without_secrets
from app.tiktok.wire import Endpoint
from app.tracing import Tracing

NAME: Final = "tiktok-scheduler"


class OpenTelemetry(Tracing):
    """Traces with its own provider, not the process's global one."""

    def __init__(self, processor: SpanProcessor) -> None:
        self.provider: TracerProvider = TracerProvider(
            resource=_resource(), shutdown_on_exit=False
        )
        self.provider.add_span_processor(_Discreet())
        self.provider.add_span_processor(processor)
        self._tracer = self.provider.get_tracer(NAME)

    @contextmanager
    def attempt(self, job: Job) -> Iterator[None]:
        """Make the span of an attempt, without exceptions' texts."""
        with self._tracer.start_as_current_span(
            "attempt",
            attributes={
                "scheduler.job_id": job.id,
                "scheduler.project_id": job.project_id,
                "scheduler.platform": job.platform,
                "scheduler.attempt": job.attempt_number + 1,
            },
            record_exception=False,
            set_status_on_exception=False,
        ):
            yield

    def ended(self, outcome: str, error_code: str | None) -> None:
        """Set the outcome of the current attempt."""
        span = get_current_span()
        span.set_attribute("scheduler.outcome", outcome)
        if error_code is not None:
            span.set_attribute("error.type", error_code)
            span.set_status(Status(StatusCode.ERROR))

    def call(self, endpoint: Endpoint, fault: Fault | None, seconds: float) -> None:
        """Add a span that began ``seconds`` ago and ends now."""
        now = time.time_ns()
        span = self._tracer.start_span(
            f"tiktok {endpoint}",
            kind=SpanKind.CLIENT,
            attributes={"tiktok.endpoint": endpoint.value},
            start_time=now - round(seconds * 1e9),
        )
        if fault is not None:
            span.set_attribute("error.type", fault.code)
            span.set_attribute("tiktok.verdict", fault.verdict.value)
            if fault.http_status is not None:
                span.set_attribute("http.response.status_code", fault.http_status)
            if fault.log_id is not None:
                span.set_attribute("tiktok.log_id", fault.log_id)
            span.set_status(Status(StatusCode.ERROR))
        span.end(now)

    def close(self) -> None:
        """Send the remaining spans."""
        self.provider.shutdown()


class _Discreet(SpanProcessor):
    """Redacts what FastAPI puts on a request's span and may be secret.

    A query can hold an OAuth code, a pull URL is a secret, and people type keys into
    paths. FastAPI's own redaction covers none of these.
    """

    def on_start(
        self,
        span: Span,
        parent_context: Context | None = None,  # noqa: ARG002  the SDK's signature
    ) -> None:
        """Overwrite attributes, since they cannot be removed."""
        attributes = span.attributes or {}
        if "url.query" in attributes:
            span.set_attribute("url.query", REDACTED)
        path = str(attributes.get("url.path", ""))
        if path.startswith("/media/"):
            span.set_attribute("url.path", f"/media/{REDACTED}")
        elif (shown := without_secrets(path)) != path:
            span.set_attribute("url.path", shown)


def exporting_to(endpoint: str) -> OpenTelemetry:
    """Return tracing that sends spans over OTLP/HTTP, in batches from a thread.

    The SDK reads its other variables itself, such as OTEL_EXPORTER_OTLP_HEADERS.
    """
    exporter: SpanExporter = OTLPSpanExporter(
        endpoint=f"{endpoint.rstrip('/')}/v1/traces"
    )
    return OpenTelemetry(BatchSpanProcessor(exporter))


def _resource() -> Resource:
    """Set the service's name, unless OTEL_SERVICE_NAME does."""
    found = Resource.create()
    if str(found.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return found.merge(Resource({SERVICE_NAME: NAME}))
    return found
