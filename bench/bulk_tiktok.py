"""A TikTok that takes uploads, and the server that the videos come from; both cheap.

    python -m bench.bulk_tiktok

`GET /video/{bytes}` gives so many bytes, or a range of them. Uploads are counted and
thrown away.
"""

import asyncio
import json
import re
import struct
import time
from typing import Final, cast

import uvloop

from bench.instant_tiktok import _CREATOR, _OK

_PIECE: Final = bytes(256 * 1024)
_MVHD: Final = struct.pack(">I4s4x4x4xII", 108, b"mvhd", 1000, 15_000) + bytes(80)
_FILM: Final = (
    struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0)
    + struct.pack(">I4s", 8 + len(_MVHD), b"moov")
    + _MVHD
)
"""The first bytes of a video of 15 seconds: a worker measures it."""
_RANGE: Final = re.compile(rb"\r\nrange: bytes=(\d+)-", re.IGNORECASE)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_SENT: Final = re.compile(rb"\r\ncontent-range: bytes \d+-(\d+)/(\d+)", re.IGNORECASE)


class Seen:
    """What has arrived so far."""

    def __init__(self) -> None:
        self.inits: list[float] = []
        self.requests = 0
        self.base = ""

    def answer(self, path: bytes, body: bytes) -> str:
        """Answer a call."""
        self.requests += 1
        if b"status" in path:
            done = '{"data":{"status":"PUBLISH_COMPLETE"},"error":%s}'
            return done % _OK
        if b"init" in path:
            self.inits.append(time.time())
            number = len(self.inits)
            url = ""
            if b"FILE_UPLOAD" in body:
                url = f',"upload_url":"{self.base}/up?upload_id={number}"'
            return f'{{"data":{{"publish_id":"v~{number}"{url}}},"error":{_OK}}}'
        if path == b"/_seen":
            told = {"requests": self.requests, "connections": 0, "inits": self.inits}
            return json.dumps({**told, "longest_gap": 0, "cpu": time.process_time()})
        return _CREATOR


class Connection(asyncio.Protocol):
    """One connection: requests in order; the bodies of uploads are not kept."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._head = b""
        self._body = b""
        self._left = 0
        self._sending: asyncio.Task[None] | None = None
        self._free = asyncio.Event()
        self._free.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        """Stop sending."""
        self._free.set()

    def pause_writing(self) -> None:
        """Pause until the written bytes are sent."""
        self._free.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._free.set()

    def data_received(self, data: bytes) -> None:
        """Take in a head, then its body."""
        if self._left:
            if not self._head.startswith(b"PUT"):
                self._body += data
            self._left -= len(data)
        else:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._head[: end + 2])
            self._body = self._head[end + 4 :]
            self._left = (int(length[1]) if length else 0) - len(self._body)
            self._head = self._head[: end + 4]
        if self._left <= 0:
            self._answer()
            self._head, self._body, self._left = b"", b"", 0

    def _answer(self) -> None:
        path = self._head.split(b" ", 2)[1]
        if path.startswith(b"/video/"):
            self._sending = asyncio.ensure_future(self._send(int(path[7:])))
        elif self._head.startswith(b"PUT"):
            sent = _SENT.search(self._head)
            last, size = (int(sent[1]), int(sent[2])) if sent else (0, 0)
            status = b"201 Created" if last + 1 == size else b"206 Partial"
            self._transport.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
        else:
            content = self._seen.answer(path, self._body).encode()
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(content), content)
            )

    async def _send(self, size: int) -> None:
        wanted = _RANGE.search(self._head)
        start = int(wanted[1]) if wanted else 0
        left = size - start
        self._transport.write(
            b"HTTP/1.1 206 Partial\r\nContent-Type: video/mp4\r\n"
            b'ETag: "v"\r\nContent-Length: %d\r\n'
            b"Content-Range: bytes %d-%d/%d\r\n\r\n" % (left, start, size - 1, size)
        )
        if start == 0:
            self._transport.write(_FILM)
            left -= len(_FILM)
        while left > 0 and not self._transport.is_closing():
            self._transport.write(_PIECE[:left])
            left -= len(_PIECE)
            await self._free.wait()


async def serve() -> None:
    """Serve on a free loopback port, print its URL, and stay."""
    seen = Seen()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(seen), "127.0.0.1", 0, backlog=4096
    )
    host, port = server.sockets[0].getsockname()[:2]
    seen.base = f"http://{host}:{port}"
    print(seen.base, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
