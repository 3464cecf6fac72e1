"""Everybody who could slow the service down, all at once.

    python -m bench.crowd PORT KEY ANOTHER_KEY SCALE

Sockets that send nothing, half requests, streams that nobody reads, a tenant that asks
as fast as it is answered, and one whose media lie where no resolver answers. Prints a
line once all are there, and goes on until it is ended.
"""

import asyncio
import json
import resource
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import uvloop

from bench.limited import DEAD

SILENT: Final = 2000
HALVES: Final = 200
STREAMS: Final = 100
GREEDY: Final = 8
LOST: Final = 24
BACK_AFTER_SECONDS: Final = 1.0

_HALF: Final = b"POST /v1/jobs HTTP/1.1\r\nHost: bench\r\nContent-Length: 900\r\n"


async def main(port: int, key: str, lost_key: str, scale: float) -> None:
    """Open everything and keep it open; one key is used up to its rate limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    head, lost = (
        b"Host: bench\r\nAuthorization: Bearer %b\r\n" % each.encode()
        for each in (key, lost_key)
    )
    stream = b"GET /v1/jobs/stream?projectId=slow HTTP/1.1\r\n%b\r\n" % head
    asks = b"GET /v1/jobs?limit=200 HTTP/1.1\r\n%b\r\n" % head
    crowd: list[tuple[int, Callable[[int], Awaitable[None]]]] = [
        (SILENT, lambda _: _hold(port, b"")),
        (HALVES, lambda _: _hold(port, _HALF)),
        (STREAMS, lambda _: _hold(port, stream)),
        (GREEDY, lambda _: _ask(port, asks)),
        (LOST, lambda number: _ask(port, _validate(lost, number))),
    ]
    async with asyncio.TaskGroup() as group:
        for count, behave in crowd:
            for number in range(max(1, int(count * scale))):
                group.create_task(_again(behave, number))
        await asyncio.sleep(2 * BACK_AFTER_SECONDS)
        print("there", flush=True)


async def _again(behave: Callable[[int], Awaitable[None]], number: int) -> None:
    while True:
        with suppress(OSError, asyncio.IncompleteReadError, ValueError):
            await behave(number)
        await asyncio.sleep(BACK_AFTER_SECONDS)


async def _hold(port: int, sent: bytes) -> None:
    """Send this and read nothing; wait until the server closes the connection."""
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", port))
        await loop.sock_sendall(sock, sent)
        if sent:
            await asyncio.sleep(3600)
        await loop.sock_recv(sock, 1)


async def _ask(port: int, request: bytes) -> None:
    """Ask as fast as there are answers, over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    try:
        while True:
            writer.write(request)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            _, _, rest = answer.partition(b"content-length:")
            await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
    finally:
        writer.close()


def _validate(head: bytes, number: int) -> bytes:
    body = json.dumps(
        {
            "projectId": "lost",
            "assetId": "asset",
            "assetUrl": f"http://host{number}{DEAD}/video.mp4",
            "post": {"mode": "direct", "privacyLevel": "SELF_ONLY"},
        }
    ).encode()
    length = b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)
    return b"POST /v1/jobs/validate HTTP/1.1\r\n%b%b\r\n%b" % (head, length, body)


if __name__ == "__main__":
    given_port, given_key, another_key, given_scale = sys.argv[1:]
    uvloop.run(main(int(given_port), given_key, another_key, float(given_scale)))
