"""What a worker works with, watched and disturbed by a test: store and TikTok."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

from app.domain.errors import StoreUnavailable
from app.domain.jobs.job import Job
from app.domain.jobs.transition import Transition
from app.sandbox.recording import CallLog, Record
from app.store.jobs.claims import Claimed, ClaimStore
from app.tiktok.client import Calls, TikTok

T = TypeVar("T")
Happening = Callable[[], Awaitable[object]]


class Signals:
    """Lets a test wait for what it can see, without guessing how long it takes."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Say that something happened."""
        self._changed.set()

    async def until(self, true: Callable[[], object]) -> None:
        """Wait until it is so."""
        while not true():
            self._changed.clear()
            await self._changed.wait()


class WatchedCalls(CallLog):
    """TikTok's record of calls, with a signal for each."""

    signals: Signals

    def add(self, record: Record) -> None:
        """Remember a call and say so."""
        super().add(record)
        self.signals.changed()


class Claims(ClaimStore):
    """The store as a worker uses it; a test watches it, and lets it fail."""

    signals: Signals

    def watch(self, signals: Signals) -> None:
        """Begin."""
        self.signals = signals
        self.done: list[str] = []
        self.away: Counter[str] = Counter()  # so often a method finds no database
        self.mute: Counter[str] = Counter()  # so often its answer is lost
        self.before: dict[str, Happening] = {}
        self.after: dict[str, Callable[[], object]] = {}
        self.running: set[str] = set()
        self.most_running = 0

    async def claim_due(self, **which: Any) -> Claimed:  # noqa: ANN401
        """Claim, watched."""
        claimed = await self._do(
            "claim_due", lambda: super(Claims, self).claim_due(**which)
        )
        self.running |= {job.id for job in claimed.jobs}
        self.most_running = max(self.most_running, len(self.running))
        return claimed

    async def next_due(self) -> datetime | None:
        """Look, watched."""
        return await self._do("next_due", super().next_due)

    async def stamp_init(self, job: Job, **more: Any) -> Job | None:  # noqa: ANN401
        """Write, watched."""
        return await self._do(
            "stamp_init", lambda: super(Claims, self).stamp_init(job, **more)
        )

    async def clear_init(self, job: Job, *, now: datetime) -> Job | None:
        """Write, watched."""
        return await self._do(
            "clear_init", lambda: super(Claims, self).clear_init(job, now=now)
        )

    async def save_publish_id(
        self, job: Job, publish_id: str, *, now: datetime
    ) -> Job | None:
        """Write, watched."""
        return await self._do(
            "save_publish_id",
            lambda: super(Claims, self).save_publish_id(job, publish_id, now=now),
        )

    async def apply(self, job: Job, change: Transition, *, now: datetime) -> Job | None:
        """Write, watched."""
        written = await self._do(
            "apply", lambda: super(Claims, self).apply(job, change, now=now)
        )
        self.running.discard(job.id)
        return written

    async def _do(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        if name in self.before:
            await self.before[name]()
        if self.away[name] > 0:
            self.away[name] -= 1
            self._note(f"{name} failed")
            raise StoreUnavailable
        result = await work()
        if self.mute[name] > 0:
            self.mute[name] -= 1
            self._note(f"{name} lost")
            raise StoreUnavailable
        if name in self.after:
            self.after[name]()
        self._note(name)
        return result

    def _note(self, what: str) -> None:
        self.done.append(what)
        self.signals.changed()


class Meddled:
    """TikTok's client, with things that happen just before or after a call."""

    def __init__(self, tiktok: TikTok) -> None:
        self.before: dict[str, Happening] = {}
        self.after: dict[str, Happening] = {}
        self._tiktok = tiktok

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["MeddledCalls"]:
        """Connect."""
        async with self._tiktok.connect() as calls:
            yield MeddledCalls(calls, self)


class MeddledCalls:
    """The calls of one attempt."""

    def __init__(self, calls: Calls, meddled: Meddled) -> None:
        self._calls = calls
        self._meddled = meddled

    def __getattr__(self, name: str) -> Callable[..., Awaitable[object]]:
        """Wrap a call."""
        call: Callable[..., Awaitable[object]] = getattr(self._calls, name)

        async def meddled(*args: object, **more: object) -> object:
            await self._meddled.before.get(name, nothing)()
            answer = await call(*args, **more)
            await self._meddled.after.get(name, nothing)()
            return answer

        return meddled


async def nothing() -> None:
    """Do nothing."""
