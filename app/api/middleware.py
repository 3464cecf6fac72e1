"""Middleware for every request: id and log line, errors, body limit. Pure ASGI.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import re
import time
from collections.abc import Iterable
from os import urandom
from typing import Final

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.auth import has_key
from app.api.problems import http_problem

MAX_BODY_BYTES: Final = 64 * 1024
REQUEST_ID: Final = "X-Request-ID"

_BATCH: Final = "/v1/jobs/batch"
MAX_BATCH_BYTES: Final = 1024 * 1024
_DRAINED: Final = 2 * MAX_BATCH_BYTES
PROBES: Final = {"/healthz", "/readyz", "/metrics"}
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_STAMP: Final = REQUEST_ID.lower().encode()
_NOTED: Final = "noted"
_SECURITY: Final = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}

Header = tuple[bytes, bytes]

log = structlog.get_logger(__name__)


class RequestContext:
    """Gives each request an id, and logs one line about it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._log = log.bind()  # bound once, not for each line

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request with its id in every log line and in the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = _header(scope, _STAMP)
        request_id = given if _SANE_ID.fullmatch(given) else urandom(16).hex()
        began = time.monotonic()
        status = 0
        noted: dict[str, object] = {}
        scope.setdefault("state", {})[_NOTED] = noted

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _stamped(message["headers"], request_id)
            await send(message)

        before = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, receive, stamped)
        finally:
            # Probes come every few seconds and would flood the log.
            write = self._log.debug if scope["path"] in PROBES else self._log.info
            write(
                "request",
                method=scope["method"],
                # Never the query: it may hold an OAuth code.
                path=_loggable(scope["path"]),
                status=status,
                duration_ms=round((time.monotonic() - began) * 1000, 1),
                **_caller(scope),
                **noted,
            )
            structlog.contextvars.reset_contextvars(**before)


def _caller(scope: Scope) -> dict[str, str]:
    """Return the caller's address, which a trusted proxy may name, and the key's id."""
    client, key = scope.get("client"), scope["state"].get("api_key")
    who = {} if client is None else {"peer": str(client[0])}
    return who if key is None else {**who, "key": str(key.id)}


def note(request: Request, **more: object) -> None:
    """Add values to the request's log line."""
    request.scope["state"][_NOTED].update(more)


class ErrorWall:
    """Turns an unexpected error into a 500 without detail, and logs it once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request; its traceback goes to the log alone."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if started:  # the answer has begun: the server must cut the connection
                raise
            log.exception(
                "a request failed unexpectedly", path=_loggable(scope["path"])
            )
            await http_problem(500)(scope, receive, send)


class BodyLimit:
    """Refuses bodies over 64 KiB, announced or not, before any route sees them.

    A batch of jobs may have 1 MiB.

    The excess of a caller with a key is read, up to a point, so that the caller sees
    the answer; of anybody else nothing is read.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body up to the limit, and pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = MAX_BATCH_BYTES if scope["path"] == _BATCH else MAX_BODY_BYTES
        try:
            body, is_whole = await _read(
                receive,
                announced=_content_length(scope),
                at_most=_DRAINED if has_key(scope) else most,
            )
        except ClientDisconnect:
            return  # the caller disconnected in the middle of the request
        if len(body) > most:
            headers = None if is_whole else {"Connection": "close"}
            await http_problem(413, headers=headers)(scope, receive, send)
            return
        pending: Message | None = {
            "type": "http.request",
            "body": bytes(body),
            "more_body": False,
        }

        async def replay() -> Message:
            nonlocal pending
            message, pending = pending, None
            return message or await receive()

        await self._app(scope, replay, send)


def _stamped(given: Iterable[tuple[bytes, bytes]], request_id: str) -> list[Header]:
    """Add the headers of every answer, unless it has them."""
    headers = [pair for pair in given if pair[0] != _STAMP]
    said = {name for name, _ in headers}
    headers.append((_STAMP, request_id.encode()))
    headers += [pair for pair in _SECURITY.items() if pair[0] not in said]
    return headers


def _header(scope: Scope, name: bytes) -> str:
    """Return a header's first value or an empty text; names come in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""


def _content_length(scope: Scope) -> int:
    given = _header(scope, b"content-length")
    return int(given) if given.isascii() and given.isdigit() else 0


async def _read(
    receive: Receive, *, announced: int, at_most: int
) -> tuple[bytearray, bool]:
    """Read a body up to the limit; tell whether it is complete.

    Raises ClientDisconnect if the caller disconnects in the middle.
    """
    body, more = bytearray(), True
    if announced > at_most:
        return bytearray(at_most + 1), False
    while more and len(body) <= at_most:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body, not more


def _loggable(path: str) -> str:
    """Redact a pull URL, which is a secret."""
    return "/media/…" if path.startswith("/media/") else path
