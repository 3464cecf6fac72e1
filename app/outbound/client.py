"""Ask somebody else's server, bounded in time, without redirects or proxies."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

import httpcore

from app.outbound.backend import Resolve, VettedBackend, resolve
from app.outbound.errors import OutboundError, Refused, TooSlow, Unreachable

READ_SECONDS: Final = 30.0
"""How long a server may keep us waiting for its next bytes."""

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer whose body is still to be read."""

    status: int
    headers: Headers  # names in lower case
    _stream: httpcore.Response

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read the body as it comes; raises OutboundError when it breaks off."""
        with _translated():
            async for chunk in self._stream.aiter_stream():
                yield chunk


class Outbound:
    """Makes requests to URLs that others chose; one per process.

    With ``allow_private``, private addresses, http and every port are called too.
    """

    def __init__(self, *, allow_private: bool, resolve: Resolve = resolve) -> None:
        self._allow_private = allow_private
        self._resolve = resolve

    @asynccontextmanager
    async def open(
        self,
        method: str,
        url: str,
        *,
        headers: Headers | None = None,
        body: bytes | None = None,
        seconds: float | None = None,
    ) -> AsyncIterator[Response]:
        """Send a request and hand out its answer.

        ``seconds`` bounds everything until the answer's head. Redirects are answers
        like any other. Raises Refused, Unreachable or TooSlow.
        """
        self._check(url)
        async with self._pool() as pool:
            request = httpcore.Request(
                method,
                url,
                headers=_sent(url, headers or {}),
                content=body,
                extensions={"timeout": {"connect": seconds, "read": READ_SECONDS}},
            )
            with _translated():
                async with asyncio.timeout(seconds):
                    answer = await pool.handle_async_request(request)
            try:
                yield Response(answer.status, _headers(answer), answer)
            finally:
                await answer.aclose()

    def _pool(self) -> httpcore.AsyncConnectionPool:
        # One connection for one request: nothing is left over for the next stranger.
        return httpcore.AsyncConnectionPool(
            ssl_context=self._ssl_context,
            max_connections=1,
            network_backend=VettedBackend(
                allow_private=self._allow_private, resolve=self._resolve
            ),
        )

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        import certifi

        return ssl.create_default_context(cafile=certifi.where())

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        schemes = {"http", "https"} if self._allow_private else {"https"}
        if parts.scheme not in schemes or not parts.hostname or "@" in parts.netloc:
            raise Refused("the URL is not one that is called")


def _sent(url: str, headers: Headers) -> list[tuple[str, str]]:
    own = {"Host": urlsplit(url).netloc, "User-Agent": "tiktok-scheduler"}
    return list({**own, **headers}.items())


def _headers(answer: httpcore.Response) -> Headers:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1")
        for name, value in answer.headers
    }


@contextmanager
def _translated() -> Iterator[None]:
    """Raise our own errors for httpcore's, whose texts nobody needs to see."""
    try:
        yield
    except OutboundError:
        raise
    except (TimeoutError, httpcore.TimeoutException) as error:
        raise TooSlow("the server took too long") from error
    except (
        httpcore.NetworkError,
        httpcore.ProtocolError,
        OSError,
        ssl.SSLError,
    ) as error:
        raise Unreachable("the server could not be reached") from error
