"""A worker's own pages, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from http import HTTPStatus

import httpx
import pytest

from app.container import open_container
from app.serving.probes import (
    LONGEST_HEAD_BYTES,
    MOST_AT_ONCE,
    Reply,
    answering,
    worker_pages,
)
from tests.api.serving import settings_of
from tests.support.patience import PATIENCE_SECONDS

HOST = "127.0.0.1"


async def page() -> Reply:
    """Answer."""
    return Reply(HTTPStatus.OK, b"fine")


async def broken() -> Reply:
    """Fail."""
    raise ValueError("act.secret12345")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Answer on a free port."""
    pages = {"/page": page, "/broken": broken}
    async with answering(pages, host=HOST, port=0) as bound:
        yield bound


async def said(port: int, request: bytes) -> bytes:
    """Send bytes and read what comes back until the other side closes."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_worker_tells_its_metrics_and_its_health(database_url: str) -> None:
    """The same as the API tells, without the API."""
    async with (
        open_container(settings_of(database_url)) as container,
        answering(worker_pages(container), host=HOST, port=0) as port,
        httpx.AsyncClient(
            base_url=f"http://{HOST}:{port}", timeout=PATIENCE_SECONDS
        ) as client,
    ):
        metrics = await client.get("/metrics")
        alive, ready = await client.get("/healthz"), await client.get("/readyz")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "scheduler_jobs_due 0.0" in metrics.text.splitlines()
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert ready.json()["checks"]["database"] == "ok"


async def test_a_worker_without_its_database_is_alive_and_not_ready(
    unused_tcp_port: int,
) -> None:
    """503 says why; what the process counted is told all the same."""
    gone = f"postgresql://u:p@{HOST}:{unused_tcp_port}/x"
    async with (
        open_container(settings_of(gone)) as container,
        answering(worker_pages(container), host=HOST, port=0) as port,
        httpx.AsyncClient(
            base_url=f"http://{HOST}:{port}", timeout=PATIENCE_SECONDS
        ) as client,
    ):
        ready, metrics = await client.get("/readyz"), await client.get("/metrics")
    assert (ready.status_code, ready.json()["status"]) == (503, "database_unavailable")
    assert "scheduler_database_up 0.0" in metrics.text.splitlines()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /page?x=1 HTTP/1.0\r\n\r\n", 200),
        (b"GET /other HTTP/1.1\r\n\r\n", 404),
        (b"POST /page HTTP/1.1\r\n\r\n", 405),
        (b"GET /broken HTTP/1.1\r\n\r\n", 500),
        (b"nonsense\r\n\r\n", 400),
        (b"\xff\xfe\r\n\r\n", 400),
        (b"GET /" + b"a" * LONGEST_HEAD_BYTES * 2 + b" HTTP/1.1\r\n\r\n", 400),
    ],
)
async def test_every_request_gets_one_answer(
    port: int, request_: bytes, status: int
) -> None:
    """Whatever comes in, one status goes out, and nothing of what broke."""
    answer = await said(port, request_)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"secret" not in answer


async def test_head_is_answered_without_the_body(port: int) -> None:
    """As HTTP wants it: the length of what GET would bring, and no more."""
    answer = await said(port, b"HEAD /page HTTP/1.1\r\n\r\n")
    assert b"Content-Length: 4\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_only_so_many_are_listened_to_at_a_time(port: int) -> None:
    """Whoever else connects takes no descriptor from the posts."""
    silent = [await asyncio.open_connection(HOST, port) for _ in range(MOST_AT_ONCE)]
    for _ in range(3):
        assert await said(port, b"") == b""
    for _, writer in silent:
        writer.close()
        await writer.wait_closed()
    answer = b""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not answer:
            with suppress(ConnectionError):  # the server has not seen them leave yet
                answer = await said(port, b"GET /page HTTP/1.1\r\n\r\n")


async def test_who_says_nothing_holds_up_no_stop() -> None:
    """A connection that stays silent is cut off when the worker stops."""
    async with answering({"/page": page}, host=HOST, port=0) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        assert (await said(port, b"GET /page HTTP/1.1\r\n\r\n")).endswith(b"fine")
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
