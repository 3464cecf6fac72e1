"""One caller's connection: uvicorn's protocol, limited in time and size.

uvicorn parses headers with httptools, which accepts any size, and waits for the rest of
a request for ever. docs/decisions/0012 compares the alternatives.
"""

import asyncio
from enum import Enum, auto
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import (
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from app.api.auth import has_key
from app.api.problems import MEDIA_TYPE, RETRY_AFTER_SECONDS, http_problem
from app.machine.callers import home_of
from app.machine.descriptors import is_readable
from app.serving.connections import STUCK_SECONDS, Connections
from app.serving.soft_close import SoftCloseTransport

MAX_HEAD_BYTES: Final = 32 * 1024
"""The limit of request line, headers and trailers together, in bytes."""

MAX_FIELDS: Final = 256
"""The limit of fields: a small field takes ten times its size in memory."""

MAX_PIPELINED: Final = 32
"""Pipelined requests that may wait for the answer to the previous one."""

CLOSING_SECONDS: Final = 10.0
"""How long a connection may take to write its last bytes."""

_SLICE: Final = 16 * 1024  # bytes parsed before the state is checked
_REQUEST_LINE: Final = 16  # bytes besides the target
_FIELD: Final = 4  # bytes besides name and value


class Refusal(Enum):
    """Why a request or connection is refused."""

    MALFORMED = HTTPStatus.BAD_REQUEST
    TOO_SLOW = HTTPStatus.REQUEST_TIMEOUT
    HEAD_TOO_LARGE = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    BUSY = HTTPStatus.SERVICE_UNAVAILABLE

    @property
    def answer(self) -> bytes:
        """Return the complete answer, after which the connection is closed."""
        return _ANSWERS[self]


def _written(refusal: Refusal) -> bytes:
    status = refusal.value
    body = bytes(http_problem(status).body)
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "connection: close",
    ]
    if refusal is Refusal.BUSY:
        lines.append(f"retry-after: {RETRY_AFTER_SECONDS}")
    return "\r\n".join((*lines, "", "")).encode("ascii") + body


_ANSWERS: Final = {each: _written(each) for each in Refusal}


class _Phase(Enum):
    RECEIVING = auto()  # receiving a request, or waiting for the first
    ANSWERING = auto()
    RESTING = auto()  # between two requests


class _HeadTooLarge(Exception):
    """The request's headers exceed the limit."""


class _TooManyAtOnce(Exception):
    """Too many requests are pipelined."""


class CallerProtocol(HttpToolsProtocol):
    """Reads requests and writes answers within the limits."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        connections: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.is_known = False
        self.home = ""
        self._all = connections
        self._phase = _Phase.RECEIVING
        self._since = connections.now()  # when the phase began
        self._stuck_since: float | None = None
        self._closing_since: float | None = None
        self._answering: RequestResponseCycle | None = None  # the current one
        self._in_head = False
        self._heard = False  # whether the last slice completed anything
        self._unheard = 0  # bytes since then
        self._room = MAX_HEAD_BYTES
        self._fields = MAX_FIELDS
        self._refusing = False
        self._repeating = False  # parsing headers that are known already

    # The connection.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Accept the caller, or answer that there is no room."""
        self._line = SoftCloseTransport(transport, is_sending=self._is_sending)
        super().connection_made(self._line.as_transport())
        self.home = "" if self.client is None else home_of(self.client[0])
        if not self._all.admit(self):
            transport.write(Refusal.BUSY.answer)
            transport.close()  # a soft close would occupy the missing room

    def connection_lost(self, exc: Exception | None) -> None:
        """End every request that waits; uvicorn ends only the last one."""
        self._line.forget()
        for cycle in self._unanswered():
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)
        self._all.leave(self)

    def has_news(self) -> bool:
        """Tell whether there is unread data."""
        if self._line.is_closing():
            return False
        return is_readable(self._line.get_extra_info("socket"))

    def abort(self) -> None:
        """Close it at once."""
        self._line.abort()

    def check(self, now: float) -> None:
        """Close it if it has taken too long."""
        if self._line.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since >= CLOSING_SECONDS:
                self.abort()
        elif self._stuck_since is not None:
            if now - self._stuck_since >= STUCK_SECONDS:
                self._all.count("stuck")
                self.abort()
        elif self._phase is _Phase.RECEIVING:
            self._check_receipt(now)

    def pause_writing(self) -> None:
        """Note that the write buffer is full."""
        self._stuck_since = self._all.now()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that it has room again."""
        self._stuck_since = None
        super().resume_writing()

    # Input.

    def data_received(self, data: bytes) -> None:
        """Parse received data, unless the connection is closing."""
        if self._line.is_closing() or self._refusing:
            return
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except _HeadTooLarge:
            self._refuse(Refusal.HEAD_TOO_LARGE)
        except httptools.HttpParserError as error:
            self._refuse(_why(error))
        else:
            self._settle()

    def on_message_begin(self) -> None:
        """Begin to count a request's headers."""
        if self._repeating:
            return
        self._heard = self._in_head = True
        self._room = MAX_HEAD_BYTES - _REQUEST_LINE
        self._fields = MAX_FIELDS
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Add the target, or a part of it."""
        if self._repeating:
            return
        self._heard = True
        self._room -= len(url)
        if self._room < 0:
            raise _HeadTooLarge
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a field of the headers or trailers."""
        if self._repeating:
            return
        self._heard = True
        self._room -= len(name) + len(value) + _FIELD
        self._fields -= 1
        if self._room < 0 or self._fields < 0:
            raise _HeadTooLarge
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, or queue it."""
        if self._repeating:
            return
        self._heard, self._in_head = True, False
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _TooManyAtOnce
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._heard = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the request, unless its body is still to come."""
        self._heard = True
        if not (self.parser.should_upgrade() and self._framing()):
            super().on_message_complete()

    # Output.

    def on_response_complete(self) -> None:
        """Continue with the next request, unless this one is incomplete."""
        cycle = self._answering
        if cycle is None:
            raise AssertionError("only what was begun can be complete")
        self.is_known = has_key(cycle.scope)
        if cycle.more_body and not self._line.is_closing():
            self._line.close()  # while the phase says that the caller is still sending
        super().on_response_complete()
        if self._line.is_closing():
            return
        if self._unanswered():
            self._settle()
        else:
            self._enter(_Phase.RECEIVING if self._in_head else _Phase.RESTING)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - uvicorn's type is private
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    # Helpers.

    def _feed(self, data: bytes) -> None:
        for start in range(0, len(data), _SLICE):
            self._heard = False
            self._parse(data[start : start + _SLICE])
            if self._heard:
                self._unheard = 0
                continue
            # Half a field or chunk header: the parser buffers it without a callback.
            self._unheard += min(_SLICE, len(data) - start)
            if self._unheard > MAX_HEAD_BYTES:
                raise _HeadTooLarge

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # No other protocol is supported: it is an ordinary request.
                data = data[upgrade.args[0] :]
                if framing := self._framing():
                    self._read_body_after_all(framing)
            else:
                return

    def _framing(self) -> list[bytes]:
        """Return the fields that determine where the request's body ends."""
        return [
            b"%b: %b\r\n" % field
            for field in self.headers
            if field[0] in {b"content-length", b"transfer-encoding"}
        ]

    def _read_body_after_all(self, framing: list[bytes]) -> None:
        """Read the body of a request that offered an upgrade, as Java's client does.

        httptools treats what follows as the other protocol. Parsing it as the next
        request would allow request smuggling.
        """
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._repeating = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))
        self._repeating = False

    def _settle(self) -> None:
        """Update the connection's phase after input or output."""
        cycle = self._answering
        if cycle is None or cycle.response_complete:  # the headers are incomplete
            self._enter(_Phase.RECEIVING)
        elif cycle.more_body:
            if cycle.body:  # one piece at a time, when the application asks for it
                self.flow.pause_reading()
            self._enter(_Phase.RECEIVING)
        else:
            self._enter(_Phase.ANSWERING)

    def _enter(self, phase: _Phase) -> None:
        if phase is not self._phase:
            self._phase = phase
            self._since = self._all.now()
            if phase is _Phase.ANSWERING:
                self._all.busy(self)
            else:
                self._all.wait(self, mid_request=phase is _Phase.RECEIVING)

    def _check_receipt(self, now: float) -> None:
        if self.flow.read_paused:
            self._since = now  # we are the ones not reading
        elif now - self._since >= self._all.limits.request_seconds:
            if self._in_head or self._unanswered():
                self._refuse(Refusal.TOO_SLOW)
            else:
                self._all.count("silent")
                self.abort()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer why after the earlier requests are answered, and close."""
        self._all.count(refusal.name.lower())
        self._refusing = True
        waiting = self._unanswered()
        last = waiting[-1] if waiting else None
        if last is not None and last.more_body:  # its own body is the cause
            last.disconnected = True
            last.message_event.set()
            waiting.pop()
            if waiting:
                self.pipeline.popleft()
        if waiting:
            waiting[-1].keep_alive = False
            self._line.listen_no_more()
            return
        if last is None or not last.response_started:
            self._line.write(refusal.answer)
        self._line.close()

    def _unanswered(self) -> list[RequestResponseCycle]:
        """List the requests that wait for answers, in order."""
        first = self._answering
        if first is None or first.response_complete:
            return []
        return [first, *(cycle for cycle, _ in reversed(self.pipeline))]

    def _is_sending(self) -> bool:
        return self._refusing or self._phase is _Phase.RECEIVING


def _why(error: httptools.HttpParserError) -> Refusal:
    if isinstance(error.__context__, _HeadTooLarge):
        return Refusal.HEAD_TOO_LARGE
    return Refusal.MALFORMED


def bounded_protocol(connections: Connections) -> type[asyncio.Protocol]:
    """Return the protocol factory for uvicorn."""
    make = partial(CallerProtocol, connections=connections)
    return cast("type[asyncio.Protocol]", make)
