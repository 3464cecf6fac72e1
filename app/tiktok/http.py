"""TikTok's answers over HTTP, or what is known of a call that got none.

What matters most is told here: after a call that failed, can TikTok have seen it? The
transport says so by the kind of exception that it raises.
"""

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, Self

import httpx

from app.domain.clock import SystemClock
from app.domain.job import ErrorClass
from app.domain.outcome import Fault, Verdict
from app.tiktok.answer import AnswerReader
from app.tiktok.names import Names
from app.tiktok.retry_after import parse_retry_after
from app.tiktok.text import clean
from app.tiktok.transport import Address, Transport
from app.tiktok.wire import Answer, Request

# Nothing that unpacks to more than it weighs.
_ALWAYS: Final = (
    b"Accept: application/json\r\n"
    b"Accept-Encoding: identity\r\n"
    b"User-Agent: tiktok-scheduler\r\n"
)
_PORTS: Final = {"http": 80, "https": 443}
# RFC 9110, section 5.5, as far as it is ASCII.
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")


class Http:
    """Opens sessions, which share what is dear to get; one per process."""

    def __init__(
        self,
        *,
        transport: Transport | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._transport = transport
        self._now = now or SystemClock().now
        self._names = Names()
        self._context: ssl.SSLContext | None = None

    def connect(self, base_url: str) -> "Session":
        """Open a session with connections of its own: nothing of it outlives its use.

        Without httpx's client and its requests, which cost more than all the rest of a
        call and do nothing that TikTok asks for.
        """
        transport = self._transport or self._fresh()
        return Session(transport, base_url=base_url.rstrip("/"), now=self._now)

    def _fresh(self) -> Transport:
        return Transport(self._names, self._tls)

    def _tls(self) -> ssl.SSLContext:
        # Loading the authorities takes some 50 ms: once, not for every attempt.
        if self._context is None:
            self._context = httpx.create_ssl_context()
        return self._context


class Session:
    """What one attempt sends, over connections of its own."""

    def __init__(
        self, transport: Transport, *, base_url: str, now: Callable[[], datetime]
    ) -> None:
        self._transport = transport
        self._base_url = base_url
        self._now = now

    async def __aenter__(self) -> Self:
        """Begin; no connection is made before a request."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        await self._transport.aclose()

    async def send(self, request: Request, *, seconds: float) -> Answer | Fault:
        """Send a request and return its answer, or what is known of its fate.

        The deadline is over all, from the look-up of a name to the last byte. Raises
        nothing but its own cancellation.
        """
        try:
            target = _target(self._base_url + request.path)
            content = _written(request, target)
        except (*_BEFORE_SENDING, UnicodeError) as error:
            return _unsent(error)
        reader = AnswerReader()
        try:
            await self._transport.exchange(
                target.address, content, reader, seconds=seconds, fresh=request.once
            )
            return self._answer(reader, request)
        except _BEFORE_SENDING as error:
            return _unsent(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it may be sent
            return _lost(error, http_status=reader.status)

    def _answer(self, reader: AnswerReader, request: Request) -> Answer:
        if reader.status is None:
            raise AssertionError("a whole answer has a status")
        if reader.header(b"content-encoding") not in {None, "identity"}:
            raise httpx.DecodingError("an encoding that was not asked for")
        wait = reader.header(b"retry-after")
        return Answer(
            status=reader.status,
            body=bytes(reader.body),
            retry_after=parse_retry_after(wait, now=self._now()) if wait else None,
            secrets=request.secrets,
        )


@dataclass(frozen=True, slots=True)
class _Target:
    """Where requests to one URL go, and how they begin."""

    address: Address
    path: bytes  # with its query
    fields: bytes  # that all of them have


@lru_cache(maxsize=64)  # an endpoint's address is always the same, and slow to parse
def _target(text: str) -> _Target:
    url = httpx.URL(text)
    port = _PORTS.get(url.scheme)
    if port is None or not url.raw_host:
        raise httpx.UnsupportedProtocol("not an http(s) URL")
    return _Target(
        Address(
            host=url.raw_host.decode("ascii"),
            port=url.port or port,
            is_tls=url.scheme == "https",
        ),
        path=url.raw_path,
        fields=b"Host: %b\r\n%b" % (url.netloc, _ALWAYS),
    )


def _written(request: Request, target: _Target) -> bytes:
    """Write a request down; a header that would end its line could begin another."""
    lines = [b"%b %b HTTP/1.1\r\n" % (request.method.encode(), target.path)]
    lines.append(target.fields)
    for name, value in request.headers.items():
        if not _FIELD_VALUE.fullmatch(value):
            raise httpx.LocalProtocolError("a header that HTTP cannot carry")
        lines.append(f"{name}: {value}\r\n".encode())
    if request.content or request.method != "GET":
        lines.append(b"Content-Length: %d\r\n" % len(request.content))
    lines += (b"\r\n", request.content)
    return b"".join(lines)


_BEFORE_SENDING: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.InvalidURL,
    httpx.LocalProtocolError,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)


def _unsent(error: Exception) -> Fault:
    code, message = _describe_unsent(error)
    return Fault(
        error_class=ErrorClass.TRANSIENT,
        code=code,
        message=message,
        verdict=Verdict.NOT_SENT,
    )


def _lost(error: Exception, *, http_status: int | None) -> Fault:
    code, message = _describe_lost(error)
    return Fault(
        error_class=ErrorClass.TRANSIENT,
        code=code,
        message=message,
        verdict=Verdict.UNKNOWN,
        http_status=http_status,
    )


# An exception's own text may quote the request, so only that of a failed connection,
# which knows nothing but the address and the certificate, is passed on.


def _describe_unsent(error: Exception) -> tuple[str, str]:
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
