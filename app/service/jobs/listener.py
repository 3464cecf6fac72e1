"""One client of the stream, and what it has not been sent yet."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cached_property
from typing import Final, Self

from msgspec import Struct

from app.domain.jobs.job import Job

MAX_PENDING: Final = 1000
"""With more unsent jobs than this, a slow client has to read the list."""

_MARK: Final = ""  # sorts before every job's id


class StreamReady(Struct, frozen=True):
    """Everything up to a time was sent; from here on the stream is live."""

    at: datetime
    resumed: bool  # False: the client may have missed earlier changes


class JobChanged(Struct, frozen=True, dict=True):
    """A job's current state, shared by all its listeners."""

    at: datetime
    job: Job
    show: Callable[[Job], str]

    @cached_property
    def text(self) -> str:
        """Return the rendered job: rendered once for all listeners."""
        return self.show(self.job)


class Resync(Struct, frozen=True):
    """Too much changed: the client has to read the list."""

    at: datetime


class Silence(Struct, frozen=True):
    """There was nothing to send for a while: proxies end what is silent."""


StreamMessage = StreamReady | JobChanged | Resync | Silence


class Listener:
    """Yields what changed, only the newest state of each job.

    A slow client gets fewer states, never old ones, and takes no more memory than
    ``MAX_PENDING`` jobs.
    """

    def __init__(
        self,
        project_id: str,
        *,
        since: datetime | None,
        until: datetime,
        key_id: str | None = None,
        caller_id: str = "",
    ) -> None:
        self.project_id = project_id
        self.caller_id = caller_id  # its key, or a browser token of the key
        self.key_id = key_id  # the stream ends with this key; None: with none
        self.since = since  # None: from now on
        self.until = until  # when the client has to connect again
        self.greeted = False
        self._pending: dict[str, StreamMessage] = {}
        self._waiter: asyncio.Future[None] | None = None
        self._ended = self._was_told = False

    def __aiter__(self) -> Self:
        """Yield everything until the end."""
        return self

    async def __anext__(self) -> StreamMessage:
        """Wait for the next message."""
        while not self._pending:
            if self._ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._was_told = True
        return self._pending.pop(next(iter(self._pending)))

    @property
    def waits(self) -> bool:
        """Tell whether there is a message that it has not been woken for."""
        return bool(self._pending) and not (self._waiter is None or self._waiter.done())

    def wake(self) -> None:
        """Let it yield its messages."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def tell(self, changes: Iterable[JobChanged], *, now: datetime) -> None:
        """Add changed jobs, replacing their unsent earlier states."""
        for change in changes:
            self._pending.pop(change.job.id, None)
            self._pending[change.job.id] = change
        if len(self._pending) > MAX_PENDING:
            self.resync(now=now)

    def greet(self, *, now: datetime, resumed: bool) -> None:
        """Send that the stream is live from here on."""
        self.greeted = True
        self._pending[_MARK] = StreamReady(now, resumed)

    def resync(self, *, now: datetime) -> None:
        """Send that the list has to be read again, instead of single jobs."""
        self._pending = {_MARK: Resync(now)}

    def break_silence(self) -> None:
        """Send something, unless something was sent since the last call."""
        if not (self._was_told or self._pending):
            self._pending[_MARK] = Silence()
        self._was_told = False

    def end(self) -> None:
        """Yield the rest and stop."""
        self._ended = True
        self.wake()
