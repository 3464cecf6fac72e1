"""The client as its callers know it: every call, its deadline, its secrets."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault, Verdict
from app.domain.posts.post import MediaType, Post, PostMode, PrivacyLevel
from app.domain.posts.upload import ChunkSizes, plan_chunks
from app.tiktok.client import Calls, TikTok
from app.tiktok.transport import kept_connections
from app.tiktok.transport.session import Http
from app.tiktok.values import InitTaken, PublishState, PublishStatus
from tests.support.patience import PATIENCE_SECONDS
from tests.tiktok import chaos
from tests.tiktok.attempts import cut_off
from tests.tiktok.chaos import envelope, response

POST = Post(title="Hello", privacy_level=PrivacyLevel.SELF_ONLY)
DRAFT = Post(mode=PostMode.INBOX)
PHOTOS = Post(media_type=MediaType.PHOTO, privacy_level=PrivacyLevel.SELF_ONLY)
PLAN = plan_chunks(70_000_000, ChunkSizes())
VIDEO = "https://cdn.example.com/v.mp4"
NOW = datetime(2026, 4, 9, 12, 0, tzinfo=UTC)
Handler = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]
Call = Callable[[Calls, str], Awaitable[object]]

CALLS: dict[str, Call] = {
    "creator_info": lambda calls, secret: calls.creator_info(secret),
    "init": lambda calls, secret: calls.init(secret, POST, VIDEO),
    "inbox init": lambda calls, secret: calls.init(secret, DRAFT, VIDEO),
    "upload init": lambda calls, secret: calls.upload_init(secret, POST, PLAN),
    "photo init": lambda calls, secret: calls.photo_init(secret, PHOTOS, [VIDEO]),
    "cancel": lambda calls, secret: calls.cancel(secret, "v_pub_url~v2.1"),
    "status": lambda calls, secret: calls.status(secret, "v_pub_url~v2.1"),
    "user_info": lambda calls, secret: calls.user_info(secret),
    "list_videos": lambda calls, secret: calls.list_videos(secret, cursor=7),
    "refresh": lambda calls, secret: calls.refresh(secret),
    "exchange_code": lambda calls, secret: calls.exchange_code(
        secret, redirect_uri="https://app.example.com/cb", code_verifier=secret
    ),
    "revoke": lambda calls, secret: calls.revoke(secret),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


@asynccontextmanager
async def connected(
    base_url: str = "https://tiktok.example", *, handler: Handler | None = None
) -> AsyncIterator[Calls]:
    """Give the calls of an attempt, over a handler or over real sockets."""
    transport = httpx.MockTransport(handler) if handler else None
    tiktok = TikTok(
        base_url=base_url,
        client_key="client-key",
        client_secret="secret.client",
        http=Http(transport=transport, now=lambda: NOW),
        timeout=PATIENCE_SECONDS,
    )
    async with tiktok.connect() as calls:
        yield calls


def refusing_with(text: str, *, status: int = 400) -> Handler:
    """Return a handler that refuses everything in TikTok's words."""

    async def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=text.encode())

    return handler


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://tiktok.example", "/v2/post/publish/video/init/"),
        ("https://tiktok.example/", "/v2/post/publish/video/init/"),
        ("https://tiktok.example/a/b", "/a/b/v2/post/publish/video/init/"),
        ("https://tiktok.example/a/b/", "/a/b/v2/post/publish/video/init/"),
    ],
)
async def test_base_url(base_url: str, path: str) -> None:
    """A base may have a path and a slash at its end; TikTok's own slash stays."""
    paths = []

    async def handler(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return httpx.Response(200, content=envelope({"publish_id": "v"}))

    async with connected(base_url, handler=handler) as calls:
        assert isinstance(await calls.init("act.token", POST, VIDEO), InitTaken)
    assert paths == [path]


@every_call
async def test_every_call_returns_a_refusal(call: Call) -> None:
    """A refusal is a value, from each endpoint."""
    body = envelope(code="access_token_invalid", message="expired", log_id="L").decode()
    async with connected(handler=refusing_with(body, status=401)) as calls:
        assert await call(calls, "act.token") == Fault(
            error_class=ErrorClass.AUTH,
            code="access_token_invalid",
            message="expired",
            http_status=401,
            log_id="L",
        )


@every_call
async def test_every_call_has_the_clients_deadline(call: Call) -> None:
    """Without a deadline of its own a call takes no longer than the client allows."""
    async with chaos.serving(chaos.stall) as url:
        fault = await cut_off(lambda seconds: _hasty(url, call, seconds))
    assert (fault.code, fault.verdict) == ("timeout", Verdict.UNKNOWN)


async def _hasty(url: str, call: Call, seconds: float) -> object:
    tiktok = TikTok(base_url=url, client_key="k", client_secret="s", timeout=seconds)
    async with tiktok.connect() as calls:
        return await call(calls, "act.token")


@every_call
async def test_no_secret_comes_back(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that quotes the whole request finds no echo in a fault or a log."""
    caplog.set_level(logging.DEBUG)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await chaos.read_request(reader)).decode()
        body = envelope(code="invalid_params", message=request, log_id=request)
        writer.write(response(body, status=400))

    async with chaos.serving(echo) as url, connected(url) as calls:
        fault = await call(calls, "secret-token+/*!=")
    assert isinstance(fault, Fault)
    assert fault.code == "invalid_params"
    seen = repr(fault) + repr(calls) + caplog.text
    assert "secret-token" not in seen
    assert "secret.client" not in seen


@every_call
@pytest.mark.parametrize(
    "secret", ["secret\r\nX-Other: 1", "secret\u20ac", "secret\ud800"]
)
async def test_secrets_no_request_can_carry(call: Call, secret: str) -> None:
    """A broken token is no reason to raise, to smuggle a header or to be quoted."""
    headers = []

    async def handler(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        headers.append((await chaos.read_request(reader)).partition(b"\r\n\r\n")[0])
        writer.write(response(b"{}", status=400))

    async with chaos.serving(handler) as url, connected(url) as calls:
        fault = await call(calls, secret)
    assert isinstance(fault, Fault)
    assert "secret" not in repr(fault)
    assert b"X-Other" not in b"".join(headers)
    if not headers:
        assert fault.verdict is Verdict.NOT_SENT
        assert fault.code == "request_unsendable"


async def test_cancelled() -> None:
    """Who cancels a call gets the cancellation, not a fault."""
    async with chaos.serving(chaos.stall) as url, connected(url) as calls:
        call = asyncio.ensure_future(calls.status("act.token", "p"))
        done, _ = await asyncio.wait({call}, timeout=0.1)
        assert not done
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


@pytest.mark.parametrize(
    ("error", "verdict", "code"),
    [
        (httpx.ConnectError("no"), Verdict.NOT_SENT, "connect_failed"),
        (httpx.ConnectTimeout("no"), Verdict.NOT_SENT, "connect_timeout"),
        (httpx.PoolTimeout("no"), Verdict.NOT_SENT, "connect_timeout"),
        (httpx.UnsupportedProtocol("no"), Verdict.NOT_SENT, "request_unsendable"),
        (httpx.LocalProtocolError("no"), Verdict.NOT_SENT, "request_unsendable"),
        (httpx.ReadTimeout("no"), Verdict.UNKNOWN, "timeout"),
        (httpx.WriteTimeout("no"), Verdict.UNKNOWN, "timeout"),
        (httpx.ReadError("no"), Verdict.UNKNOWN, "connection_lost"),
        (httpx.WriteError("no"), Verdict.UNKNOWN, "connection_lost"),
        (httpx.CloseError("no"), Verdict.UNKNOWN, "connection_lost"),
        (httpx.ProxyError("no"), Verdict.UNKNOWN, "connection_lost"),
        (httpx.RemoteProtocolError("no"), Verdict.UNKNOWN, "connection_lost"),
        (httpx.DecodingError("no"), Verdict.UNKNOWN, "bad_answer"),
        (TimeoutError("no"), Verdict.UNKNOWN, "timeout"),
        (OSError("no"), Verdict.UNKNOWN, "connection_lost"),
        (RuntimeError("no"), Verdict.UNKNOWN, "connection_lost"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_every_exception_has_a_verdict(
    error: Exception, verdict: Verdict, code: str
) -> None:
    """Only what cannot happen after sending counts as not sent; the rest is unknown."""

    async def handler(request: httpx.Request) -> httpx.Response:
        raise error

    async with connected(handler=handler) as calls:
        fault = await calls.init("act.token", POST, VIDEO)
    assert isinstance(fault, Fault)
    assert (fault.verdict, fault.code) == (verdict, code)


async def test_init_never_meets_an_old_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that has not just answered may close as the init leaves."""
    monkeypatch.setattr(kept_connections, "PROVEN_SECONDS", 0.0)
    served: list[list[str]] = []

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        paths: list[str] = []
        served.append(paths)
        while True:
            request = await chaos.read_request(reader)
            paths.append(request.split(b" ")[1].decode())
            data = {"publish_id": "v", "status": "PUBLISH_COMPLETE"}
            writer.write(response(envelope(data)))

    async with chaos.serving(script) as url, connected(url) as calls:
        await calls.status("act.token", "p")
        assert isinstance(await calls.init("act.token", POST, VIDEO), InitTaken)
        polled = await calls.status("act.token", "v")
    assert isinstance(polled, PublishStatus)
    assert polled.state is PublishState.COMPLETE
    fetch, init = "/v2/post/publish/status/fetch/", "/v2/post/publish/video/init/"
    assert served == [[fetch], [init, fetch]]


async def test_no_call_queues_behind_others() -> None:
    """Stalled or leaked calls never take the place of the next one.

    httpx's own pool has 100 places, and cancelled requests at times keep theirs.
    """
    arrived = asyncio.Semaphore(0)

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await chaos.read_request(reader)
        arrived.release()
        await chaos.stall(reader, writer)

    async with chaos.serving(script) as url, connected(url) as calls:
        tasks = [
            asyncio.ensure_future(
                calls.status("act.token", "p", timeout=PATIENCE_SECONDS)
            )
            for _ in range(101)
        ]
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in tasks:
                await arrived.acquire()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("name", ["refresh", "exchange_code", "revoke"])
@pytest.mark.parametrize(("key", "secret"), [(None, "s"), ("k", None), ("", "")])
async def test_app_without_credentials(
    name: str, key: str | None, secret: str | None
) -> None:
    """A call that needs the app's credentials says so before anything is sent."""
    tiktok = TikTok(
        base_url="http://nobody.invalid", client_key=key, client_secret=secret
    )
    async with tiktok.connect() as calls:
        fault = await CALLS[name](calls, "act.token")
    assert isinstance(fault, Fault)
    assert (fault.code, fault.verdict) == ("client_not_configured", Verdict.NOT_SENT)
    assert fault.error_class is ErrorClass.PERMANENT


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Thu, 09 Apr 2026 12:00:30 GMT", 30.0)]
)
async def test_retry_after(header: str, seconds: float) -> None:
    """A limit's Retry-After is read against the injected clock."""

    async def handler(request: httpx.Request) -> httpx.Response:
        body = json.loads(envelope(code="rate_limit_exceeded"))
        return httpx.Response(429, json=body, headers={"Retry-After": header})

    async with connected(handler=handler) as calls:
        fault = await calls.status("act.token", "p")
    assert isinstance(fault, Fault)
    assert fault.retry_after == seconds


def test_the_client_shows_no_secret() -> None:
    """The client's repr, in a log or a traceback, gives nothing away."""
    tiktok = TikTok(base_url="http://x", client_key="k", client_secret="secret.client")
    assert "secret.client" not in repr(tiktok) + repr(vars(tiktok))
