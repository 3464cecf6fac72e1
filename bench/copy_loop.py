"""A bare loop that copies a video over two sockets, through the same HTTP code.

    python -m bench.copy_loop http://127.0.0.1:1234 1000000000

prints the seconds of CPU that it took.
"""

import asyncio
import sys
import time
from contextlib import closing
from functools import partial

import uvloop

from app.domain.posts.upload import ChunkSizes, plan_chunks
from app.outbound.client import Outbound
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


if __name__ == "__main__":
    uvloop.install()
    print(asyncio.run(copy(sys.argv[1], int(sys.argv[2]))), flush=True)
