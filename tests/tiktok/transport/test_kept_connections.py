"""Connections that attempts share, and which of them an init may use."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from app.domain.jobs.outcome import Fault, Verdict
from app.domain.posts.upload import ChunkPlan
from app.tiktok.client import Calls, TikTok
from app.tiktok.values import InitTaken, UploadTaken
from tests.support.patience import PATIENCE_SECONDS
from tests.tiktok import chaos
from tests.tiktok.attempts import (
    BODY,
    POST,
    Connections,
    all_closed,
    connected,
    descriptors,
    poll,
)
from tests.tiktok.chaos import response


async def send_init(calls: Calls) -> InitTaken | Fault:
    """Send an init."""
    return await calls.init("act.secret", POST, "https://cdn.example.com/v.mp4")


async def send_upload_init(calls: Calls) -> UploadTaken | Fault:
    """Send the init of an upload."""
    plan = ChunkPlan(size=9, chunk_size=9, count=1)
    return await calls.upload_init("act.secret", POST, plan)


async def test_an_attempt_needs_one_connection() -> None:
    """An init goes over the connection that has just answered, as do the polls."""
    seen = Connections()
    async with chaos.serving(seen.script) as url, connected(url) as calls:
        await poll(calls)
        assert isinstance(await send_init(calls), InitTaken)
        await poll(calls)
    assert seen.served == [3]


async def test_attempts_share_connections_while_one_runs() -> None:
    """The next attempt uses what the last one left open; after the last all close."""
    seen = Connections()
    async with chaos.serving(seen.script) as url:
        tiktok = TikTok(base_url=url, client_key=None, client_secret=None)
        before = descriptors()
        async with tiktok.connect() as outer:
            await poll(outer)
            async with tiktok.connect() as inner:
                await poll(inner)
            await poll(outer)
        await all_closed(before)
        async with tiktok.connect() as later:
            await poll(later)
    assert seen.served == [3, 1]


async def test_a_reading_call_survives_a_connection_that_closes() -> None:
    """A call that may be repeated goes again, once, where the kept connection broke."""
    requests = list[int]()

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        requests.append(0)
        connection = len(requests) - 1
        while True:
            await chaos.read_request(reader)
            requests[connection] += 1
            if requests == [2]:
                return  # hangs up on the second request
            writer.write(response(BODY))

    async with chaos.serving(script) as url, connected(url) as calls:
        await poll(calls)
        await poll(calls)
    assert requests == [2, 1]


@pytest.mark.parametrize("send", [send_init, send_upload_init])
async def test_an_init_is_not_repeated(
    send: Callable[[Calls], Awaitable[object]],
) -> None:
    """If the connection breaks during an init, its fate is unknown and it is sent once.

    An upload's could be repeated, but TikTok counts each one.
    """
    requests = list[bytes]()

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            requests.append(await chaos.read_request(reader))
            if b"/init/" in requests[-1]:
                return
            writer.write(response(BODY))

    async with chaos.serving(script) as url, connected(url) as calls:
        await poll(calls)
        fault = await send(calls)
        await poll(calls)
    assert isinstance(fault, Fault)
    assert (fault.verdict, fault.code) == (Verdict.UNKNOWN, "connection_lost")
    assert [b"/init/" in each for each in requests] == [False, True, False]


class _Server:
    """Answers in threads, so that a test can close a connection behind the loop."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def answer(self) -> socket.socket:
        """Accept a connection and answer one request."""
        accepted, _ = self._listener.accept()
        received = b""
        while b"\r\n\r\n" not in received or not received.endswith(b"}"):
            received += accepted.recv(65536)
        accepted.sendall(response(BODY))
        return accepted


@contextmanager
def _server() -> Iterator[_Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_SECONDS)
        yield _Server(listener)


async def test_a_closed_connection_is_noticed_before_an_init() -> None:
    """An init does not meet a close that the loop has not come to read yet."""
    loop = asyncio.get_running_loop()
    with _server() as server, ThreadPoolExecutor() as threads:
        async with connected(server.url) as calls:
            first = loop.run_in_executor(threads, server.answer)
            await poll(calls)
            accepted = await first
            second = loop.run_in_executor(threads, server.answer)
            accepted.close()  # and no turn of the loop before the init
            taken = await send_init(calls)
            (await second).close()
    assert isinstance(taken, InitTaken)
