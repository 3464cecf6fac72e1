"""Traces: what belongs together, and no secret in any of it."""

import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import LogCapture

from app.logs import configure_logging
from app.main import create_app
from app.opening import open_tracing
from app.sandbox.server import RunningSandbox, running_sandbox
from app.sandbox.settings import SandboxSettings
from app.tracing import Tracing
from app.tracing.otel import OpenTelemetry, exporting_to
from tests.api.serving import CRON_SECRET, client_of, job_body, settings_of
from tests.domain.jobs.sample import a_job
from tests.support.logs import restored
from tests.support.patience import PATIENCE_SECONDS

ACCOUNT = {
    "openId": "sandbox_user",
    "accessToken": "act.sandbox",
    "refreshToken": "rft.sandbox",
    "expiresIn": 7200,
    "refreshExpiresIn": 15_552_000,
    "scope": "video.publish",
}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CRON = {"Authorization": f"Bearer {CRON_SECRET}", "traceparent": PARENT}


@dataclass
class Traced:
    """An app whose spans are kept."""

    client: httpx.AsyncClient
    stranger: httpx.AsyncClient
    tiktok: RunningSandbox
    exporter: InMemorySpanExporter

    def spans(self, name: str) -> list[ReadableSpan]:
        """Return the spans of one name that ended."""
        return [it for it in self.exporter.get_finished_spans() if it.name == name]


@asynccontextmanager
async def traced_app(database_url: str) -> AsyncIterator[Traced]:
    """Serve an app on the simulator."""
    exporter = InMemorySpanExporter()
    weather = SandboxSettings(quotas=None, pull=False, processing_seconds=0)
    async with running_sandbox(settings=weather) as tiktok:
        settings = settings_of(
            database_url,
            tiktok_api_base_url=tiktok.url,
            allow_private_urls=True,
            poll_interval_seconds=0.05,
        )
        tracing = OpenTelemetry(SimpleSpanProcessor(exporter))
        app = create_app(settings, tracing=tracing)
        async with app.router.lifespan_context(app):
            _, secret = await app.state.services.keys.create("test", None)
            async with client_of(app, secret) as client, client_of(app, None) as other:
                yield Traced(client, other, tiktok, exporter)


@pytest.fixture
async def traced(sqlite_url: str) -> AsyncIterator[Traced]:
    """Give such an app."""
    async with traced_app(sqlite_url) as running:
        yield running


async def post(traced: Traced) -> dict[str, Any]:
    """Connect an account and ask for a post."""
    put = await traced.client.put("/v1/projects/proj_1/accounts/tiktok", json=ACCOUNT)
    assert put.status_code == 201
    url = f"{traced.tiktok.url}/_sandbox/video.mp4"
    created = await traced.client.post("/v1/jobs", json=job_body(assetUrl=url))
    assert created.status_code == 201
    job: dict[str, Any] = created.json()
    return job


async def test_a_ticks_trace_holds_its_attempts_and_their_calls(traced: Traced) -> None:
    """From whoever triggered it, over the attempt, down to what TikTok was asked."""
    job = await post(traced)
    assert (await traced.stranger.post("/cron/tick", headers=CRON)).json()[
        "posted"
    ] == 1
    (tick,) = traced.spans("POST /cron/tick")
    (attempt,) = traced.spans("attempt")
    (init,) = traced.spans("tiktok init")
    assert tick.parent is not None
    assert f"{tick.parent.span_id:016x}" == PARENT.split("-")[2]
    assert attempt.parent == tick.context
    assert init.parent == attempt.context
    assert attempt.attributes is not None
    told = {
        key: attempt.attributes[f"scheduler.{key}"] for key in ("job_id", "outcome")
    }
    assert told == {"job_id": job["id"], "outcome": "Published"}


async def test_a_call_that_failed_says_why(traced: Traced) -> None:
    """By TikTok's code, as on the job and in the metrics."""
    await post(traced)
    rule = {"kind": "error", "code": "internal_error", "http_status": 500}
    script = f"{traced.tiktok.url}/_sandbox/faults"
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        answer = await client.post(script, json={"call": "init", "fault": rule})
        assert answer.is_success, answer.text
    await traced.stranger.post("/cron/tick", headers=CRON)
    for name in ("tiktok init", "attempt"):
        (span,) = traced.spans(name)
        assert span.attributes is not None
        assert span.attributes["error.type"] == "internal_error"
        assert not span.status.is_ok


async def test_no_secret_stands_in_a_span(traced: Traced) -> None:
    """A query may hold an OAuth code, a pull URL is one, and people mistype."""
    await post(traced)
    for mistyped in (
        "/v1/jobs/tts_hush-typed-key",
        "/tts_hush-typed-key",
        "/v1/a/act.hush-typed",
    ):
        await traced.client.get(mistyped)
    await traced.stranger.get("/oauth/tiktok/callback?code=hush-code&state=hush-state")
    await traced.stranger.get("/media/hush-token/v.mp4")
    await traced.stranger.post("/cron/tick", headers=CRON)
    spans = traced.exporter.get_finished_spans()
    assert {"GET /oauth/tiktok/callback", "attempt", "tiktok status"} <= {
        span.name for span in spans
    }
    written = "\n".join(span.to_json() for span in spans)
    for secret in ("hush", "act.sandbox", CRON_SECRET, "Bearer"):
        assert secret not in written


async def test_probes_leave_no_trace(traced: Traced) -> None:
    """They come every few seconds."""
    for path in ("/healthz", "/readyz", "/metrics"):
        await traced.stranger.get(path)
    assert traced.exporter.get_finished_spans() == ()


def test_log_lines_name_the_trace(capsys: pytest.CaptureFixture[str]) -> None:
    """From a line to its trace and back."""
    exporter = InMemorySpanExporter()
    tracing = OpenTelemetry(SimpleSpanProcessor(exporter))
    with restored():
        configure_logging("json", "info")
        structlog.get_logger("app.test").info("outside")
        with tracing.attempt(a_job()):
            structlog.get_logger("app.test").info("inside")
    outside, inside = capsys.readouterr().err.splitlines()
    (span,) = exporter.get_finished_spans()
    assert span.context is not None
    assert f'"trace_id": "{span.context.trace_id:032x}"' in inside
    assert "trace_id" not in outside


def test_without_a_collector_nothing_of_the_sdk_is_imported() -> None:
    """Tracing costs nothing where nobody listens."""
    program = (
        "import sys, app.main, app.worker\n"
        "from app.opening import open_tracing\n"
        "from app.settings import Settings\n"
        "from app.tracing import Tracing\n"
        "assert type(open_tracing(Settings(_env_file=None))) is Tracing\n"
        "assert not [it for it in sys.modules if it.startswith('opentelemetry.sdk')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_the_packages_a_warning_is_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform that sets the variable for all it runs stops no post."""
    monkeypatch.setitem(sys.modules, "app.tracing.otel", None)
    settings = settings_of(
        "sqlite+aiosqlite://", otel_exporter_otlp_endpoint="http://127.0.0.1:9/"
    )
    capture = LogCapture()
    with restored():
        structlog.configure(processors=[capture])
        tracing = open_tracing(settings)
    assert type(tracing) is Tracing
    (line,) = capture.entries
    assert line["log_level"] == "warning"
    assert "otel" in line["event"]


def test_spans_go_to_the_collector(collector: HTTPServer) -> None:
    """Over OTLP/HTTP to its traces, under our name, at the latest when we stop."""
    tracing = exporting_to(f"http://127.0.0.1:{collector.server_port}/")
    with tracing.attempt(a_job()):
        pass
    tracing.close()
    (path, body) = RECEIVED.pop()
    assert path == "/v1/traces"
    assert b"tiktok-scheduler" in body
    assert b"job-1" in body


RECEIVED: list[tuple[str, bytes]] = []


class Collector(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    def do_POST(self) -> None:
        """Take it."""
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        RECEIVED.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    """Listen on a port."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none")
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
