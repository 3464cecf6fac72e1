"""Tricks below HTTP: what a broken network does to an answer."""

import asyncio
import socket
import struct
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.sandbox.answers import Answer

EXTENSION = "sandbox.transport"


class WireProtocol(HttpToolsProtocol):
    """Hand the connection's transport to the application, in the scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Note the transport of this connection."""
        super().connection_made(transport)
        self.app = _with_transport(self.app, transport)


def _with_transport(app: ASGIApp, transport: asyncio.Transport) -> ASGIApp:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("extensions", {})[EXTENSION] = transport
        await app(scope, receive, send)

    return wrapped


class Wire:
    """Write to one caller's connection, beneath the HTTP server."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send

    async def answer(self, answer: Answer) -> None:
        """Send the whole answer."""
        await self._send(_start(answer))
        await self._send({"type": "http.response.body", "body": answer.body})

    async def drip(self, answer: Answer, seconds_per_byte: float) -> None:
        """Send the answer byte by byte, as long as the caller listens."""
        await self._send(_start(answer))
        for byte in answer.body:
            if self._transport.is_closing():
                return
            await asyncio.sleep(seconds_per_byte)
            await self._send(_part(bytes((byte,))))
        await self._send({"type": "http.response.body", "body": b""})

    async def half(self, answer: Answer) -> None:
        """Promise the whole answer, send half of it, and close."""
        self._transport.write(head_of(answer))
        await self.close(answer.body[: len(answer.body) // 2])

    async def close(self, last_words: bytes = b"") -> None:
        """Close the connection (FIN) after some raw bytes, or none."""
        self._transport.write(last_words)
        self._transport.close()
        await self.hang()

    async def reset(self) -> None:
        """Reset the connection (RST): what was not read yet is gone."""
        abort(self._scope)
        await self.hang()

    async def hang(self) -> None:
        """Say nothing until the connection is gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    @property
    def _transport(self) -> asyncio.Transport:
        return transport_of(self._scope)


def transport_of(scope: Scope) -> asyncio.Transport:
    """Find the caller's connection."""
    transport: asyncio.Transport | None = scope.get("extensions", {}).get(EXTENSION)
    if transport is None:
        raise RuntimeError("this fault needs the simulator's own server")
    return transport


def abort(scope: Scope) -> None:
    """Reset the connection (RST): what was not read yet is gone."""
    transport = transport_of(scope)
    if not transport.is_closing():
        _linger_not_at_all(transport)
        transport.abort()


def head_of(answer: Answer) -> bytes:
    """Write the status line and headers as they go over the wire."""
    phrase = HTTPStatus(answer.status).phrase
    lines = [f"HTTP/1.1 {answer.status} {phrase}"]
    lines += [f"{name.decode()}: {value.decode()}" for name, value in _headers(answer)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _start(answer: Answer) -> Message:
    return {
        "type": "http.response.start",
        "status": answer.status,
        "headers": _headers(answer),
    }


def _part(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *((name.encode(), value.encode()) for name, value in answer.headers.items()),
    ]


def _linger_not_at_all(transport: asyncio.Transport) -> None:
    # With SO_LINGER (on, 0 s) the kernel closes by RST instead of FIN (socket(7)).
    # Through a duplicate, since uvloop's socket object refuses to set options.
    descriptor = transport.get_extra_info("socket").fileno()
    with socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as twin:
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
