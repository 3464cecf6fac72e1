"""The transport over real sockets: framing, reuse, and nothing left open."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.domain.outcome import Fault, Verdict
from app.domain.post import Post, PrivacyLevel
from app.tiktok import Calls, InitTaken, PublishStatus, TikTok, dial, transport
from app.tiktok.connection import Connection
from app.tiktok.names import Names
from tests.tiktok import chaos
from tests.tiktok.certificates import Certificate
from tests.tiktok.chaos import answering, envelope, response

POST = Post(title="Hello", privacy_level=PrivacyLevel.SELF_ONLY)
BODY = envelope({"publish_id": "v_pub_url~v2.1", "status": "PUBLISH_COMPLETE"})
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def connected(base_url: str) -> AsyncIterator[Calls]:
    """Give the calls of an attempt."""
    tiktok = TikTok(base_url=base_url, client_key=None, client_secret=None, timeout=5.0)
    async with tiktok.connect() as calls:
        yield calls


async def init(base_url: str) -> InitTaken | Fault:
    """Send one init on connections of its own."""
    async with connected(base_url) as calls:
        return await calls.init("act.secret", POST, "https://cdn.example.com/v.mp4")


async def poll(calls: Calls) -> None:
    """Ask for a status and get one."""
    assert isinstance(await calls.status("act.secret", "v"), PublishStatus)


class Connections:
    """Counts connections and how many requests each served."""

    def __init__(self, *answers: bytes) -> None:
        self.served: list[int] = []
        self._answers = answers or (response(BODY),)

    async def script(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer in turn; hang up after the last answer if there are several."""
        number = len(self.served)
        self.served.append(0)
        while True:
            await chaos.read_request(reader)
            self.served[number] += 1
            writer.write(self._answers[sum(self.served) % len(self._answers) - 1])


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


async def test_one_connection_for_an_attempts_polls() -> None:
    """Polls follow one another on one connection."""
    seen = Connections()
    async with chaos.serving(seen.script) as url, connected(url) as calls:
        for _ in range(3):
            await poll(calls)
    assert seen.served == [3]


@pytest.mark.parametrize(
    "raw",
    [
        response(BODY, Connection="close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
        response(BODY) + b"HTTP/1.1 408 Request Timeout\r\n\r\n",
        response(BODY) + b"surplus",
    ],
    ids=["close", "HTTP/1.0", "an answer to nothing", "surplus"],
)
async def test_no_second_request_where_none_is_wanted(raw: bytes) -> None:
    """A connection that closes, or has something left over, is not used again."""
    seen = Connections(raw)
    async with chaos.serving(seen.script) as url, connected(url) as calls:
        await poll(calls)
        await poll(calls)
    assert seen.served == [1, 1]


async def test_old_connection_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for long comes back on a new connection: the old one may be closing."""
    monkeypatch.setattr(transport, "KEEP_ALIVE_SECONDS", 0.0)
    seen = Connections()
    async with chaos.serving(seen.script) as url, connected(url) as calls:
        await poll(calls)
        await poll(calls)
    assert seen.served == [1, 1]


@pytest.mark.parametrize("farewell", [b"", b"HTTP/1.1 408 Too Late\r\n\r\n"])
async def test_hung_up_between_two_polls(farewell: bytes) -> None:
    """A connection that the other side closed meanwhile costs no poll."""
    hang_up, hung_up = asyncio.Event(), asyncio.Event()

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await chaos.read_request(reader)
        writer.write(response(BODY))
        await hang_up.wait()
        writer.write(farewell)
        writer.close()
        await reader.read()  # to its end: the client has noticed
        hung_up.set()

    async with chaos.serving(script) as url, connected(url) as calls:
        await poll(calls)
        hang_up.set()
        async with asyncio.timeout(5):
            await hung_up.wait()
        await poll(calls)


async def test_unasked_words_before_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other side spoke or closed before us, nothing was sent."""
    real = dial.dial

    async def dial_and_dawdle(peer: dial.Peer, names: Names) -> Connection:
        connection = await real(peer, names)
        async with asyncio.timeout(5):
            while connection.is_open:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0)
        return connection

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(response(BODY))

    monkeypatch.setattr(transport, "dial", dial_and_dawdle)
    async with chaos.serving(script) as url:
        fault = await init(url)
    assert isinstance(fault, Fault)
    assert (fault.verdict, fault.code) == (Verdict.NOT_SENT, "connect_failed")


@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "TLS"])
async def test_cancelled_calls_hang_up(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch, *, over_tls: bool
) -> None:
    """A call that is broken off closes its connection at once."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    asked, hung_up = asyncio.Event(), asyncio.Event()

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await chaos.read_request(reader)
        asked.set()
        try:
            await reader.read()
        finally:
            hung_up.set()

    ssl = certificate.server() if over_tls else None
    async with chaos.serving(script, ssl=ssl) as url, connected(url) as calls:
        call = asyncio.create_task(calls.status("act.secret", "v"))
        async with asyncio.timeout(5):
            await asked.wait()
            call.cancel()
            await hung_up.wait()


@pytest.mark.parametrize(
    "script",
    [chaos.stall, chaos.reset_on_accept, answering(response(BODY)), answering(b"")],
    ids=["stall", "reset", "answer", "closed"],
)
@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "TLS"])
async def test_nothing_stays_open(
    script: chaos.Script,
    certificate: Certificate,
    monkeypatch: pytest.MonkeyPatch,
    *,
    over_tls: bool,
) -> None:
    """However calls end, in time, too late or cancelled, no descriptor is left."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))

    async def call(url: str, seconds: float) -> None:
        tiktok = TikTok(base_url=url, client_key=None, client_secret=None)
        async with tiktok.connect() as calls:
            await calls.status("act.secret", "v", timeout=seconds)

    ssl = certificate.server() if over_tls else None
    async with chaos.serving(script, ssl=ssl) as url:
        before = descriptors()
        tasks = [asyncio.create_task(call(url, n / 1000)) for n in range(1, 40)]
        for number, task in enumerate(tasks):
            if number % 3 == 0:
                await asyncio.sleep(0)
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await all_closed(before)


def descriptors() -> int:
    """Count what this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def all_closed(before: int) -> None:
    """Wait until no more descriptors are open than before."""
    async with asyncio.timeout(5):
        while descriptors() > before:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)


async def test_certificate_of_another_host(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted certificate that names another host gets no token."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    async with chaos.serving(answering(b""), ssl=certificate.server()) as url:
        fault = await init(url.replace("127.0.0.1", "localhost"))
    assert isinstance(fault, Fault)
    assert (fault.verdict, fault.code) == (Verdict.NOT_SENT, "connect_failed")
    assert "certificate verify failed" in fault.message


# A name with several addresses.


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name have these addresses."""

    async def look_up(*_: object, **__: object) -> list[Any]:
        kind = socket.SOCK_STREAM
        return [(socket.AF_INET, kind, 6, "", (each, 0)) for each in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)


def named(url: str) -> str:
    """Return a URL with a name in place of its address."""
    return url.replace("127.0.0.1", "tiktok.example")


async def test_an_address_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one address refuses, the next is tried at once."""
    monkeypatch.setattr(dial, "HEAD_START_SECONDS", 60.0)
    async with chaos.serving(answering(response(BODY))) as url:
        resolving(monkeypatch, "127.0.0.9", "127.0.0.1")
        assert isinstance(await init(named(url)), InitTaken)


async def test_all_addresses_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every address refuses, nothing was sent."""
    with chaos.refusing() as url:
        resolving(monkeypatch, "127.0.0.1", "127.0.0.9")
        fault = await init(named(url))
    assert isinstance(fault, Fault)
    assert (fault.verdict, fault.code) == (Verdict.NOT_SENT, "connect_failed")


async def test_an_address_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one address keeps silent, the next is tried beside it."""
    monkeypatch.setattr(dial, "HEAD_START_SECONDS", 0.05)
    with chaos.never_accepting() as silent:
        port = int(silent.rpartition(":")[2])
        answer = answering(response(BODY))
        async with chaos.serving(answer, host="127.0.0.9", port=port):
            resolving(monkeypatch, "127.0.0.1", "127.0.0.9")
            assert isinstance(await init(named(silent)), InitTaken)


async def test_the_slower_address_is_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two addresses that answer, one gets the request and the other a goodbye."""
    monkeypatch.setattr(dial, "HEAD_START_SECONDS", 0.0)
    seen = Connections()
    async with chaos.serving(seen.script) as url:
        port = int(url.rpartition(":")[2])
        async with chaos.serving(seen.script, host="127.0.0.9", port=port):
            resolving(monkeypatch, "127.0.0.1", "127.0.0.9")
            before = descriptors()
            assert isinstance(await init(named(url)), InitTaken)
            await all_closed(before)
    assert sum(seen.served) == 1
