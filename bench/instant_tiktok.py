"""A TikTok that costs next to nothing: constant answers from a process of its own.

    python -m bench.instant_tiktok --delay 0.2 --processing 60

takes every creator_info, init and status call, and keeps neither quotas nor accounts:
what is measured against it is the caller. `GET /_seen` tells what has arrived.
"""

import argparse
import asyncio
import json
import time
from typing import Final, cast

import uvloop

_OK: Final = '{"code":"ok","message":"","log_id":"202604091200000123456789ABCDEF"}'
_CREATOR: Final = (
    '{"data":{"creator_username":"bench","creator_nickname":"Bench",'
    '"creator_avatar_url":"","privacy_level_options":["SELF_ONLY"],'
    '"comment_disabled":false,"duet_disabled":false,"stitch_disabled":false,'
    f'"max_video_post_duration_sec":600}},"error":{_OK}}}'
)
_STATUS: Final = (
    '{"data":{"status":"%s","publicaly_available_post_id":[]},"error":' + _OK + "}"
)
_PREFIX: Final = "v_pub_url~v2."


class Seen:
    """What has arrived so far."""

    def __init__(self, *, processing: float) -> None:
        self._processing = processing
        self._requests = 0
        self._connections = 0
        self._inits: list[float] = []  # time.time() of each
        self._polled: list[float] = []  # the last time that each was heard of
        self._longest_gap = 0.0

    def connect(self) -> None:
        """Count a connection."""
        self._connections += 1

    def answer(self, path: bytes, body: bytes) -> str:
        """Answer a request."""
        if path == b"/_seen":
            return self._seen()
        self._requests += 1
        if b"status" in path:
            return _STATUS % self._status(body)
        if b"init" in path:
            self._inits.append(time.time())
            self._polled.append(self._inits[-1])
            number = len(self._inits) - 1
            return f'{{"data":{{"publish_id":"{_PREFIX}{number}"}},"error":{_OK}}}'
        return _CREATOR

    def _status(self, body: bytes) -> str:
        publish_id: str = json.loads(body)["publish_id"]
        number, now = int(publish_id.removeprefix(_PREFIX)), time.time()
        self._longest_gap = max(self._longest_gap, now - self._polled[number])
        self._polled[number] = now
        over = now >= self._inits[number] + self._processing
        return "PUBLISH_COMPLETE" if over else "PROCESSING_DOWNLOAD"

    def _seen(self) -> str:
        return json.dumps(
            {
                "requests": self._requests,
                "connections": self._connections,
                "inits": self._inits,
                "longest_gap": self._longest_gap,
                "cpu": time.process_time(),
            }
        )


class Connection(asyncio.Protocol):
    """One connection: requests in order, each with a Content-Length or no body."""

    def __init__(self, seen: Seen, *, delay: float) -> None:
        self._seen = seen
        self._delay = delay
        self._received = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._seen.connect()

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            size = end + 4 + _content_length(head)
            if len(self._received) < size:
                return
            body, self._received = (
                self._received[end + 4 : size],
                self._received[size:],
            )
            answer = self._seen.answer(head.split(b" ", 2)[1], body)
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._write, answer)
            else:
                self._write(answer)

    def _write(self, text: str) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        content = text.encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(content), content)
        )


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


async def serve(*, delay: float, processing: float) -> None:
    """Serve on a free loopback port, print its URL, and stay."""
    seen = Seen(processing=processing)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(seen, delay=delay), "127.0.0.1", 0, backlog=4096
    )
    host, port = server.sockets[0].getsockname()[:2]
    print(f"http://{host}:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds per answer")
    parser.add_argument("--processing", type=float, default=0.0, help="until published")
    chosen = parser.parse_args()
    uvloop.run(serve(delay=chosen.delay, processing=chosen.processing))
