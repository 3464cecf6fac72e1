"""Close a connection while the caller is still sending, so that it gets the answer."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

PARTING_SECONDS: Final = 1.0
"""How long a caller that is still sending has to read the last answer."""


class SoftCloseTransport:
    """A caller's transport, for uvicorn.

    Closing a socket with unread bytes resets the connection, which can destroy an
    answer in transit. So this first shuts down our own side and closes a moment later.
    It does not read what the caller sends meanwhile.
    https://www.rfc-editor.org/rfc/rfc9112#section-9.6
    """

    def __init__(
        self, transport: asyncio.Transport, *, is_sending: Callable[[], bool]
    ) -> None:
        """Take the real transport; ``is_sending`` tells whether the caller sends."""
        self._transport = transport
        self._is_sending = is_sending
        self._parting: asyncio.TimerHandle | None = None
        self._deaf = False
        self.write = transport.write  # the hot path, without a wrapper

    def close(self) -> None:
        """Close once everything is written, softly if the caller is sending."""
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
        """Close it at once."""
        self.forget()
        self._transport.abort()

    def forget(self) -> None:
        """Cancel the timer, as the connection is gone."""
        if self._parting is not None:
            self._parting.cancel()

    def is_closing(self) -> bool:
        """Tell whether it is closing."""
        return self._parting is not None or self._transport.is_closing()

    def listen_no_more(self) -> None:
        """Stop reading for good."""
        self._deaf = True
        self._transport.pause_reading()

    def pause_reading(self) -> None:
        """Pause reading."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Resume reading, unless it has stopped for good."""
        if not self._deaf:
            self._transport.resume_reading()

    def get_extra_info(self, name: str, default: object = None) -> Any:  # noqa: ANN401  as asyncio
        """Ask the real transport."""
        return self._transport.get_extra_info(name, default)

    def as_transport(self) -> asyncio.Transport:
        """Return itself typed as uvicorn expects; it uses no other methods."""
        return cast("asyncio.Transport", self)
