"""Whoever connects, and whatever they send, costs nobody else a post.

Each test is bounded, and all of it stays on loopback.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from app.domain.jobs.job import JobStatus
from app.machine.descriptors import raise_soft_limit
from app.sandbox.recording import Call
from tests.support.patience import PATIENCE_SECONDS
from tests.system.programs import Program, until
from tests.system.site import Site, key_of

FEW = 1024
SILENT = 1100
MEBIBYTE = 2**20

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only Linux tells of its memory"
)


def most_memory(program: Program) -> int:
    """Return the most memory that a program has held by now."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    (line,) = (each for each in status.splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def address_of(url: str) -> tuple[str, int]:
    """Take a URL of the server's apart."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)


async def send(address: tuple[str, int], *parts: bytes, times: int = 1) -> bytes:
    """Send this on a connection of its own; return what is said to it at the end."""
    reader, writer = await asyncio.open_connection(*address)
    said = b""
    try:
        writer.write(parts[0])
        for part in parts[1:] * times:
            writer.write(part)
            await writer.drain()
    except ConnectionError:
        pass
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while part := await reader.read(65536):
                said += part
    except ConnectionError:
        pass
    writer.transport.abort()
    return said


@asynccontextmanager
async def silent(address: tuple[str, int], count: int) -> AsyncIterator[None]:
    """Hold so many connections open that say nothing; what is closed comes back."""
    loop = asyncio.get_running_loop()

    async def one() -> None:
        while True:
            with socket.socket() as sock:
                sock.setblocking(False)
                with suppress(OSError):
                    await loop.sock_connect(sock, address)
                    await loop.sock_recv(sock, 1)  # until it is hung up on
            await asyncio.sleep(1)

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.skipif(raise_soft_limit() < 2 * SILENT, reason="too few descriptors here")
async def test_silent_sockets_cost_nobody_a_post(sqlite_site: Site) -> None:
    """More of them than there are descriptors: posts go out, callers are answered."""
    site = sqlite_site
    site.programs.limit_descriptors(FEW)
    server, url = await site.serve()
    headers = {"Authorization": f"Bearer {await key_of(site)}"}
    async with silent(address_of(url), SILENT):
        await until(lambda: descriptors_of(server) > FEW // 5, what="the crowd")
        for number in range(3):
            job = await site.ended(await site.post(f"proj_{number}"))
            assert (job.status, job.attempts) == (JobStatus.POSTED, 0)
        async with httpx.AsyncClient(
            base_url=url, headers=headers, timeout=PATIENCE_SECONDS
        ) as caller:
            for _ in range(20):
                await until(lambda: lists(caller), what="an answer")
        assert descriptors_of(server) < FEW * 3 // 4
    assert len(site.calls(Call.INIT)) == 3
    ended = await server.stop()
    assert "Too many open files" not in ended.err


async def lists(caller: httpx.AsyncClient) -> bool:
    """Ask once: a slow caller may be closed to make room before it asks."""
    try:
        answer = await caller.get("/v1/jobs")
    except httpx.TransportError:
        return False
    assert answer.status_code == 200
    return True


def descriptors_of(program: Program) -> int:
    """Count what a program has open."""
    return len(list(Path(f"/proc/{program.process.pid}/fd").iterdir()))


@needs_proc
async def test_no_head_takes_memory(sqlite_site: Site) -> None:
    """Fifty megabytes of small fields, or one field of thirty: nothing is kept."""
    server, url = await sqlite_site.serve(RUNNER="cron")
    address = address_of(url)
    assert (await send(address, b"GET /healthz HTTP/1.0\r\n\r\n")).startswith(b"HTTP")
    before = most_memory(server)
    line, small = b"GET /healthz HTTP/1.1\r\n", b"a: b\r\n" * 10_000
    for parts, times in (((line, small), 830), ((line + b"X: ", b"x" * 60_000), 520)):
        said = await send(address, *parts, times=times)
        assert said == b"" or said.startswith(b"HTTP/1.1 431 ")
    assert most_memory(server) - before < 8 * MEBIBYTE


@needs_proc
async def test_bodies_without_a_key_take_no_memory(sqlite_site: Site) -> None:
    """Two hundred of a megabyte each, all at once, are refused unread."""
    server, url = await sqlite_site.serve(RUNNER="cron")
    address = address_of(url)
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n" % MEBIBYTE
    wrong = b"Authorization: Bearer tts_%b\r\n" % (b"x" * 43)
    body = b"x" * 65536
    await send(address, head + wrong + b"\r\n", body, times=16)
    before = most_memory(server)
    for key in (b"", wrong):
        crowd = (
            send(address, head + key + b"\r\n", body, times=16) for _ in range(200)
        )
        for said in await asyncio.gather(*crowd):
            assert said == b"" or said.startswith(b"HTTP/1.1 401 ")
    # A connection's first piece comes with its head: as much as a socket holds.
    assert most_memory(server) - before < 64 * MEBIBYTE


async def test_slow_senders_are_cut_off(sqlite_site: Site) -> None:
    """Silent, half a head, half a body, a byte now and then: each for its time only."""
    _, url = await sqlite_site.serve(RUNNER="cron", REQUEST_TIMEOUT_SECONDS="1")
    address = address_of(url)
    head = b"POST /v1/jobs HTTP/1.1\r\nContent-Length: 9\r\n"
    halves = (b"", b"GET", head, b"POST /webhooks/tiktok" + head[13:] + b"\r\nhalf")
    said = await asyncio.gather(*(send(address, half) for half in halves))
    assert [each[:13] for each in said] == [b"", *[b"HTTP/1.1 408 "] * 3]
    assert await send(address, head + b"\r\nhalf") != b""  # 401: without a key, at once


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
async def test_both_families_are_served_on_one_host(sqlite_site: Site) -> None:
    """``--host ::`` takes IPv4 too, whatever the system's default."""
    server = await sqlite_site.programs.start(
        "serve", "--host", "::", "--port", "0", RUNNER="cron"
    )
    await server.says("Uvicorn running")
    port = int(server.err.read_text().partition("http://[::]:")[2].split()[0])
    async with httpx.AsyncClient() as client:
        for host in ("127.0.0.1", "[::1]"):
            answer = await client.get(f"http://{host}:{port}/healthz")
            assert answer.status_code == 200
