"""TikTok's answers over HTTP, or what is known about a call without an answer.

The most important question is answered here: can TikTok have received a call that
failed? The transport tells it by the kind of exception.
"""

import ssl
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property, lru_cache
from typing import Final, Self

import httpx

from app.domain.codes import OUT_OF_RESOURCES
from app.domain.http_headers import parse_retry_after
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault, Verdict
from app.machine.clock import SystemClock
from app.machine.look_ups import Names
from app.machine.shortage import is_shortage
from app.tiktok.text import clean
from app.tiktok.transport.answer_reader import MAX_ANSWER_BYTES
from app.tiktok.transport.httpx_transport import Transport
from app.tiktok.transport.kept_connections import KeptConnections
from app.tiktok.transport.uploader import Uploader
from app.tiktok.wire import ApiAnswer, ApiRequest

_HEADERS: Final = (
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"identity"),  # no decompression bombs
    (b"User-Agent", b"tiktok-scheduler"),
)
_TIMEOUTS: Final = ("connect", "read", "write", "pool")  # as httpx names them


class Http:
    """Opens sessions, which share what is expensive to make; one per process."""

    def __init__(
        self,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._transport = transport
        self._now = now or SystemClock().now
        self._names = Names()
        self._kept = defaultdict[str, KeptConnections](KeptConnections)

    def connect(self, base_url: str) -> "Session":
        """Open a session; the last one to end closes the connections.

        It does without httpx's client, which costs more than the rest of a call and
        adds nothing that is needed here.
        """
        transport = self._transport or self._fresh(base_url)
        return Session(
            transport,
            base_url=base_url.rstrip("/"),
            now=self._now,
            uploader=self.uploader,
        )

    def uploader(self) -> Uploader:
        """Return an uploader with its own connection for one upload."""
        return Uploader(self._names, lambda: self._tls)

    def _fresh(self, base_url: str) -> Transport:
        return Transport(self._names, lambda: self._tls, self._kept[base_url])

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Loading the certificates takes some 50 ms: once, not for every attempt.
        return httpx.create_ssl_context()


class Session:
    """Sends one attempt's requests."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        base_url: str,
        now: Callable[[], datetime],
        uploader: Callable[[], Uploader],
    ) -> None:
        self.uploader = uploader
        self._transport = transport
        self._base_url = base_url
        self._now = now
        self._headers: tuple[Mapping[str, str], httpx.Headers] | None = None

    async def __aenter__(self) -> Self:
        """Enter; a connection is opened with the first request."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        await self._transport.aclose()

    async def send(self, request: ApiRequest, *, seconds: float) -> ApiAnswer | Fault:
        """Send a request and return its answer, or a fault with what is known.

        The deadline covers everything, from the name look-up to the last byte. Raises
        nothing but its own cancellation.
        """
        try:
            built = self._build(request, seconds)
        except (httpx.InvalidURL, UnicodeError) as error:
            return _unsent(error)
        try:
            response = await self._transport.handle_async_request(built)
            told = _told(response)
            body = await _read(response, told.get(b"content-encoding", b"identity"))
        except _BEFORE_SENDING as error:
            return _unsent(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it may be sent
            return _lost(error, http_status=built.extensions.get("http_status"))
        wait, log_id = _text(told, b"retry-after"), _text(told, b"x-tt-logid")
        return ApiAnswer(
            status=response.status_code,
            body=body,
            retry_after=parse_retry_after(wait, now=self._now()) if wait else None,
            said_at=_date(told.get(b"date")),
            secrets=request.secrets,
            log_id=log_id,
        )

    def _build(self, request: ApiRequest, seconds: float) -> httpx.Request:
        url = _address(self._base_url + request.path)
        if self._headers is None or self._headers[0] != request.headers:
            # Made once for calls with the same token: httpx looks at each header.
            self._headers = request.headers, _headers(request, url)
        built = httpx.Request(
            request.method,
            url,
            stream=httpx.ByteStream(request.content),
            extensions={
                "timeout": dict.fromkeys(_TIMEOUTS, seconds),
                "once": request.once,
            },
        )
        built.headers = self._headers[1]  # httpx would copy them
        return built


def _headers(request: ApiRequest, url: httpx.URL) -> httpx.Headers:
    headers = [(b"Host", url.netloc), *_HEADERS]
    for name, value in request.headers.items():
        headers.append((name.encode("ascii"), value.encode("ascii")))
    return httpx.Headers(headers)


def _told(response: httpx.Response) -> dict[bytes, bytes]:
    """Return the answer's headers; httpx would look for their encoding at each one."""
    return {name.lower(): value for name, value in response.headers.raw}


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("utf-8", "replace")


@lru_cache(maxsize=8)  # all answers of a second have the same
def _date(value: bytes | None) -> datetime | None:
    """Read the header Date; None for nonsense.

    https://www.rfc-editor.org/rfc/rfc9110#field.date
    """
    try:
        found = parsedate_to_datetime((value or b"").decode("ascii"))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else None


@lru_cache(maxsize=64)  # an endpoint's URL never changes, and is slow to parse
def _address(url: str) -> httpx.URL:
    return httpx.URL(url)


async def _read(response: httpx.Response, encoding: bytes) -> bytes:
    if encoding != b"identity":
        raise httpx.DecodingError("an encoding that was not asked for")
    if not isinstance(response.stream, httpx.AsyncByteStream):
        raise TypeError("an answer that cannot be read while others wait")
    if isinstance(response.stream, httpx.ByteStream):  # our own transport has it whole
        return b"".join(response.stream)
    body = bytearray()
    async for chunk in response.stream:  # it is not compressed
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


def _unsent(error: Exception) -> Fault:
    return _fault(*_describe_unsent(error), Verdict.NOT_SENT)


def _lost(error: Exception, *, http_status: int | None) -> Fault:
    return _fault(*_describe_lost(error), Verdict.UNKNOWN, http_status)


def _fault(
    code: str, message: str, verdict: Verdict, http_status: int | None = None
) -> Fault:
    return Fault(
        error_class=ErrorClass.TRANSIENT,
        code=code,
        message=message,
        verdict=verdict,
        http_status=http_status,
    )


# An exception's text may quote the request. Only that of a failed connection, which
# knows only the address and the certificate, is passed on.


def _describe_unsent(error: Exception) -> tuple[str, str]:
    if is_shortage(error):
        return OUT_OF_RESOURCES, "this process lacks what a connection takes"
    match error:
        case httpx.TimeoutException():
            return "connect_timeout", "no connection to TikTok in time"
        case httpx.InvalidURL() | httpx.UnsupportedProtocol():
            return "request_unsendable", "TikTok's address is not an http(s) URL"
        case httpx.LocalProtocolError() | UnicodeError():
            return "request_unsendable", "the address or a token does not fit HTTP"
        case _:
            reason = clean(str(error), limit=200) or "refused"
            return "connect_failed", f"no connection to TikTok: {reason}"


def _describe_lost(error: Exception) -> tuple[str, str]:
    match error:
        case TimeoutError() | httpx.TimeoutException():
            return "timeout", "TikTok did not answer in time"
        case httpx.DecodingError():
            return "bad_answer", "TikTok's answer cannot be read"
        case _:
            return "connection_lost", "the connection broke before TikTok's answer"
