"""Where an answer ends, over real sockets."""

import asyncio

import pytest

from app.domain.jobs.outcome import Fault, Verdict
from app.tiktok.values import InitTaken
from tests.tiktok import chaos
from tests.tiktok.attempts import BODY, init
from tests.tiktok.chaos import answering, envelope, response

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def in_chunks(body: bytes, size: int) -> bytes:
    """Return a body in chunks, without the last, empty one."""
    parts = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


@pytest.mark.parametrize(
    "raw",
    [
        CHUNKED + in_chunks(BODY, 7) + b"0\r\n\r\n",
        CHUNKED + in_chunks(BODY, 7) + b"0\r\nX-Trailer: 1\r\n\r\n",
        HEAD + b"\r\n" + BODY,
        b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
        b"HTTP/1.1 100 Continue\r\n\r\n" + response(BODY),
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 2 + response(BODY),
        response(BODY) + b"and more than was announced",
        response(BODY) + response(envelope(code="internal_error")),
        response(BODY, Connection="close") + b"more",
    ],
    ids=[
        "chunks",
        "chunks and trailer",
        "until the end",
        "HTTP/1.0",
        "100",
        "103",
        "surplus",
        "two answers",
        "surplus after close",
    ],
)
async def test_answers_that_are_whole(raw: bytes) -> None:
    """However an answer is framed, and whatever comes before or after it, it counts."""
    async with chaos.serving(answering(raw)) as url:
        assert isinstance(await init(url), InitTaken)
    async with chaos.serving(chaos.dripping(raw)) as url:
        assert isinstance(await init(url), InitTaken)


@pytest.mark.parametrize(
    "raw",
    [
        CHUNKED + in_chunks(BODY, 7),
        CHUNKED + in_chunks(BODY, 7) + b"0\r\n",
        CHUNKED + b"zz\r\n" + BODY,
        HEAD + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\n" + BODY,
        HEAD + b"Content-Length: -1\r\n\r\n" + BODY,
        HEAD,
        HEAD + b"Content-Length: 9",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n"
        b"Connection: Upgrade\r\n\r\n" + BODY,
        b"",
    ],
    ids=[
        "no last chunk",
        "half the last chunk",
        "no chunk",
        "two lengths",
        "a negative length",
        "half a head",
        "half a header",
        "100 alone",
        "100 with a length",
        "101",
        "nothing",
    ],
)
async def test_answers_that_are_not_whole(raw: bytes) -> None:
    """An answer that its own framing calls unfinished says nothing of the init."""
    async with chaos.serving(answering(raw)) as url:
        fault = await init(url)
    assert isinstance(fault, Fault)
    assert (fault.verdict, fault.code) == (Verdict.UNKNOWN, "connection_lost")


async def test_status_of_a_broken_answer() -> None:
    """Of an answer that broke off the status is told."""
    async with chaos.serving(answering(response(BODY, status=503)[:-9])) as url:
        fault = await init(url)
    assert isinstance(fault, Fault)
    assert fault.http_status == 503


async def test_endless_head() -> None:
    """Headers without end are cut off like a body without end."""

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await chaos.read_request(reader)
        writer.write(HEAD)
        while True:
            writer.write(b"X-Filler: " + b"x" * 1000 + b"\r\n")
            await writer.drain()

    async with chaos.serving(script) as url:
        fault = await init(url)
    assert isinstance(fault, Fault)
    assert (fault.verdict, fault.code) == (Verdict.UNKNOWN, "bad_answer")


async def test_unasked_encoding() -> None:
    """An answer packed although we forbade it is not unpacked: it may be a bomb."""
    raw = response(BODY, Content_Encoding="gzip")
    async with chaos.serving(answering(raw)) as url:
        fault = await init(url)
    assert isinstance(fault, Fault)
    assert (fault.verdict, fault.code) == (Verdict.UNKNOWN, "bad_answer")
