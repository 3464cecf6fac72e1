"""One request and its answer over httpcore; imported at the first request."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httpcore

from app.outbound.backend import VettedBackend
from app.outbound.errors import OutboundError, TooSlow, Unreachable

READ_SECONDS: Final = 30.0
"""How long a server may take for its next bytes."""

RECEIVE_BYTES: Final = 64 * 1024
"""The socket's receive buffer, in bytes.

The loop reads a whole buffer at a time. By default the system lets it grow to six
megabytes for each of many videos.
"""

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer whose body has not been read."""

    status: int
    headers: Headers  # names in lower case
    _stream: httpcore.Response

    async def chunks(self) -> AsyncIterator[bytes]:
        """Stream the body; raises OutboundError if it breaks off."""
        with _translated():
            async for chunk in self._stream.aiter_stream():
                yield chunk


@asynccontextmanager
async def exchanged(
    method: str,
    url: str,
    *,
    headers: Headers,
    body: bytes | None,
    seconds: float | None,
    backend: VettedBackend,
    tls: ssl.SSLContext,
) -> AsyncIterator[Response]:
    """Send a request and yield its answer; raises Refused, Unreachable, TooSlow."""
    async with _pool(backend, tls) as pool:
        request = httpcore.Request(
            method,
            url,
            headers=_sent(url, headers),
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


def _pool(backend: VettedBackend, tls: ssl.SSLContext) -> httpcore.AsyncConnectionPool:
    # One connection per request: no state is shared between strangers.
    return httpcore.AsyncConnectionPool(
        ssl_context=tls,
        max_connections=1,
        network_backend=backend,
        socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)],
    )


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
    """Turn httpcore's errors into our own, without their texts."""
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
