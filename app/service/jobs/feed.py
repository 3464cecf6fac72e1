"""The stream of changed jobs of a project.

The stream sends states, not events: the jobs table is read every second, so that it
does not matter which process changed a job. One reader serves all listeners of the
process; it stops while nobody listens.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable
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
from app.store.jobs.requests.changes import Change, ChangeStore

log = structlog.get_logger(__name__)

READ_EVERY: Final = timedelta(seconds=1)
"""The time between the starts of two reads of the table."""

LEAST_REST: Final = timedelta(seconds=0.25)
"""The pause after a read that took longer."""

OVERLAP: Final = timedelta(seconds=30)
"""How late a change may become visible: clocks differ, and commits take time."""

SHORT_OVERLAP: Final = timedelta(seconds=5)
"""How late a change may become visible to be told within a second."""

WHOLE_EVERY: Final = timedelta(seconds=10)
"""How often the whole overlap is read: it holds six times as much as the short one."""

LONGEST_GAP: Final = timedelta(hours=1)
"""A client that was away for longer has to read the list."""

LONGEST_LISTENING: Final = timedelta(minutes=10)
"""The longest stream: then the client connects again, with a valid key."""

KEYS_EVERY: Final = timedelta(seconds=3)
"""How long a stream may outlive its revoked key."""

WOKEN_AT_ONCE: Final = 8
OTHERS_SHARE: Final = 3
"""How many times more of the loop's time others get while many clients are woken."""

SILENCE: Final = 10.0
"""Seconds between two looks for streams that had nothing to send since the last one.

So a stream says something every twenty seconds.
"""

MAX_OF_A_KEY: Final = 100
"""How many streams one key may have open."""

MAX_LISTENERS: Final = 1000
MAX_FOUND: Final = 20_000
"""How many changes one read of the table may find, those told before included."""

MAX_CHANGES: Final = 2000  # new ones in one read, of all projects
NEWCOMERS_AT_ONCE: Final = 50
"""How many newcomers are told what they missed before all others have their turn."""

MAX_RESUMED: Final = 500  # of a project: more are quicker read as a list


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
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        """Take its parts; ``show`` renders a job as callers see it.

        ``spent`` tells the seconds of CPU that the loop's thread has used.
        """
        self._store = store
        self._keys = keys
        self._show = show
        self._clock = clock
        self._keys_seen_at = clock.now()
        self._stop = stop
        self._spent = spent
        self._listeners: dict[Listener, None] = {}  # the first to come is first
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
        self._listeners[listener] = None
        self._read_on()
        try:
            yield listener
        finally:
            del self._listeners[listener]

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
        breaking = asyncio.create_task(self._break_silence())
        try:
            while self._listeners and not self._stop.is_set():
                self._newcomer.clear()
                await self._look(reader)
                await first(
                    self._clock.sleep(reader.rest(self._clock.now())),
                    self._newcomer.wait(),
                    self._stop.wait(),
                )
        except Exception:
            log.exception("the job feed failed unexpectedly")
        finally:
            breaking.cancel()
            for listener in self._listeners:
                listener.end()

    async def _break_silence(self) -> None:
        while True:
            await self._clock.sleep(SILENCE)
            for listener in self._listeners:
                listener.break_silence()
            await self._wake_all()

    async def _look(self, reader: "_Reader") -> None:
        now = self._clock.now()
        for listener in self._listeners:
            if listener.until <= now:
                listener.end()
        try:
            await self._look_at_keys(now)
            if not await reader.look(tuple(self._listeners), now=now):
                self._newcomer.set()  # the others among them come next
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
        most of the time between is left to others. It is the CPU's time that counts:
        on a busy machine we would also wait for what other programs took.
        """
        waiting = [each for each in self._listeners if each.waits]
        for start in range(0, len(waiting), WOKEN_AT_ONCE):
            began = self._spent()
            for listener in waiting[start : start + WOKEN_AT_ONCE]:
                listener.wake()
            if len(waiting) <= WOKEN_AT_ONCE:
                return
            await asyncio.sleep(0)  # they send
            await asyncio.sleep(OTHERS_SHARE * (self._spent() - began))


class _Reader:
    """Reads the table while somebody listens, and remembers what it has seen."""

    def __init__(
        self, store: ChangeStore, now: datetime, show: Callable[[Job], str]
    ) -> None:
        self._store = store
        self._show = show
        self._seen: dict[str, datetime] = {}
        self._tried_at: datetime | None = None
        self._looked_at = self._looked_whole_at = now

    def rest(self, now: datetime) -> float:
        """Return the seconds until the next look."""
        passed = now - (self._tried_at or now)
        left = min(READ_EVERY, max(LEAST_REST, READ_EVERY - passed))
        return left.total_seconds()

    async def look(self, listeners: Collection[Listener], *, now: datetime) -> bool:
        """Tell listeners what is new to them; False if newcomers are left for later.

        Between two reads of the table only newcomers have their turn. Raises
        StoreUnavailable.
        """
        # What changed before a listener came is in the list that it reads.
        live = [each for each in listeners if each.greeted]
        newcomers = [each for each in listeners if not each.greeted]
        if self._is_due(now):
            self._tried_at = now
            await self._tell(live, now)
        watched = {each.project_id for each in live}
        await self._greet(newcomers[:NEWCOMERS_AT_ONCE], watched, now)
        return len(newcomers) <= NEWCOMERS_AT_ONCE

    def _is_due(self, now: datetime) -> bool:
        if self._tried_at is None:
            return True
        # A wait may end a moment early, and a clock may be set back.
        passed = now - self._tried_at
        return not timedelta(0) <= passed < READ_EVERY - LEAST_REST

    async def _tell(self, live: Collection[Listener], now: datetime) -> None:
        is_whole = not timedelta(0) <= now - self._looked_whole_at < WHOLE_EVERY
        whole = min(self._looked_whole_at, now) - OVERLAP
        floor = whole if is_whole else min(self._looked_at, now) - SHORT_OVERLAP
        watched = {each.project_id for each in live}
        found = await self._store.since(floor, watched, limit=MAX_FOUND)
        news = [each for each in found if self._seen.get(each.job_id) != each.at]
        busy = watched if len(found) == MAX_FOUND else _busy(news)
        jobs = await self._store.jobs(
            {each.job_id for each in news if each.project_id not in busy}
        )
        changes = self._changes(jobs, now)
        for listener in live:
            if listener.project_id in busy:
                listener.resync(now=now)
            elif told := changes.get(listener.project_id):
                listener.tell(told, now=now)
        self._remember(found)
        self._seen |= {job.id: job.updated_at for job in jobs}
        if is_whole:
            self._seen = {job: at for job, at in self._seen.items() if at >= whole}
            self._looked_whole_at = now
        self._looked_at = now

    async def _greet(
        self, newcomers: Collection[Listener], watched: set[str], now: datetime
    ) -> None:
        """Let newcomers watch from now on.

        What has changed of late is seen, unless it may be news to those who watch.
        """
        projects = {each.project_id for each in newcomers} - watched
        floor = min(self._looked_whole_at, now) - OVERLAP
        found = await self._store.since(floor, projects, limit=MAX_FOUND)
        self._remember(found)
        for listener in newcomers:
            resumed = await self._catch_up(listener, now)
            listener.greet(now=now, resumed=resumed)

    def _remember(self, found: Iterable[Change]) -> None:
        self._seen |= {each.job_id: each.at for each in found}

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


def _busy(news: Collection[Change]) -> Collection[str]:
    """Name the projects of which too much changed to be told job by job."""
    counted = Counter(each.project_id for each in news)
    busy = {project for project, count in counted.items() if count > MAX_RESUMED}
    rest = sum(count for project, count in counted.items() if project not in busy)
    return counted if rest > MAX_CHANGES else busy


def _checked_project(project_id: str | None, scope: str | None) -> str:
    project_id = project_id or scope
    if project_id is None:
        message = "is required with a key that is good for every project"
        raise errors.InvalidInput(errors.FieldError("/projectId", message))
    check_scope(project_id, scope)
    return project_id
