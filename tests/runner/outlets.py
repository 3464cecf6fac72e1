"""Everything that anybody gets to see or read of a service, as one text."""

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest
import structlog
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest
from sqlalchemy import select
from structlog.testing import LogCapture

from app import container as wiring
from app.domain.jobs.job import Job
from app.service.operations.checks import database_checks
from app.store.db.metadata import metadata
from app.tracing.otel import OpenTelemetry
from app.use_cases import UseCases
from tests.runner.stage import Stage, Worker
from tests.support.logs import restored
from tests.support.outbox import told

_OURS: Final = ("app.", "httpx")
_RETURNS: Final = (StopIteration, StopAsyncIteration, GeneratorExit)
_THEIRS: Final = "app.sandbox"
"""The simulator stands for TikTok, which knows its own tokens."""


TraceFunction = Callable[[FrameType, str, Any], Any]


@dataclass
class Outlets:
    """Collects them; each under its name, so that a leak is found quickly."""

    spool: Path
    logs: LogCapture = field(default_factory=LogCapture)
    lines: list[str] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def look_at_objects(self) -> None:
        """Note how every object of ours, and of httpx, shows itself now."""
        for each in gc.get_objects():
            module = str(type(each).__module__)
            if module.startswith(_OURS) and not module.startswith(_THEIRS):
                self.shown.append(repr(each))

    async def all(self, stage: Stage, worker: Worker, job: Job) -> dict[str, str]:
        """Read every outlet."""
        cases, database = UseCases(worker.container), worker.container.database
        now = await worker.job(job)
        story = await cases.jobs.history(job.id, scope=None)
        tables: dict[str, Any] = {}
        async with database.read() as connection:
            for table in metadata.sorted_tables:
                rows = (await connection.execute(select(table))).mappings()
                tables[table.name] = [dict(row) for row in rows]
        registry = worker.container.metrics.registry
        records = [each.to_json() for each in stage.tiktok.sandbox.calls.find()]
        return {
            "log events, before anything is redacted": repr(self.logs.entries),
            "libraries' log lines": "\n".join(self.lines),
            "exceptions": "\n".join(self.raised),
            "objects": "\n".join(self.shown),
            "the job": repr(now),
            "the API's answer": repr(cases.show(now)),
            "the history": repr(story),
            "the ledger": repr(await worker.ledger(job)),
            "status": repr(await cases.status.look()),
            "doctor": repr(await database_checks(database)),
            "the database": repr(tables),
            "events": repr(await told(database)),
            "traces": "".join(it.to_json() for it in self.spans.get_finished_spans()),
            "metrics": generate_latest(registry).decode(),
            "the spool": "".join(_texts(self.spool)),
            "SQLite's files": "".join(_texts(self.spool.parent)),
            "the simulator's record": repr(records),
        }


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch, spool: Path) -> Iterator[Outlets]:
    """Watch every outlet of the workers that are started within."""
    outlets = Outlets(spool)
    tracing = OpenTelemetry(SimpleSpanProcessor(outlets.spans))
    monkeypatch.setattr(wiring, "open_tracing", lambda _: tracing)
    loop = asyncio.get_running_loop()
    with restored(), _tracing_exceptions(outlets.raised):
        structlog.configure(processors=[outlets.logs])
        root = logging.getLogger()
        root.handlers[:] = [_Lines(outlets.lines)]
        root.setLevel(logging.DEBUG)
        # asyncio then logs every step, with what it is called with.
        loop.set_debug(True)
        loop.slow_callback_duration = 0.0
        try:
            yield outlets
        finally:
            loop.set_debug(False)


class _Lines(logging.Handler):
    """Keeps every line of every level, with its traceback."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self._lines.append(self.format(record))


@contextmanager
def _tracing_exceptions(raised: list[str]) -> Iterator[None]:
    """Note text and repr of every exception that passes through our code."""

    def within(
        _frame: FrameType,
        event: str,
        argument: Any,  # noqa: ANN401
    ) -> TraceFunction:
        # A generator's value is no error.
        if event == "exception" and argument[0] not in _RETURNS:
            raised.append(f"{argument[1]} {argument[1]!r}")
        return within

    def entered(
        frame: FrameType, _event: str, _argument: object
    ) -> TraceFunction | None:
        name = frame.f_globals.get("__name__", "")
        if not name.startswith("app.") or name.startswith(_THEIRS):
            return None
        frame.f_trace_lines = False
        return within

    former = sys.gettrace()
    sys.settrace(entered)
    try:
        yield
    finally:
        sys.settrace(former)


def _texts(folder: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.is_file():
            yield path.read_bytes().decode("latin-1")
