"""Bytes that are no request, or two at once: nothing breaks, nothing is smuggled in."""

import asyncio
import logging
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.main import create_app
from tests.api.serving import settings_of
from tests.serving.server import Recorder, Served, served

H = b"Host: h\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

STATUS = re.compile(rb"^HTTP/1\.1 (\d{3})", re.MULTILINE)

REFUSED: dict[str, bytes] = {
    "two framings": b"POST / HTTP/1.1\r\n%bContent-Length: 5\r\n%b\r\n0\r\n\r\n"
    % (H, CHUNKED),
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a list of lengths": b"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\nx",
    "a length below zero": b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "a signed length": b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\nx",
    "a hexadecimal length": b"POST / HTTP/1.1\r\nContent-Length: 0x1\r\n\r\nx",
    "a length beyond all": b"POST / HTTP/1.1\r\nContent-Length: %b\r\n\r\n"
    % (b"9" * 40),
    "a chunk of no size": b"POST / HTTP/1.1\r\n%b\r\nzz\r\n" % CHUNKED,
    "a chunk beyond all": b"POST / HTTP/1.1\r\n%b\r\n%b\r\n" % (CHUNKED, b"F" * 20),
    "a chunk that is longer": b"POST / HTTP/1.1\r\n%b\r\n1\r\nxxx" % CHUNKED,
    "a chunk without a line": b"POST / HTTP/1.1\r\n%b\r\n1\nx\n0\n\n" % CHUNKED,
    "a space before the colon": b"POST / HTTP/1.1\r\nContent-Length : 1\r\n\r\nx",
    "a field without a name": b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    "a folded first field": b"GET / HTTP/1.1\r\n X: y\r\n\r\n",
    "a zero in a name": b"GET / HTTP/1.1\r\nX\0: y\r\n\r\n",
    "a zero in a value": b"GET / HTTP/1.1\r\nX: \0y\r\n\r\n",
    "a zero in the target": b"GET /\0 HTTP/1.1\r\n\r\n",
    "a carriage return alone": b"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
    "a target outside ASCII": b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\n\r\n",
    "another version": b"GET / HTTP/3.7\r\n\r\n",
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a tunnel": b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
    "a method that is none": b"FETCH / HTTP/1.1\r\n\r\n",
}


async def test_what_can_be_read_in_two_ways_is_not_read() -> None:
    """400, then the end: nothing behind it is taken for a request."""
    app = Recorder()

    async def refused(running: Served, name: str, sent: bytes) -> None:
        caller = await running.connect()
        await caller.send(sent + b"GET /smuggled HTTP/1.1\r\n\r\n")
        said = await caller.rest()
        assert STATUS.findall(said) == [b"400"], name
        assert b'"code":"malformed_request"' in said, name

    async with served(app) as running:
        await asyncio.gather(*(refused(running, *each) for each in REFUSED.items()))
    assert "/smuggled" not in app.paths
    assert app.gone == app.paths  # who was begun with has seen half a request


@pytest.mark.parametrize(
    "bad",
    [b"\0\0\0", b"GET /two HTTP/1.1\r\n: x\r\n\r\n", REFUSED["a chunk of no size"]],
    ids=["bytes", "a head", "a body"],
)
async def test_what_was_asked_before_is_answered_first(bad: bytes) -> None:
    """An answer is never taken for that to another request."""
    app = Recorder()
    async with served(app) as running:
        caller = await running.connect()
        good = b"POST /one HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
        await caller.send(good + bad)
        assert await caller.answer() == (200, b"/one 3")
        assert await caller.rest() == b""
    assert app.paths == ["/one"]


async def test_other_protocols_are_offered_in_vain() -> None:
    """WebSocket and HTTP/2 are not spoken; what asks for them is a plain request."""
    async with served(Recorder()) as running:
        caller = await running.connect()
        for offer in (b"websocket", b"h2c"):
            upgrade = b"Connection: Upgrade\r\nUpgrade: %b\r\n" % offer
            two = b"GET /1 HTTP/1.1\r\n%b\r\nGET /2 HTTP/1.1\r\n\r\n" % upgrade
            assert await caller.ask(two) == (200, b"/1 0")
            assert await caller.answer() == (200, b"/2 0")
            post, body = b"POST /3 HTTP/1.1\r\n" + upgrade, b"GET /x\r\n"
            for framed in (
                b"Content-Length: 8\r\n\r\n%b" % body,
                b"Transfer-Encoding: chunked\r\n\r\n8\r\n%b\r\n0\r\n\r\n" % body,
            ):
                assert await caller.ask(post + framed) == (200, b"/3 8")
            for byte in post + b"Content-Length: 2\r\n\r\nxx":
                await caller.send(bytes([byte]))
            assert await caller.answer() == (200, b"/3 2")


async def test_a_body_that_is_announced_waits_for_our_word() -> None:
    """Expect: 100-continue is answered once the application asks for the body."""
    async with served(Recorder()) as running:
        caller = await running.connect()
        head = b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        await caller.send(head)
        assert await caller.reader.readuntil(b"\r\n\r\n") == (
            b"HTTP/1.1 100 Continue\r\n\r\n"
        )
        assert await caller.ask(b"xx") == (200, b"/ 2")


PIECES = st.sampled_from(
    [
        *(
            b"GET",
            b"POST",
            b"HEAD",
            b"PATCH",
            b"OPTIONS",
            b" ",
            b"\t",
            b"/",
            b"*",
            b"?",
        ),
        *(b"/v1/jobs", b"/healthz", b"/webhooks/tiktok", b"/%00", b"/%zz", b"/%ff"),
        *(b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\n", b"\r", b"\0", b"\r\n\r\n"),
        *(b"Host: h", b"Content-Length: 3", b"Transfer-Encoding: chunked", b": "),
        *(b"Connection: close", b"Connection: Upgrade", b"Upgrade: h2c", b"Expect: x"),
        *(b"Authorization: Bearer tts_x", b"X-Request-ID: a", b"Last-Event-ID: 1"),
        *(b"Content-Type: application/json", b"Origin: null", b"0\r\n\r\n", b"3\r\n"),
        *(b"{}", b"abc", b"FFFFFFFF", b"\x80\xff", b";ext=1", b"http://h:1/v1"),
    ]
)
STREAMS = st.lists(
    st.one_of(PIECES, PIECES, PIECES, st.binary(max_size=6)), max_size=40
)


class TestFuzz:
    """One server, many streams of bytes."""

    async def test_no_bytes_make_it_stumble(
        self, sqlite_url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No 5xx but 503 and no traceback come of it, and the next one is served."""
        app = create_app(settings_of(sqlite_url))
        streams = _collect()
        async with served(app, request_seconds=5) as running:
            for stream in streams:
                await self._send(running, stream)
            caller = await running.connect()
            assert (await caller.ask(b"GET /healthz HTTP/1.1\r\n\r\n"))[0] == 200
        broken = [each for each in caplog.records if each.levelno >= logging.ERROR]
        assert broken == []

    async def _send(self, running: Served, stream: bytes) -> None:
        caller = await running.connect()
        await caller.send(b"GET /healthz HTTP/1.1\r\n\r\n" + stream)
        caller.writer.write_eof()
        running.clock.forward(5)
        statuses = [int(each) for each in STATUS.findall(await caller.rest())]
        assert [each for each in statuses if each >= 500 and each != 503] == [], stream


def _collect() -> list[bytes]:
    """Draw streams: hypothesis cannot await."""
    found: list[bytes] = []

    @settings(
        max_examples=150,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(STREAMS)
    @example([*REFUSED.values()])
    def draw(pieces: list[bytes]) -> None:
        found.append(b"".join(pieces))

    draw()
    return found
