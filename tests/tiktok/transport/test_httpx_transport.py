"""The transport over real sockets: reuse, and nothing left open."""

import asyncio

import httpx
import pytest

from app.domain.jobs.outcome import Fault, Verdict
from app.machine.look_ups import Names
from app.tiktok.client import TikTok
from app.tiktok.transport import connection as opening
from app.tiktok.transport import httpx_transport as transport
from app.tiktok.transport import kept_connections
from app.tiktok.transport.connection import Connection
from app.tiktok.transport.kept_connections import KeptConnections
from tests.support.certificates import Certificate
from tests.support.patience import PATIENCE_SECONDS
from tests.tiktok import chaos
from tests.tiktok.attempts import (
    BODY,
    Connections,
    all_closed,
    connected,
    descriptors,
    init,
    poll,
)
from tests.tiktok.chaos import answering, response


async def test_one_connection_for_an_attempts_polls() -> None:
    """Polls follow one another on one connection."""
    seen = Connections()
    async with chaos.serving(seen.script) as url, connected(url) as calls:
        for _ in range(3):
            await poll(calls)
    assert seen.served == [3]


async def test_each_request_tells_its_own_length_once() -> None:
    """Shared headers are written once for all; the length is each body's own."""
    sent = list[bytes]()

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            sent.append(await chaos.read_request(reader))
            writer.write(response(BODY))

    async with chaos.serving(script) as url:
        headers = httpx.Headers({"Host": "x", "Content-Length": "99"})
        sending = transport.Transport(
            Names(), httpx.create_ssl_context, KeptConnections()
        )
        for content in (b"short", b"somewhat longer"):
            request = httpx.Request("POST", url, stream=httpx.ByteStream(content))
            request.headers = headers
            request.extensions["timeout"] = {"connect": PATIENCE_SECONDS}
            await sending.handle_async_request(request)
        await sending.aclose()
    assert [each.lower().count(b"content-length") for each in sent] == [1, 1]
    assert [each.partition(b"\r\n\r\n")[2] for each in sent] == [
        b"short",
        b"somewhat longer",
    ]


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
    monkeypatch.setattr(kept_connections, "KEEP_ALIVE_SECONDS", 0.0)
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
        async with asyncio.timeout(PATIENCE_SECONDS):
            await hung_up.wait()
        await poll(calls)


async def test_unasked_words_before_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the other side spoke or closed first, nothing was sent."""
    real = opening.dial

    async def dial_and_dawdle(peer: opening.Peer, names: Names) -> Connection:
        connection = await real(peer, names)
        async with asyncio.timeout(PATIENCE_SECONDS):
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
        call = asyncio.ensure_future(calls.status("act.secret", "v"))
        async with asyncio.timeout(PATIENCE_SECONDS):
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
