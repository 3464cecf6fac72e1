"""How large a head may be, and how much is taken in before somebody asks for it."""

import asyncio
import tracemalloc

import pytest
from starlette.types import Receive, Scope, Send

from app.serving.protocol import MAX_FIELDS, MAX_HEAD_BYTES, MAX_PIPELINED
from tests.serving.server import Recorder, reply, served, until

POST = b"POST /body HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


def head(size: int, *, field: int) -> bytes:
    """Write a head of so many bytes, made of fields of such a size."""
    begin, end = b"GET / HTTP/1.1\r\n", b"\r\n"
    line = b"X-Filler: " + b"x" * (field - 12) + b"\r\n"
    count, rest = divmod(size - len(begin) - len(end), field)
    last = b"Y: " + b"y" * (rest - 5) + b"\r\n" if rest > 5 else b""
    return begin + line * count + last + end


@pytest.mark.parametrize("field", [200, 4000, 30_000])
async def test_a_head_of_32_kib_is_taken(field: int) -> None:
    """However its bytes are spread over fields."""
    async with served(Recorder()) as running:
        caller = await running.connect()
        largest = head(MAX_HEAD_BYTES - 64, field=field)
        assert MAX_HEAD_BYTES - 300 < len(largest) <= MAX_HEAD_BYTES
        assert (await caller.ask(largest))[0] == 200


@pytest.mark.parametrize("size", [MAX_HEAD_BYTES + 200, 3_000_000])
@pytest.mark.parametrize("field", [20, 4000])
async def test_a_larger_head_is_refused(size: int, field: int) -> None:
    """431, and nothing of it reaches the application."""
    app = Recorder()
    async with served(app) as running:
        caller = await running.connect()
        await caller.send(head(size, field=field))
        assert_refused(await caller.rest())
        await running.becomes(0)
    assert app.paths == []


@pytest.mark.parametrize(
    "endless",
    [
        b"GET /",
        b"GET / HTTP/1.1\r\nX: ",
        b"GET / HTTP/1.1\r\n",
        POST + b"0\r\nX: ",
        POST + b"0\r\n",
        POST + b"5;",
    ],
    ids=["target", "field", "fields", "trailer", "trailers", "chunk extension"],
)
async def test_nothing_that_never_ends_is_kept(endless: bytes) -> None:
    """Whatever grows is refused before it has grown much."""
    more = b"a: b\r\n" * 2000 if endless.endswith(b"\n") else b"x" * 12_000
    async with served(Recorder()) as running:
        caller = await running.connect()
        tracemalloc.start()
        await caller.send(endless)
        sent = 0
        while sent < 50_000_000 and not caller.reader.at_eof():
            await caller.send(more)
            sent += len(more)
            if caller.writer.transport.is_closing():
                break
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        said = await caller.rest()
        assert said == b"" or said.startswith(b"HTTP/1.1 431 ")
        assert sent < 50_000_000
        assert most < 4_000_000
        await running.becomes(0)


async def test_many_small_fields_are_too_many() -> None:
    """Each takes many times its bytes in memory, so their number counts, too."""
    async with served(Recorder()) as running:
        most = b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * MAX_FIELDS + b"\r\n"
        assert (await (await running.connect()).ask(most))[0] == 200
        caller = await running.connect()
        await caller.send(most.replace(b"\r\n\r\n", b"\r\na: b\r\n\r\n"))
        assert_refused(await caller.rest())


async def test_the_number_begins_anew_with_each_request() -> None:
    """Many requests on one connection are not one large head."""
    async with served(Recorder()) as running:
        caller = await running.connect()
        for _ in range(20):
            assert (await caller.ask(head(5000, field=100)))[0] == 200
        body = b"POST / HTTP/1.1\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000
        for _ in range(3):
            assert (await caller.ask(body)) == (200, b"/ 60000")
        chunks = POST + b"1;ext=1\r\nx\r\n" * 20_000 + b"0\r\nA: b\r\n\r\n"
        assert (await caller.ask(chunks)) == (200, b"/body 20000")


async def test_a_body_waits_until_it_is_asked_for() -> None:
    """Until then no more of it is taken in than comes in one piece."""
    app, go = Recorder(), asyncio.Event()

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        first = await receive()
        await reply(send, b"%d" % len(first["body"]))

    app.behave["/late"] = late
    async with served(app) as running:
        caller = await running.connect()
        await caller.send(b"POST /late HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n")
        sending = asyncio.create_task(caller.send(b"x" * 9_000_000))
        (connection,) = running.connections._open
        await until(lambda: connection.flow.read_paused)  # type: ignore[attr-defined]
        go.set()
        status, size = await caller.answer()
        assert (status, int(size) < 300_000) == (200, True)
        caller.hang_up()
        await sending


async def test_an_answer_reaches_who_is_still_sending() -> None:
    """The refusal of a body that nobody reads is not lost with the connection."""
    app = Recorder()

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, b"no", status=401)

    app.behave["/refused"] = refuse
    async with served(app) as running:
        for _ in range(5):
            caller = await running.connect()
            await caller.send(
                b"POST /refused HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n"
            )
            sending = asyncio.create_task(caller.send(b"x" * 9_000_000))
            assert await caller.answer() == (401, b"no")
            assert await caller.rest() == b""
            await sending
        await running.becomes(0)


async def test_only_so_many_requests_are_sent_ahead() -> None:
    """A few are answered in their order; who sends thousands is hung up on."""
    async with served(Recorder()) as running:
        caller = await running.connect()
        some = range(MAX_PIPELINED)
        await caller.send(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % each for each in some))
        for each in some:
            assert await caller.answer() == (200, b"/%d 0" % each)
        greedy = await running.connect()
        await greedy.send(b"GET / HTTP/1.1\r\n\r\n" * 100_000)
        answers = (await greedy.rest()).count(b"HTTP/1.1 200 OK")
        assert 0 < answers <= 2 * MAX_PIPELINED


def assert_refused(said: bytes) -> None:
    """Look at how a head was refused."""
    assert said.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b'"code":"head_too_large"' in said
    assert b"connection: close\r\n" in said
