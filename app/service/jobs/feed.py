"""The stream of changed jobs of a project.

The stream sends states, not events: the jobs table is read every second, so that it
does not matter which process changed a job. One reader serves all listeners of the
process; it stops while nobody listens.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import structlog

from app.domain import errors
from app.domain.api_key import ApiKey, check_scope
from app.domain.jobs.job import Job
from app.machine.callers import shared_context
from app.machine.clock import Clock
from app.machine.concurrency import first
from app.service.jobs.listener import JobChanged, Listener
from app.store.api_keys import KeyStore
from app.store.jobs.requests.changes import ChangeStore

log = structlog.get_logger(__name__)

READ_EVERY: Final = 1.0
"""Seconds between two reads of the table."""

OVERLAP: Final = timedelta(seconds=30)
"""How late a change may become visible: clocks differ, and commits take time."""

LONGEST_GAP: Final = timedelta(hours=1)
"""A client that was away for longer has to read the list."""

LONGEST_LISTENING: Final = timedelta(minutes=10)
"""The longest stream: then the client connects again, with a valid key."""

KEYS_EVERY: Final = timedelta(seconds=3)
"""How long a stream may outlive its revoked key."""

WOKEN_AT_ONCE: Final = 8
OTHERS_SHARE: Final = 3
"""How many times more of the loop's time others get while many clients are woken."""

MAX_OF_A_KEY: Final = 100
"""How many streams one key may have open."""

MAX_LISTENERS: Final = 1000
MAX_CHANGES: Final = 2000  # in one read
MAX_RESUMED: Final = 500  # more are quicker read as a list


class JobFeed:
    """Sends listeners what changed; ``stop`` ends them all."""

    def __init__(
        self,
        *,
        store: ChangeStore,
        keys: KeyStore,
        show: Callable[[Job], str],
        clock: Clock,
        stop: asyncio.Event,
    ) -> None:
        """Take its parts; ``show`` renders a job as callers see it."""
        self._store = store
        self._keys = keys
        self._show = show
        self._clock = clock
        self._keys_seen_at = clock.now()
        self._stop = stop
        self._listeners: set[Listener] = set()
        self._newcomer = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def listen(
        self,
        project_id: str | None,
        *,
        since: datetime | None,
        caller: ApiKey,
        longest: timedelta = LONGEST_LISTENING,
    ) -> AsyncIterator[Listener]:
        """Watch a project, from a moment or from now on, while the key is valid.

        Raises NotFound for another's project, InvalidInput without one, and
        TooManyListeners.
        """
        project_id = _checked_project(project_id, caller.project_id)
        if len(self._listeners) >= MAX_LISTENERS:
            raise errors.TooManyListeners
        if sum(each.caller_id == caller.id for each in self._listeners) >= MAX_OF_A_KEY:
            raise errors.TooManyStreams
        until = self._clock.now() + min(longest, LONGEST_LISTENING)
        listener = Listener(
            project_id,
            since=since,
            until=min(until, caller.expires_at or until),
            key_id=None if caller.for_browser else caller.id,
            caller_id=caller.id,
        )
        self._listeners.add(listener)
        self._read_on()
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def close(self) -> None:
        """End every listener and wait for the reader."""
        self._stop.set()
        if self._reading is not None:
            await self._reading

    def _read_on(self) -> None:
        self._newcomer.set()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(
                self._read(), name="job feed", context=shared_context()
            )

    async def _read(self) -> None:
        reader = _Reader(self._store, self._clock.now(), self._show)
        try:
            while self._listeners and not self._stop.is_set():
                self._newcomer.clear()
                await self._look(reader)
                await first(
                    self._clock.sleep(READ_EVERY),
                    self._newcomer.wait(),
                    self._stop.wait(),
                )
        except Exception:
            log.exception("the job feed failed unexpectedly")
        finally:
            for listener in self._listeners:
                listener.end()

    async def _look(self, reader: "_Reader") -> None:
        now = self._clock.now()
        for listener in self._listeners:
            if listener.until <= now:
                listener.end()
        try:
            await self._look_at_keys(now)
            await reader.look(frozenset(self._listeners), now=now)
        except errors.StoreUnavailable:
            log.warning("the job feed waits for the database")
        await self._wake_all()

    async def _look_at_keys(self, now: datetime) -> None:
        """End the streams whose key was revoked."""
        if now < self._keys_seen_at + KEYS_EVERY:
            return
        self._keys_seen_at = now
        ids = {each.key_id for each in self._listeners if each.key_id is not None}
        good = await self._keys.good(ids, now=now)
        for listener in self._listeners:
            if listener.key_id is not None and listener.key_id not in good:
                listener.end()

    async def _wake_all(self) -> None:
        """Wake the listeners that have something to send, a few at a time.

        Waking many at once would block the loop, and a post needs it a dozen times. So
        most of the time between is left to others.
        """
        loop = asyncio.get_running_loop()
        waiting = [each for each in self._listeners if each.waits]
        for start in range(0, len(waiting), WOKEN_AT_ONCE):
            began = loop.time()
            for listener in waiting[start : start + WOKEN_AT_ONCE]:
                listener.wake()
            if len(waiting) <= WOKEN_AT_ONCE:
                return
            await asyncio.sleep(0)  # they send
            await asyncio.sleep(OTHERS_SHARE * (loop.time() - began))


class _Reader:
    """Reads the table while somebody listens, and remembers what it has seen."""

    def __init__(
        self, store: ChangeStore, now: datetime, show: Callable[[Job], str]
    ) -> None:
        self._store = store
        self._show = show
        self._seen: dict[str, datetime] = {}
        self._looked_at = now

    async def look(self, listeners: frozenset[Listener], *, now: datetime) -> None:
        """Tell every listener what is new to it; raises StoreUnavailable."""
        await self._tell(listeners, now)
        for listener in listeners:
            if not listener.greeted:
                resumed = await self._catch_up(listener, now)
                listener.greet(now=now, resumed=resumed)
        self._looked_at = now

    async def _tell(self, listeners: frozenset[Listener], now: datetime) -> None:
        floor = min(self._looked_at, now) - OVERLAP
        projects = {each.project_id for each in listeners}
        found = await self._store.since(floor, projects, limit=MAX_CHANGES)
        # What changed before a listener came is in the list that it reads.
        live = [each for each in listeners if each.greeted]
        watched = {each.project_id for each in live}
        unseen = [each for each in found if self._seen.get(each.job_id) != each.at]
        news = {each.job_id for each in unseen if each.project_id in watched}
        jobs = await self._store.jobs(news)
        changes = self._changes(jobs, now)
        for listener in live:
            if len(news) == MAX_CHANGES:
                listener.resync(now=now)
            else:
                listener.tell(changes.get(listener.project_id, ()), now=now)
        self._seen = {job: at for job, at in self._seen.items() if at >= floor}
        self._seen |= {each.job_id: each.at for each in found}
        self._seen |= {job.id: job.updated_at for job in jobs}

    async def _catch_up(self, listener: Listener, now: datetime) -> bool:
        """Send what a listener missed; False if that is too much."""
        if listener.since is None or listener.since < now - LONGEST_GAP:
            return False
        missed = await self._store.since(
            min(listener.since, now) - OVERLAP,
            {listener.project_id},
            limit=MAX_RESUMED + 1,
        )
        if len(missed) > MAX_RESUMED:
            return False
        jobs = await self._store.jobs({each.job_id for each in missed})
        changes = self._changes(jobs, now)
        listener.tell(changes.get(listener.project_id, ()), now=now)
        return True

    def _changes(
        self, jobs: Iterable[Job], now: datetime
    ) -> dict[str, list[JobChanged]]:
        """Make the messages of each project, once for all its listeners."""
        found: dict[str, list[JobChanged]] = {}
        for job in jobs:
            # A worker's clock may be ahead, and nobody may resume in the future.
            change = JobChanged(min(job.updated_at, now), job, self._show)
            found.setdefault(job.project_id, []).append(change)
        return found


def _checked_project(project_id: str | None, scope: str | None) -> str:
    project_id = project_id or scope
    if project_id is None:
        message = "is required with a key that is good for every project"
        raise errors.InvalidInput(errors.FieldError("/projectId", message))
    check_scope(project_id, scope)
    return project_id
