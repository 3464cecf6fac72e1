"""A bare loop that copies a video over two sockets, through the same HTTP code.

    python -m bench.copy_loop http://127.0.0.1:1234 1000000000
    python -m bench.copy_loop http://127.0.0.1:1234 1000000 2000

prints the seconds of CPU that it took. The second copies so many small videos by system
calls alone, each over two connections of its own: no push can cost less.
"""

import asyncio
import socket
import sys
import time
from contextlib import closing
from functools import partial
from urllib.parse import urlsplit

import uvloop

from app.domain.posts.upload import ChunkSizes, plan_chunks
from app.outbound.client import Outbound
from app.outbound.exchange import READ_BYTES
from app.outbound.source import Source
from app.tiktok.transport.session import Http
from app.tiktok.upload_answers import ChunkRequest


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
    parts = urlsplit(base)
    server = parts.hostname or "", parts.port or 80
    get = b"GET /video/%d HTTP/1.1\r\nHost: x\r\n\r\n" % size
    put = (
        b"PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n"
        b"Content-Range: bytes 0-%d/%d\r\n\r\n" % (size, size - 1, size)
    )
    piece = memoryview(bytearray(READ_BYTES))
    began = time.process_time()
    for _ in range(times):
        source = socket.create_connection(server)
        sink = socket.create_connection(server)
        with source, sink:
            source.sendall(get)
            sink.sendall(put)
            _, _, rest = source.recv(1024).partition(b"\r\n\r\n")
            sink.sendall(rest)
            left = size - len(rest)
            while left:
                count = source.recv_into(piece, min(left, len(piece)))
                assert count, "it broke off"
                sink.sendall(piece[:count])
                left -= count
            assert sink.recv(1024).startswith(b"HTTP/1.1 201")
    return time.process_time() - began


if __name__ == "__main__":
    base, size, *times = sys.argv[1:]
    if times:
        print(copy_bare(base, int(size), int(times[0])), flush=True)
    else:
        uvloop.install()
        print(asyncio.run(copy(base, int(size))), flush=True)
