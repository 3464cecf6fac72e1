"""One client that watches a project, and what it has not been told yet."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final, Self

from app.domain.jobs.job import Job

MAX_PENDING: Final = 1000
"""More than this many jobs untold, and a slow client had better read the list."""

_MARK: Final = ""  # sorts among the jobs' ids, and is none


@dataclass(frozen=True, slots=True)
class StreamReady:
    """All up to a time has been told; from here on it is live."""

    at: datetime
    resumed: bool  # False: what changed before is not known to the client


@dataclass(frozen=True)
class JobChanged:
    """A job as it stands; one for all who watch it."""

    at: datetime
    job: Job
    show: Callable[[Job], str] = field(repr=False, compare=False)

    @cached_property
    def text(self) -> str:
        """Return the job as it is shown: written once, however many watch it."""
        return self.show(self.job)


@dataclass(frozen=True, slots=True)
class Resync:
    """Too much changed to be told one by one: the list tells it better."""

    at: datetime


StreamMessage = StreamReady | JobChanged | Resync


class Listener:
    """Gives what changed, the newest state of each job only.

    A client that reads slowly gets fewer states, never old ones, and costs no more
    memory than ``MAX_PENDING`` jobs.
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
        self.caller_id = caller_id  # the key that it was opened with, or one of its
        self.key_id = key_id  # ends with it; None: does not depend on one
        self.since = since  # None: from now on
        self.until = until  # when it has to come anew
        self.greeted = False
        self._pending: dict[str, StreamMessage] = {}
        self._news = asyncio.Event()
        self._ended = False

    def __aiter__(self) -> Self:
        """Give everything until the end."""
        return self

    async def __anext__(self) -> StreamMessage:
        """Wait for the next thing to tell."""
        while not self._pending:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._pending.pop(next(iter(self._pending)))

    @property
    def waits(self) -> bool:
        """Tell whether there is something to give that it has not been woken for."""
        return bool(self._pending) and not self._news.is_set()

    def wake(self) -> None:
        """Let it give what there is."""
        self._news.set()

    def tell(self, changes: Iterable[JobChanged], *, now: datetime) -> None:
        """Add jobs that changed; what is left of their former states is dropped."""
        for change in changes:
            self._pending.pop(change.job.id, None)
            self._pending[change.job.id] = change
        if len(self._pending) > MAX_PENDING:
            self.resync(now=now)

    def greet(self, *, now: datetime, resumed: bool) -> None:
        """Say that from here on everything is told."""
        self.greeted = True
        self._pending[_MARK] = StreamReady(now, resumed)

    def resync(self, *, now: datetime) -> None:
        """Tell nothing one by one; the list is to be read anew."""
        self._pending = {_MARK: Resync(now)}

    def end(self) -> None:
        """Give what is left, and no more."""
        self._ended = True
        self._news.set()
