"""A way to hang up on somebody who is still sending, so that they read the answer."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

PARTING_SECONDS: Final = 1.0
"""How long a caller that is still sending has to read our last answer."""


class SoftCloseTransport:
    """A caller's transport, as uvicorn uses it.

    To close a socket that has unread bytes resets the connection, which can destroy an
    answer on its way. So this ends our own side first and closes a moment later. What
    the caller sends meanwhile is not read.
    https://www.rfc-editor.org/rfc/rfc9112#section-9.6
    """

    def __init__(
        self, transport: asyncio.Transport, *, is_sending: Callable[[], bool]
    ) -> None:
        """Take the real one, and what tells whether the caller is still sending."""
        self._transport = transport
        self._is_sending = is_sending
        self._parting: asyncio.TimerHandle | None = None
        self._deaf = False
        self.write = transport.write  # the hot one, without a detour

    def close(self) -> None:
        """Hang up once everything is written, softly where that matters."""
        if self._parting is not None:
            return
        if self._transport.is_closing() or not self._is_sending():
            self._transport.close()
            return
        self.listen_no_more()
        self._transport.write_eof()
        loop = asyncio.get_running_loop()
        self._parting = loop.call_later(PARTING_SECONDS, self._transport.abort)

    def abort(self) -> None:
        """Hang up at once."""
        self.forget()
        self._transport.abort()

    def forget(self) -> None:
        """Give up the timer: the connection is gone."""
        if self._parting is not None:
            self._parting.cancel()

    def is_closing(self) -> bool:
        """Tell whether nothing more may be written."""
        return self._parting is not None or self._transport.is_closing()

    def listen_no_more(self) -> None:
        """Leave whatever comes from now on to the kernel."""
        self._deaf = True
        self._transport.pause_reading()

    def pause_reading(self) -> None:
        """Let the caller wait."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on, unless that is over for good."""
        if not self._deaf:
            self._transport.resume_reading()

    def get_extra_info(self, name: str, default: object = None) -> Any:  # noqa: ANN401
        """Ask the real one."""
        return self._transport.get_extra_info(name, default)

    def as_transport(self) -> asyncio.Transport:
        """Return itself by the type that uvicorn names: it uses no other method."""
        return cast("asyncio.Transport", self)
