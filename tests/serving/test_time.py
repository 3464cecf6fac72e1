"""Who sends nothing, or half of something, or takes nothing, is cut off."""

import asyncio

from app.serving.connections import STUCK_SECONDS, CallerLimits, Connections
from app.serving.protocol import _Phase
from app.serving.server import configured
from tests.serving.server import (
    Caller,
    QuietServer,
    Recorder,
    Served,
    reply,
    served,
    until,
)
from tests.support.patience import PATIENCE_SECONDS

REQUEST_SECONDS = 20.0


async def cut_off(running: Served, caller: Caller) -> bytes:
    """Let the time for a request pass, and read what is said to that."""
    running.clock.forward(REQUEST_SECONDS)
    return await caller.rest()


async def test_a_silent_caller_is_hung_up_on() -> None:
    """Who connects and sends nothing has as long as a request may take, no longer."""
    async with served(Recorder(), request_seconds=REQUEST_SECONDS) as running:
        caller = await running.connect()
        await running.becomes(1)
        running.clock.forward(REQUEST_SECONDS - 1)
        assert (await caller.ask(b"GET /now HTTP/1.1\r\n\r\n"))[0] == 200
        silent = await running.connect()
        await running.becomes(2)
        assert await cut_off(running, silent) == b""
        await running.becomes(1)


HALVES = (
    b"G",
    b"GET / HTTP/1.1\r\nHost: h\r\n",
    b"GET / HTTP/1.1\r\nX-Endless: aaaaaaaa",
    b"POST /half HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345",
    b"POST /half HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123",
    b"POST /half HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r",
    b"POST /half HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n",
)


async def test_half_a_request_is_answered_408() -> None:
    """The rest is waited for as long as a request may take; nobody acts on a half."""
    app = Recorder()
    async with served(app, request_seconds=REQUEST_SECONDS) as running:
        callers = [await running.connect() for _ in HALVES]
        for caller, half in zip(callers, HALVES, strict=True):
            await caller.send(half)
        await running.becomes(len(HALVES))
        await until(lambda: len(app.paths) == 4)
        running.clock.forward(REQUEST_SECONDS)
        for caller in callers:
            said = await caller.rest()
            assert said.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            assert b'"code":"request_timeout"' in said
        await running.becomes(0)
    assert app.gone == app.paths


async def test_sending_slowly_wins_no_time() -> None:
    """A byte now and then is no request: its time counts from its first byte."""
    async with served(Recorder(), request_seconds=REQUEST_SECONDS) as running:
        caller = await running.connect()
        for byte in b"GET / HTTP/1.1\r\nX":
            await caller.send(bytes([byte]))
            running.clock.forward(1.0)
        assert (await cut_off(running, caller)).startswith(b"HTTP/1.1 408 ")


async def test_blank_lines_are_no_request() -> None:
    """What HTTP overlooks before a request does not keep a connection."""
    async with served(Recorder(), request_seconds=REQUEST_SECONDS) as running:
        caller = await running.connect()
        assert (await caller.ask(b"GET /1 HTTP/1.1\r\n\r\n"))[0] == 200
        await caller.send(b"\r\n\r\n")
        assert (await caller.ask(b"GET /2 HTTP/1.1\r\n\r\n"))[0] == 200
        await caller.send(b"\r\n")
        await until(lambda: _is_receiving(running))
        assert await cut_off(running, caller) == b""


async def test_a_connection_may_rest_between_requests() -> None:
    """It is kept for the next request, far longer than a request may take."""
    async with served(Recorder(), request_seconds=REQUEST_SECONDS) as running:
        caller = await running.connect()
        for number in range(3):
            running.clock.forward(10 * REQUEST_SECONDS * (number > 0))
            await looked(running)
            request = b"GET /%d HTTP/1.1\r\n\r\n" % number
            assert await caller.ask(request) == (200, b"/%d 0" % number)


async def test_a_caller_is_not_blamed_for_our_own_slowness() -> None:
    """While the application does not take a body, no time of its sender passes."""
    app, go = Recorder(), asyncio.Event()

    async def late(scope: object, receive: object, send: object) -> None:
        await go.wait()
        size = await app.read("/late", receive)  # type: ignore[arg-type]
        await reply(send, b"%d" % (size or 0))  # type: ignore[arg-type]

    app.behave["/late"] = late
    async with served(app, request_seconds=REQUEST_SECONDS) as running:
        caller = await running.connect()
        head = b"POST /late HTTP/1.1\r\nContent-Length: 200000\r\n\r\n"
        await caller.send(head + b"x" * 1000)
        await until(lambda: bool(app.paths))
        running.clock.forward(10 * REQUEST_SECONDS)
        await looked(running)
        go.set()
        assert await caller.ask(b"x" * 199_000) == (200, b"200000")


async def test_a_caller_that_takes_nothing_is_hung_up_on() -> None:
    """An answer that nobody reads ends after a minute, and its sender learns of it."""
    app, ended = Recorder(), asyncio.Event()

    async def stream(scope: object, receive: object, send: object) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": []}
        await send(start)  # type: ignore[operator]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(left(receive))
                group.create_task(pour(send))
        finally:
            ended.set()

    async def left(receive: object) -> None:
        while (await receive())["type"] != "http.disconnect":  # type: ignore[operator]
            pass
        raise ConnectionAbortedError

    async def pour(send: object) -> None:
        part = {"type": "http.response.body", "body": b"x" * 9999, "more_body": True}
        while True:
            await send(part)  # type: ignore[operator]
            await asyncio.sleep(0)

    app.behave["/stream"] = stream
    async with served(app) as running:
        caller = await running.connect(receive_buffer=4096)
        caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await caller.send(b"GET /stream HTTP/1.1\r\n\r\n")
        await until(lambda: _is_stuck(running))
        running.clock.forward(STUCK_SECONDS)
        await asyncio.wait_for(ended.wait(), PATIENCE_SECONDS)
        await running.becomes(0)


async def test_connections_are_looked_at_once_a_second() -> None:
    """A tenth of the server's ticks: a look at a thousand streams is work."""
    connections = Connections(CallerLimits(connections=9, request_seconds=9.0))
    server = QuietServer(
        configured(Recorder(), connections), connections, stop=asyncio.Event()
    )
    sweeps = 0

    def sweep() -> None:
        nonlocal sweeps
        sweeps += 1

    connections.sweep = sweep  # type: ignore[method-assign]
    for counter in range(20):
        await server.on_tick(counter)
    assert sweeps == 2


async def looked(running: Served) -> None:
    """Wait until the server has looked at the clock."""
    sweeps = 0

    def count() -> float:
        nonlocal sweeps
        sweeps += 1
        return running.clock()

    running.connections.now = count
    await until(lambda: sweeps >= 2)
    running.connections.now = running.clock


def _is_stuck(running: Served) -> bool:
    return any(
        getattr(each, "_stuck_since", None) is not None
        for each in running.connections._open
    )


def _is_receiving(running: Served) -> bool:
    (connection,) = running.connections._open
    return getattr(connection, "_phase") is _Phase.RECEIVING  # noqa: B009
