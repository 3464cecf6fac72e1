"""A worker's HTTP pages: its metrics, liveness and readiness.

They do without a web framework: docs/decisions/0016 says why.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import asdict
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from app.container import Container
from app.service.operations.health import DatabaseState

LONGEST_HEAD_BYTES: Final = 8192
PATIENCE_SECONDS: Final = 10.0
"""The time-out of one request, from its first byte to the answer's last."""

MOST_AT_ONCE: Final = 32
"""The most connections of scrapers and probes; more are closed."""

log = structlog.get_logger(__name__)


class Reply(Struct, frozen=True):
    """An answer."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


Pages = Mapping[str, Callable[[], Awaitable[Reply]]]


def worker_pages(container: Container) -> Pages:
    """Return a worker's pages; they answer as the API's."""

    async def metrics() -> Reply:
        text = await container.figures.render()
        return Reply(HTTPStatus.OK, text, CONTENT_TYPE_PLAIN_0_0_4)

    async def healthz() -> Reply:
        return _json(HTTPStatus.OK, {"status": "ok"})

    async def readyz() -> Reply:
        health = await container.health.check()
        ready = health.state is DatabaseState.READY
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        word = "ok" if ready else health.state
        return _json(status, {"status": word, "checks": asdict(health.checks)})

    return {"/metrics": metrics, "/healthz": healthz, "/readyz": readyz}


@asynccontextmanager
async def answering(pages: Pages, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve the pages while the block runs; yield the port.

    Port 0 takes any free port. Raises OSError for an address in use.
    """
    busy: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(busy) >= MOST_AT_ONCE:
            writer.close()
            return
        task = asyncio.create_task(_serve(pages, reader, writer))
        busy.add(task)
        task.add_done_callback(busy.discard)

    server = await asyncio.start_server(begin, host, port, limit=LONGEST_HEAD_BYTES)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


def _json(status: HTTPStatus, body: object) -> Reply:
    return Reply(status, json.dumps(body).encode(), "application/json")


async def _serve(
    pages: Pages, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one request and close: scrapers come too seldom for keep-alive."""
    try:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await _answer(pages, reader, writer)
    finally:
        writer.close()


async def _answer(
    pages: Pages, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        head = b""
    method, path = _request_line(head)
    reply = await _reply(pages, method, path)
    writer.write(_head(reply) + (b"" if method == "HEAD" else reply.body))
    await writer.drain()


def _request_line(head: bytes) -> tuple[str, str]:
    line = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
    if len(line) != 3 or not line[2].startswith("HTTP/"):
        return "", ""
    return line[0], line[1].partition("?")[0]


async def _reply(pages: Pages, method: str, path: str) -> Reply:
    if not method:
        return Reply(HTTPStatus.BAD_REQUEST)
    if (page := pages.get(path)) is None:
        return Reply(HTTPStatus.NOT_FOUND)
    if method not in {"GET", "HEAD"}:
        return Reply(HTTPStatus.METHOD_NOT_ALLOWED)
    try:
        return await page()
    except Exception:
        log.exception("a probe failed unexpectedly", path=path)
        return Reply(HTTPStatus.INTERNAL_SERVER_ERROR)


def _head(reply: Reply) -> bytes:
    lines = (
        f"HTTP/1.1 {reply.status.value} {reply.status.phrase}",
        f"Content-Type: {reply.content_type}",
        f"Content-Length: {len(reply.body)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")
