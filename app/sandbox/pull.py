"""Pull a video as TikTok does: no redirects, every byte, a deadline."""

import asyncio
import ssl
from dataclasses import dataclass
from functools import cache

import httpx


@dataclass(frozen=True, slots=True)
class Pulled:
    """Tell whether the whole video came, and how many bytes did."""

    ok: bool
    bytes: int


async def pull(url: str, *, timeout_seconds: float) -> Pulled:
    """Fetch the video and count its bytes; any 3xx is a failure.

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
                return Pulled(ok=False, bytes=0)
            async for chunk in response.aiter_raw():
                received += len(chunk)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        return Pulled(ok=False, bytes=received)
    return Pulled(ok=received > 0, bytes=received)


def new_client() -> httpx.AsyncClient:
    """Make a client for one exchange; the costly TLS context is shared."""
    return httpx.AsyncClient(verify=_tls(), trust_env=False, follow_redirects=False)


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)
