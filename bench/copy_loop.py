"""A bare loop that copies a video over two sockets, through the same HTTP code.

    python -m bench.copy_loop http://127.0.0.1:1234 1000000000
    python -m bench.copy_loop http://127.0.0.1:1234 1000000 2000

prints the seconds of CPU that it took. The second copies so many small videos by system
calls alone, each over two connections of its own, and as many at a time as a worker
does: no push can cost less.
"""

import asyncio
import socket
import sys
import time
from contextlib import ExitStack, closing
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import uvloop

from app.domain.posts.upload import ChunkSizes, plan_chunks
from app.outbound.client import Outbound
from app.outbound.exchange import READ_BYTES, RECEIVE_BYTES
from app.outbound.source import Source
from app.tiktok.transport.session import Http
from app.tiktok.upload_answers import ChunkRequest

AT_ONCE: Final = 500
"""A worker's MAX_IN_FLIGHT."""


async def copy(base: str, size: int) -> float:
    """Fetch, send, and return the CPU seconds."""
    outbound, uploader = Outbound(allow_private=True), Http().uploader()
    plan = plan_chunks(size, ChunkSizes())
    source = Source(outbound, f"{base}/video/{size}", most_bytes=size)
    with closing(source):
        await source.open()
        began, offset = time.process_time(), 0
        while offset < size:
            span = plan.span_from(offset)
            chunk = ChunkRequest(
                url=f"{base}/up", span=span, size=size, content_type="video/mp4"
            )
            pour = partial(source.pour, span.length)
            answer = await uploader.put(chunk, pour, seconds=600, silence=60)
            assert answer.status in {201, 206}, answer
            offset = span.end
    await uploader.close()
    return time.process_time() - began


def copy_bare(base: str, size: int, times: int) -> float:
    """Copy by blocking system calls, and return the CPU seconds."""
    began = time.process_time()
    for done in range(0, times, AT_ONCE):
        _copy_at_once(base, size, min(AT_ONCE, times - done))
    return time.process_time() - began


def _copy_at_once(base: str, size: int, count: int) -> None:
    """Copy side by side: all are asked for, then each is read when it has waited."""
    parts = urlsplit(base)
    server = parts.hostname or "", parts.port or 80
    get = b"GET /video/%d HTTP/1.1\r\nHost: x\r\n\r\n" % size
    put = (
        b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
        b"Content-Range: bytes 0-%d/%d\r\n\r\n" % (size, size - 1, size)
    )
    with ExitStack() as opened:
        sources = [_opened(opened, server) for _ in range(count)]
        for source in sources:
            source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            source.sendall(get)
        left = dict[tuple[socket.socket, socket.socket], int]()
        for source in sources:
            _, _, first = source.recv(1024).partition(b"\r\n\r\n")
            sink = _opened(opened, server)
            sink.sendall(put + first)
            left[source, sink] = size - len(first)
        _pour(left)
        for _, sink in left:
            assert sink.recv(1024).startswith(b"HTTP/1.1 201")


def _pour(left: dict[tuple[socket.socket, socket.socket], int]) -> None:
    """Copy what is left of each, one read of each in turn."""
    piece = memoryview(bytearray(READ_BYTES))
    while any(left.values()):
        for (source, sink), count in left.items():
            if count:
                read = source.recv_into(piece, min(count, len(piece)))
                assert read, "it broke off"
                sink.sendall(piece[:read])
                left[source, sink] -= read


def _opened(opened: ExitStack, server: tuple[str, int]) -> socket.socket:
    return opened.enter_context(socket.create_connection(server))


if __name__ == "__main__":
    base, size, *times = sys.argv[1:]
    if times:
        print(copy_bare(base, int(size), int(times[0])), flush=True)
    else:
        uvloop.install()
        print(asyncio.run(copy(base, int(size))), flush=True)
