"""Make TikTok's three calls in one way, many side by side, and tell what they cost.

    python -m bench.calls ours http://127.0.0.1:9000 100 500

An attempt is creator_info, an init and one poll. It prints the CPU of this process per
request and the memory of an attempt in flight.
"""

import argparse
import asyncio
import gc
import json
import resource
import ssl
import time
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Final

import httpcore
import httpx
import uvloop

from app.domain.posts.post import Post, PrivacyLevel
from app.machine import collector
from app.machine.look_ups import Names
from app.tiktok import encode
from app.tiktok.transport.httpx_transport import Transport
from app.tiktok.transport.kept_connections import KeptConnections
from app.tiktok.transport.session import Http
from app.tiktok.wire import ApiAnswer, ApiRequest

POST: Final = Post(title="Hello", privacy_level=PrivacyLevel.SELF_ONLY)
CALLS: Final = (
    encode.creator_info("act.bench"),
    encode.init("act.bench", POST, "https://cdn.example.com/v.mp4"),
    encode.status("act.bench", "v_pub_url~v2.0"),
)
SECONDS: Final = 30.0
WARM_UP: Final = 20

Attempt = Callable[[str], Awaitable[None]]


def ours() -> Attempt:
    """Call as the service does."""
    http = Http()

    async def attempt(url: str) -> None:
        async with http.connect(url) as session:
            for call in CALLS:
                answer = await session.send(call, seconds=SECONDS)
                assert isinstance(answer, ApiAnswer)

    return attempt


def httpx_client_per_attempt() -> Attempt:
    """Use httpx as it comes, without its pool ever growing; what `ours` replaced."""

    def client() -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, keepalive_expiry=30.0)
        return httpx.AsyncClient(
            verify=_tls(), timeout=None, limits=limits, trust_env=False
        )

    async def send(through: httpx.AsyncClient, url: str, call: ApiRequest) -> None:
        async with asyncio.timeout(SECONDS):
            await _request(through, url, call)

    async def attempt(url: str) -> None:
        async with client() as kept:
            for call in CALLS:
                if call.once:
                    async with client() as fresh:
                        await send(fresh, url, call)
                else:
                    await send(kept, url, call)

    return attempt


def httpx_client_over_ours() -> Attempt:
    """Use httpx's client over our transport."""
    names, kept = Names(), KeptConnections()

    async def attempt(url: str) -> None:
        transport = Transport(names, _tls, kept)
        async with httpx.AsyncClient(transport=transport, verify=_tls()) as client:
            for call in CALLS:
                await _request(client, url, call, once=call.once)

    return attempt


def httpx_one_client() -> Attempt:
    """Use one client of httpx for all attempts, as its documentation advises."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    client = httpx.AsyncClient(limits=limits, timeout=SECONDS, verify=_tls())

    async def attempt(url: str) -> None:
        for call in CALLS:
            await _request(client, url, call)

    return attempt


def httpcore_connection() -> Attempt:
    """Use httpcore's connection without its pool."""

    async def attempt(url: str) -> None:
        origin = httpcore.URL(url).origin
        connection = None
        for call in CALLS:
            if connection is None or call.once:
                if connection is not None:
                    await connection.aclose()
                connection = httpcore.AsyncHTTPConnection(origin, ssl_context=_tls())
            async with asyncio.timeout(SECONDS):
                await connection.request(
                    call.method,
                    url + call.path,
                    headers=[("Host", url.partition("//")[2]), *call.headers.items()],
                    content=call.content,
                )
        if connection is not None:
            await connection.aclose()

    return attempt


WAYS: Final[dict[str, Callable[[], Attempt]]] = {
    "ours": ours,
    "httpx_over_ours": httpx_client_over_ours,
    "httpx_per_attempt": httpx_client_per_attempt,
    "httpx_one": httpx_one_client,
    "httpcore": httpcore_connection,
}


async def _request(
    client: httpx.AsyncClient, url: str, call: ApiRequest, *, once: bool = False
) -> None:
    answer = await client.request(
        call.method,
        url + call.path,
        headers=call.headers,
        content=call.content,
        extensions={"once": once},
    )
    assert answer.status_code == httpx.codes.OK


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


async def measure(
    way: str, url: str, *, in_flight: int, attempts: int
) -> dict[str, float]:
    """Make so many attempts, so many at a time, in this process."""
    attempt = WAYS[way]()
    await _make(attempt, url, in_flight=WARM_UP, attempts=WARM_UP)
    memory, began = _resident_bytes(), time.process_time()
    await _make(attempt, url, in_flight=in_flight, attempts=attempts)
    spent = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "microseconds": 1e6 * spent / attempts / len(CALLS),
        "kilobytes": max(0, peak - memory) / in_flight / 1024,
    }


async def _make(attempt: Attempt, url: str, *, in_flight: int, attempts: int) -> None:
    left = iter(range(attempts))

    async def go_on() -> None:
        for _ in left:
            await attempt(url)

    await asyncio.gather(*(go_on() for _ in range(in_flight)))


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("url")
    parser.add_argument("in_flight", type=int)
    parser.add_argument("attempts", type=int)
    parser.add_argument("--asyncio", action="store_true", help="not on uvloop")
    chosen = parser.parse_args()
    # As the worker does, which imports first.
    gc.freeze()
    collector.run_less(chosen.in_flight)
    run = asyncio.run if chosen.asyncio else uvloop.run
    measuring = measure(
        chosen.way, chosen.url, in_flight=chosen.in_flight, attempts=chosen.attempts
    )
    print(json.dumps(run(measuring)))
