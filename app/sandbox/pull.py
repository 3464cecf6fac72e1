"""Pull media as TikTok does: no redirects, every byte, a deadline."""

import asyncio
import ssl
from collections.abc import Callable
from functools import cache

import httpx


async def pull(
    url: str,
    take: Callable[[bytes], None],
    *,
    timeout_seconds: float,
    bytes_per_second: float | None = None,
) -> bool:
    """Fetch the media and hand over its bytes; tell whether all came. 3xx is no.

    https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
    """
    received = 0
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            new_client() as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != httpx.codes.OK:
                return False
            async for piece in response.aiter_raw():
                received += len(piece)
                take(piece)
                if bytes_per_second is not None:
                    await asyncio.sleep(len(piece) / bytes_per_second)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        return False
    return received > 0


def new_client() -> httpx.AsyncClient:
    """Make a client for one exchange; the costly TLS context is shared.

    Whoever uses it sets a time-out over all.
    """
    return httpx.AsyncClient(
        verify=_tls(),
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113 - see above
    )


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
