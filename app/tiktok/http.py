"""The wire: the one module that knows httpx.

What matters most is told here: after a call that failed, can TikTok have seen it? Only
the connection's own record of what it did can answer that, see ``_Progress``.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import httpx

from app.domain.clock import SystemClock
from app.domain.job import ErrorClass
from app.domain.outcome import Fault, Verdict
from app.tiktok.retry_after import parse_retry_after
from app.tiktok.text import clean
from app.tiktok.wire import Answer, Request

MAX_ANSWER_BYTES: Final = 1024 * 1024
_KEEP_ALIVE_SECONDS: Final = 30.0  # outlasts the pause between two polls
_HEADERS: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # nothing that unpacks to more than it weighs
    "User-Agent": "tiktok-scheduler",
}


class Http:
    """Make HTTP clients that share one SSL context; one per process."""

    def __init__(
        self,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._transport = transport
        self._now = now or SystemClock().now

    @asynccontextmanager
    async def connect(self, base_url: str) -> AsyncIterator["Session"]:
        """Open a client of its own, so that nothing of it outlives its use.

        httpx 0.28 loses a place in its pool when a request is cancelled; a client that
        lives for one attempt, with a pool that has no limit, never runs out of them.
        https://github.com/encode/httpcore/issues/1093
        """
        client = httpx.AsyncClient(
            transport=self._transport,
            verify=self._ssl_context_for(base_url),
            headers=_HEADERS,
            timeout=httpx.Timeout(None),  # it would start anew with each byte: see send
            limits=httpx.Limits(
                max_connections=None, keepalive_expiry=_KEEP_ALIVE_SECONDS
            ),
            trust_env=False,
            follow_redirects=False,
        )
        async with client:
            yield Session(client, base_url=base_url.rstrip("/"), now=self._now)

    def _ssl_context_for(self, base_url: str) -> ssl.SSLContext:
        secure = base_url.lower().startswith("https:")
        return self._trusting if secure else self._trusting_nobody

    @cached_property
    def _trusting(self) -> ssl.SSLContext:
        # Loading the authorities takes some 50 ms: once, not for every attempt.
        return httpx.create_ssl_context()

    @cached_property
    def _trusting_nobody(self) -> ssl.SSLContext:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Session:
    """One HTTP client at work."""

    def __init__(
        self, client: httpx.AsyncClient, *, base_url: str, now: Callable[[], datetime]
    ) -> None:
        self._client = client
        self._base_url = base_url
        self._now = now

    async def send(self, request: Request, *, seconds: float) -> Answer | Fault:
        """Send a request and return its answer, or what is known of its fate.

        The deadline is over all: a server that drips bytes never meets httpx's own.
        Raises nothing but its own cancellation.
        """
        progress = _Progress()
        try:
            if seconds <= 0:
                raise TimeoutError
            async with asyncio.timeout(seconds):
                return await self._exchange(request, progress)
        except Exception as error:  # noqa: BLE001 - httpx lets bare SSLErrors through
            return _fault_of(error, progress)

    async def _exchange(self, request: Request, progress: "_Progress") -> Answer:
        built = self._client.build_request(
            request.method,
            self._base_url + request.path,
            headers=request.headers,
            content=request.content,
            extensions={"trace": progress.note},
        )
        progress.built = True
        response = await self._client.send(built, stream=True)
        try:
            progress.http_status = response.status_code
            body = await _read(response)
        finally:
            await response.aclose()
        header = response.headers.get("Retry-After")
        return Answer(
            status=response.status_code,
            body=body,
            retry_after=parse_retry_after(header, now=self._now()),
            secrets=request.secrets,
        )


async def _read(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise httpx.DecodingError("larger than any answer of TikTok's")
    return bytes(body)


_BEFORE_SENDING: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.InvalidURL,
    httpx.LocalProtocolError,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)


@dataclass(slots=True)
class _Progress:
    """How far a request got, as httpcore tells it.

    https://www.encode.io/httpcore/extensions/#trace
    """

    built: bool = False
    connecting: bool = False
    sending: bool = False
    headers_sent: bool = False
    http_status: int | None = None
    _tcp: Any = None  # httpcore's network stream

    async def note(self, event: str, info: dict[str, Any]) -> None:
        """Take in one of httpcore's trace events."""
        match event:
            case "connection.connect_tcp.started":
                self.connecting = True
            case "connection.connect_tcp.complete":
                self._tcp = info["return_value"]
            case "connection.start_tls.failed":
                # httpcore leaves the socket open if the handshake is cancelled.
                await self._tcp.aclose()
            case "http11.send_request_headers.started":
                self.sending = True
            case "http11.send_request_headers.complete":
                self.headers_sent = True
            case _:
                pass

    def proves_unsent(self, error: Exception) -> bool:
        """Tell whether no byte of the request can have left; in doubt it may have."""
        if self.sending:
            # h11 refuses what HTTP cannot carry before it writes the first byte.
            refused = isinstance(error, httpx.LocalProtocolError)
            return refused and not self.headers_sent
        unsent = not self.built or self.connecting
        return unsent or isinstance(error, _BEFORE_SENDING)


def _fault_of(error: Exception, progress: _Progress) -> Fault:
    unsent = progress.proves_unsent(error)
    code, message = _describe_unsent(error) if unsent else _describe_lost(error)
    return Fault(
        error_class=ErrorClass.TRANSIENT,
        code=code,
        message=message,
        verdict=Verdict.NOT_SENT if unsent else Verdict.UNKNOWN,
        http_status=progress.http_status,
    )


# An exception's own text may quote the request, so only that of a failed connection,
# which knows nothing but the address and the certificate, is passed on.


def _describe_unsent(error: Exception) -> tuple[str, str]:
    match error:
        case TimeoutError() | httpx.TimeoutException():
            return "connect_timeout", "no connection to TikTok in time"
        case httpx.ConnectError():
            reason = clean(str(error), limit=200) or "refused"
            return "connect_failed", f"no connection to TikTok: {reason}"
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return "request_unsendable", "TikTok's address is not an http(s) URL"
        case httpx.LocalProtocolError() | UnicodeError():
            return "request_unsendable", "the address or a token does not fit HTTP"
        case _:
            return "connect_failed", f"no connection to TikTok: {type(error).__name__}"


def _describe_lost(error: Exception) -> tuple[str, str]:
    match error:
        case TimeoutError() | httpx.TimeoutException():
            return "timeout", "TikTok did not answer in time"
        case httpx.DecodingError():
            return "bad_answer", "TikTok's answer cannot be read"
        case _:
            return "connection_lost", "the connection broke before TikTok's answer"
