"""What is known of an init that failed, over real sockets.

A wrong NOT_SENT posts twice; a wrong UNKNOWN holds a post that could have gone out.
"""

import asyncio

import pytest

from app.domain.codes import OUT_OF_RESOURCES
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault, Verdict
from app.domain.posts.post import Post, PrivacyLevel
from app.tiktok.client import TikTok
from app.tiktok.transport.answer_reader import MAX_ANSWER_BYTES
from app.tiktok.values import InitTaken
from tests.support.certificates import Certificate
from tests.support.patience import PATIENCE_SECONDS
from tests.support.resolver import resolving
from tests.support.shortages import no_descriptors
from tests.tiktok import chaos
from tests.tiktok.attempts import cut_off
from tests.tiktok.chaos import Script, answering, envelope, response

POST = Post(title="Hello", privacy_level=PrivacyLevel.SELF_ONLY)
PAGE = b"<html><body><h1>Bad Gateway</h1></body></html>"
TAKEN = response(envelope({"publish_id": "v_pub_url~v2.1"}))
NOT_TIKTOK = b'{"error": "upstream connect error"}'
NUMBERED = b'{"error": {"code": 503, "message": "unavailable"}}'

LOST: dict[str, tuple[Script, str]] = {
    "reset on accept": (chaos.reset_on_accept, "connection_lost"),
    "reset after the request": (chaos.reset_after_request, "connection_lost"),
    "closed after the request": (chaos.close_after_request, "connection_lost"),
    "half an answer": (answering(TAKEN[:-9]), "connection_lost"),
    "half a header": (answering(TAKEN[:20]), "connection_lost"),
    "garbage": (answering(b"\x16\x03\x01 nonsense \r\n\r\n"), "connection_lost"),
    "broken gzip": (
        answering(response(b"no gzip", Content_Encoding="gzip")),
        "bad_answer",
    ),
    "half a JSON text": (
        answering(b"HTTP/1.1 200 OK\r\n\r\n" + envelope({"publish_id": "v"})[:-9]),
        "bad_answer",
    ),
    "empty 200": (answering(response(b"")), "bad_answer"),
    "a page with 200": (answering(response(PAGE)), "bad_answer"),
    "more than a megabyte": (
        answering(response(b" " * MAX_ANSWER_BYTES + envelope({"publish_id": "v"}))),
        "bad_answer",
    ),
    "ok without publish_id": (answering(response(envelope())), "bad_answer"),
    "ok without publish_id, 500": (
        answering(response(envelope(), status=500)),
        "bad_answer",
    ),
    "a page with 502": (answering(response(PAGE, status=502)), "gateway_error"),
    "a page with 408": (answering(response(PAGE, status=408)), "gateway_error"),
    "empty 404": (answering(response(b"", status=404)), "gateway_error"),
    "empty 503": (answering(response(b"", status=503)), "gateway_error"),
    "a redirect": (
        answering(response(b"", status=307, Location="/elsewhere/")),
        "gateway_error",
    ),
    "another JSON, 503": (answering(response(NOT_TIKTOK, status=503)), "gateway_error"),
    "a numbered error, 503": (
        answering(response(NUMBERED, status=503)),
        "gateway_error",
    ),
    "a refusal that names a publish": (
        answering(response(envelope({"publish_id": "v"}, code="internal_error"))),
        "bad_answer",
    ),
}


async def init(
    base_url: str, *, seconds: float = PATIENCE_SECONDS
) -> InitTaken | Fault:
    """Send one init and return what came of it."""
    tiktok = TikTok(base_url=base_url, client_key=None, client_secret=None)
    async with tiktok.connect() as calls:
        return await calls.init(
            "act.secret", POST, "https://cdn.example.com/v.mp4", timeout=seconds
        )


async def failed_init(base_url: str, *, seconds: float = PATIENCE_SECONDS) -> Fault:
    """Send an init that does not succeed."""
    fault = await init(base_url, seconds=seconds)
    assert isinstance(fault, Fault)
    return fault


def assert_not_sent(fault: Fault, code: str) -> None:
    """Check that the init may be sent again."""
    assert (fault.verdict, fault.code) == (Verdict.NOT_SENT, code)
    assert fault.error_class is ErrorClass.TRANSIENT


def assert_unknown(fault: Fault, code: str) -> None:
    """Check that the init counts as possibly taken."""
    assert (fault.verdict, fault.code) == (Verdict.UNKNOWN, code)
    assert fault.error_class is ErrorClass.TRANSIENT


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
async def test_a_page_that_turns_a_request_away(status: int) -> None:
    """An edge answers 4xx for what it did not pass on: not taken, and not again."""
    async with chaos.serving(answering(response(PAGE, status=status))) as url:
        fault = await failed_init(url)
    assert (fault.verdict, fault.code) == (Verdict.ANSWERED, "turned_away")
    assert fault.error_class is ErrorClass.PERMANENT


@pytest.mark.parametrize(("script", "code"), LOST.values(), ids=LOST.keys())
async def test_an_answer_that_proves_nothing(script: Script, code: str) -> None:
    """Once a byte left, only TikTok's own envelope says what became of the init."""
    async with chaos.serving(script) as url:
        assert_unknown(await failed_init(url), code)


@pytest.mark.parametrize(
    "script",
    [
        chaos.stall,
        chaos.dripping(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000),
        chaos.dripping(response(PAGE * 200)),
    ],
    ids=["stall", "drip of headers", "drip of a body"],
)
async def test_deadline_after_sending(script: Script) -> None:
    """The deadline is over all, and once a byte left it leaves the init unknown."""
    async with chaos.serving(script) as url:
        fault = await cut_off(lambda seconds: init(url, seconds=seconds))
    assert_unknown(fault, "timeout")


async def test_drip_in_time() -> None:
    """A slow answer that is whole in time counts."""
    async with chaos.serving(chaos.dripping(TAKEN)) as url:
        taken = await init(url)
    assert taken == InitTaken(publish_id="v_pub_url~v2.1", log_id="log-1")


async def test_refused() -> None:
    """A refused connection carried nothing."""
    with chaos.refusing() as url:
        assert_not_sent(await failed_init(url), "connect_failed")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_nothing_left_to_connect_with(scheme: str) -> None:
    """Without a descriptor nothing is sent, and it is known whose fault that is."""
    TikTok(base_url="", client_key=None, client_secret=None).ready()  # as workers do
    with no_descriptors():
        fault = await failed_init(f"{scheme}://127.0.0.1:9")
    assert_not_sent(fault, OUT_OF_RESOURCES)


async def test_no_such_host() -> None:
    """A name that cannot be resolved was sent nothing."""
    fault = await failed_init("http://nobody.invalid")
    assert_not_sent(fault, "connect_failed")


async def test_name_no_resolver_takes() -> None:
    """A host name that breaks the resolver's own encoding was sent nothing."""
    fault = await failed_init(f"http://{'x' * 70}.example")
    assert fault.verdict is Verdict.NOT_SENT


async def test_resolver_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline that passes while the name is looked up proves nothing was sent."""
    resolver = resolving(monkeypatch, hanging={"tiktok.example"})
    fault = await failed_init("http://tiktok.example", seconds=0.2)
    assert_not_sent(fault, "connect_timeout")
    resolver.go_on()


async def test_resolver_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that no one foresaw, on the way to a connection, carried nothing."""
    resolving(monkeypatch, failure=RuntimeError())
    assert_not_sent(await failed_init("http://tiktok.example"), "connect_failed")


async def test_connect_hangs() -> None:
    """A deadline that passes before the connection stands proves nothing was sent."""
    with chaos.never_accepting() as url:
        fault = await failed_init(url, seconds=0.3)
    assert_not_sent(fault, "connect_timeout")


@pytest.mark.parametrize("seconds", [0.0, -1.0])
async def test_deadline_already_over(seconds: float) -> None:
    """A call that has no time left is not made."""
    async with chaos.serving(answering(TAKEN)) as url:
        fault = await failed_init(url, seconds=seconds)
    assert_not_sent(fault, "connect_timeout")


async def test_tls_hangs() -> None:
    """A handshake that does not end in time carried no request, and is hung up."""
    hung_up = asyncio.Event()

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await chaos.stall(reader, writer)
        hung_up.set()

    async with chaos.serving(script) as url:
        fault = await failed_init(url.replace("http:", "https:"), seconds=1)
        assert_not_sent(fault, "connect_timeout")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await hung_up.wait()


async def test_tls_breaks_off() -> None:
    """A handshake that breaks off carried no request."""
    async with chaos.serving(chaos.reset_on_accept) as url:
        fault = await failed_init(url.replace("http:", "https:"))
    assert_not_sent(fault, "connect_failed")


async def test_untrusted_certificate(certificate: Certificate) -> None:
    """A server that cannot prove who it is gets no token, and the operator the why."""
    async with chaos.serving(answering(TAKEN), ssl=certificate.server()) as url:
        fault = await failed_init(url)
    assert_not_sent(fault, "connect_failed")
    assert "certificate verify failed" in fault.message


async def test_over_tls(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS the same line divides sent from not sent."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    async with chaos.serving(answering(TAKEN), ssl=certificate.server()) as url:
        assert isinstance(await init(url), InitTaken)
    async with chaos.serving(chaos.stall, ssl=certificate.server()) as url:
        fault = await cut_off(lambda seconds: init(url, seconds=seconds))
    assert_unknown(fault, "timeout")
    script = chaos.reset_after_request
    async with chaos.serving(script, ssl=certificate.server()) as url:
        assert_unknown(await failed_init(url), "connection_lost")


@pytest.mark.parametrize(
    "base_url", ["ftp://tiktok.example", "tiktok.example", "http://:x", ""]
)
async def test_address_that_is_none(base_url: str) -> None:
    """A base URL that is no http(s) address is told as such; nothing is sent."""
    fault = await failed_init(base_url)
    assert_not_sent(fault, "request_unsendable")


@pytest.mark.parametrize("status", [200, 400, 403, 429, 500, 502, 503, 307])
async def test_refusal_in_tiktoks_words(status: int) -> None:
    """TikTok's envelope with an error was no init, whatever the HTTP status."""
    body = envelope(code="spam_risk_too_many_posts", message="no", log_id="L")
    async with chaos.serving(answering(response(body, status=status))) as url:
        fault = await failed_init(url)
    assert fault == Fault(
        error_class=ErrorClass.RATE_LIMIT,
        code="spam_risk_too_many_posts",
        message="no",
        verdict=Verdict.ANSWERED,
        http_status=status,
        log_id="L",
    )


@pytest.mark.parametrize("body", [b"", PAGE, b'{"message": "slow down"}'])
async def test_bare_429(body: bytes) -> None:
    """Without an envelope nobody knows whether the init got through."""
    raw = response(body, status=429, Retry_After="7")
    async with chaos.serving(answering(raw)) as url:
        fault = await failed_init(url)
    assert fault.verdict is Verdict.UNKNOWN
    assert fault.error_class is ErrorClass.RATE_LIMIT
    assert (fault.code, fault.retry_after) == ("too_many_requests", 7.0)


async def test_redirects_stay_unfollowed() -> None:
    """A redirect is not followed: the init must not be sent to another place."""
    requests = 0

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal requests
        await chaos.read_request(reader)
        requests += 1
        writer.write(response(b"", status=308, Location="/again/"))

    async with chaos.serving(script) as url:
        await failed_init(url)
    assert requests == 1


async def test_proxies_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy does not get to see tokens or to blur the verdict."""
    with chaos.refusing() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("ALL_PROXY", proxy)
        async with chaos.serving(answering(TAKEN)) as url:
            assert isinstance(await init(url), InitTaken)
