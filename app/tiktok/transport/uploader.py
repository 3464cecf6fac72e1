"""Stream chunks to TikTok's upload host, one at a time.

As for an init, it knows exactly whether the chunk's last byte was handed to the system,
after which TikTok may have it.
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import httpx

from app.machine.look_ups import Names
from app.machine.shortage import is_shortage
from app.machine.sink import Sink
from app.tiktok.text import clean, redacted
from app.tiktok.transport.answer_reader import AnswerReader
from app.tiktok.transport.connection import Body, Connection, Peer, dial
from app.tiktok.upload_answers import ChunkRequest, UploadAnswer

_PORTS: Final = {"http": 80, "https": 443}
_SENDABLE: Final = re.compile(r"[\x21-\x7e]+")
_MAX_HEADER: Final = 200


class Uploader:
    """Sends one upload's chunks, over one connection while it lasts."""

    def __init__(self, names: Names, tls: Callable[[], ssl.SSLContext]) -> None:
        """Take the shared parts; ``tls`` is called only if TLS is used."""
        self._names = names
        self._tls = tls
        self._kept: Connection | None = None

    async def put(
        self,
        chunk: ChunkRequest,
        pour: Callable[[Sink], Awaitable[None]],
        *,
        seconds: float,
        silence: float,
    ) -> UploadAnswer:
        """Send a chunk: exactly the bytes that ``pour`` writes.

        ``seconds`` limits all of it, ``silence`` how long the host may neither read nor
        answer. Raises what ``pour`` raises, and its own cancellation.
        """
        body = Body(pour, chunk.span.length)
        reader, deadline = AnswerReader(), None
        try:
            async with asyncio.timeout(seconds) as deadline:
                connection = await self._connected(chunk.url, silence)
                await connection.send_streamed(
                    _head(chunk), body, reader, silence=silence
                )
        except Exception as error:  # noqa: BLE001 - whatever it is, bytes may be out
            if body.failure is not None:
                raise body.failure from None
            return UploadAnswer(
                status=None,
                sent_all=body.is_sent,
                out_of_time=deadline is not None and deadline.expired(),
                trouble=_trouble(error),
                lacks_resources=is_shortage(error),
            )
        self._keep(connection, reader, whole=body.is_sent)
        return UploadAnswer(
            status=reader.status,
            content_range=_header(reader, b"content-range", chunk),
            sent_all=body.is_sent,
            log_id=_header(reader, b"x-tt-logid", chunk) or None,
        )

    async def close(self) -> None:
        """Close the connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    async def _connected(self, url: str, silence: float) -> Connection:
        """Return a connection to the upload's host, the same for all chunks."""
        connection, self._kept = self._kept, None
        if connection is not None and connection.is_open:
            return connection
        parts = urlsplit(url)
        tls = self._tls() if parts.scheme == "https" else None
        port = parts.port or _PORTS[parts.scheme]
        async with asyncio.timeout(silence):
            return await dial(Peer(parts.hostname or "", port, tls), self._names)

    def _keep(
        self, connection: Connection, reader: AnswerReader, *, whole: bool
    ) -> None:
        """Keep the connection for the next chunk, if it is clean."""
        if whole and reader.keeps_alive and connection.is_clean:
            self._kept = connection
        else:
            connection.close()


def _head(chunk: ChunkRequest) -> bytes:
    parts = urlsplit(chunk.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not _SENDABLE.fullmatch(target + parts.netloc):
        raise httpx.LocalProtocolError("an address that HTTP cannot carry")
    headers = {
        "Host": parts.netloc,
        "User-Agent": "tiktok-scheduler",
        "Accept-Encoding": "identity",
        **chunk.headers(),
    }
    lines = [f"PUT {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _header(reader: AnswerReader, name: bytes, chunk: ChunkRequest) -> str:
    """Return a header's value, without anything from the URL's query."""
    value = reader.headers.get(name, b"").decode("latin-1")
    query = chunk.url.partition("?")[2]
    secrets = (pair.partition("=")[2] for pair in query.split("&"))
    return clean(redacted(value, secrets), limit=_MAX_HEADER)


def _trouble(error: Exception) -> str:
    """Return what broke; an exception's own text could quote the URL."""
    match error:
        case TimeoutError():
            return "the upload host took too long"
        case httpx.DecodingError() | httpx.RemoteProtocolError():
            return "the upload host's answer cannot be read"
        case httpx.LocalProtocolError():
            return "the upload address does not fit HTTP"
        case httpx.ReadError():
            return "the connection to the upload host broke"
        case _:
            return "no connection to the upload host"
