"""The job feed: every state is told, to those who may see it, and to them alone."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import datetime, timedelta
from itertools import count

import pytest
from msgspec.structs import replace
from sqlalchemy import event, update

from app.domain.api_key import ApiKey
from app.domain.errors import (
    InvalidInput,
    NotFound,
    StoreUnavailable,
    TooManyListeners,
)
from app.domain.jobs.job import Job
from app.service.jobs import feed as feed_module
from app.service.jobs import listener as listener_module
from app.service.jobs.feed import (
    KEYS_EVERY,
    LONGEST_GAP,
    LONGEST_LISTENING,
    OTHERS_SHARE,
    OVERLAP,
    SHORT_OVERLAP,
    SILENCE,
    WHOLE_EVERY,
    WOKEN_AT_ONCE,
    JobFeed,
    _Reader,
)
from app.service.jobs.listener import (
    JobChanged,
    Listener,
    Resync,
    Silence,
    StreamReady,
)
from app.store.api_keys import KeyStore
from app.store.db.engine import Database
from app.store.jobs.requests.changes import ChangeStore
from app.store.jobs.tables import schedule_jobs
from tests.domain.jobs.sample import a_job
from tests.support.factories import NOW, job_row, store_job, store_rows
from tests.support.patience import PATIENCE_SECONDS

SECOND = timedelta(seconds=1)
Told = StreamReady | JobChanged | Resync


class HandClock:
    """A clock whose sleepers wake when it is moved."""

    def __init__(self) -> None:
        self._now = NOW
        self._moved = asyncio.Event()

    def now(self) -> datetime:
        """Return where the hands stand."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the hands are moved so far."""
        until = self._now + timedelta(seconds=seconds)
        while self._now < until:
            await self._moved.wait()

    def forward(self, by: timedelta = SECOND) -> None:
        """Move the hands and wake everybody."""
        self._now += by
        self._moved.set()
        self._moved = asyncio.Event()


def caller_for(project_id: str | None = None) -> ApiKey:
    """Make a browser's token, which no key's end ends."""
    return ApiKey(
        id="k", name="", project_id=project_id, created_at=NOW, for_browser=True
    )


def changed(job: Job) -> JobChanged:
    """Make what is told of a job."""
    return JobChanged(job.updated_at, job, lambda each: each.id)


class Watched:
    """A feed on a database, and ways to change jobs and see what is told."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = HandClock()
        self.stop = asyncio.Event()
        self.shown = Counter[str]()
        self.feed = JobFeed(
            store=ChangeStore(database),
            keys=KeyStore(database),
            show=self.show,
            clock=self.clock,
            stop=self.stop,
        )

    def listen(
        self,
        project_id: str | None = "proj_1",
        since: datetime | None = None,
        caller: ApiKey | None = None,
    ) -> AbstractAsyncContextManager[Listener]:
        """Listen, with a caller who may see every project if none is given."""
        return self.feed.listen(project_id, since=since, caller=caller or caller_for())

    def show(self, job: Job) -> str:
        """Write a job, and count how often."""
        self.shown[job.id] += 1
        return job.id

    async def change(self, job: Job, at: datetime | None = None) -> None:
        """Write a job, as any process may."""
        statement = (
            update(schedule_jobs)
            .where(schedule_jobs.c.id == job.id)
            .values(updated_at=at or self.clock.now())
        )
        async with self.database.write() as connection:
            await connection.execute(statement)

    async def told(self, listener: Listener) -> Told:
        """Move time on until something is told, silence aside."""
        waiting = asyncio.ensure_future(_something(listener))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not waiting.done():
                self.clock.forward()
                await asyncio.wait([waiting], timeout=0.01)
        return waiting.result()

    async def told_job(self, listener: Listener) -> Job:
        """Move time on until a job is told."""
        told = await self.told(listener)
        assert isinstance(told, JobChanged), told
        return told.job


async def _something(listener: Listener) -> Told:
    while isinstance(told := await anext(listener), Silence):
        pass
    return told


@pytest.fixture
async def watched(database_url: str) -> AsyncIterator[Watched]:
    """Give a feed on a fresh database."""
    database = Database(database_url)
    watched = Watched(database)
    yield watched
    await watched.feed.close()
    await database.close()


async def test_a_newcomer_is_told_what_changes_from_then_on(watched: Watched) -> None:
    """What changed a moment before is in the list, which is read after `ready`."""
    before = await store_job(watched.database, updated_at=NOW - SECOND)
    async with watched.listen() as listener:
        ready = await watched.told(listener)
        assert ready == StreamReady(ready.at, resumed=False)
        later = await store_job(watched.database, updated_at=watched.clock.now())
        assert await watched.told_job(listener) == later
        await watched.change(before)
        assert (await watched.told_job(listener)).id == before.id


async def test_a_change_is_told_once(watched: Watched) -> None:
    """The looks overlap, and what was seen is not told again."""
    job = await store_job(watched.database)
    other = await store_job(watched.database)
    async with watched.listen() as listener:
        await watched.told(listener)
        for each in (job, other, job):
            await watched.change(each)
            assert (await watched.told_job(listener)).id == each.id


async def test_a_change_that_comes_late_is_told(watched: Watched) -> None:
    """A slow commit, or a worker whose clock is behind, loses nothing."""
    job = await store_job(watched.database)
    prompt = await store_job(watched.database)
    async with watched.listen() as listener:
        await watched.told(listener)
        await watched.change(prompt)
        assert (await watched.told_job(listener)).id == prompt.id
        await watched.change(job, watched.clock.now() - timedelta(seconds=15))
        assert (await watched.told_job(listener)).id == job.id


async def test_most_looks_read_little(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole overlap is read every ten seconds, for what became visible late."""
    floors = list[timedelta]()
    now = NOW

    async def since(
        _: object, moment: datetime, projects: set[str], **__: object
    ) -> object:
        if projects:
            floors.append(now - moment)
        return []

    monkeypatch.setattr(ChangeStore, "since", since)
    reader = _Reader(ChangeStore(watched.database), NOW, watched.show)
    listener = Listener("proj_1", since=None, until=NOW)
    listener.greeted = True
    for second in range(21):
        now = NOW + second * SECOND
        await reader.look([listener], now=now)
    whole = [floor for floor in floors if floor >= OVERLAP]
    assert whole == [OVERLAP + WHOLE_EVERY] * 2
    assert max(set(floors) - set(whole)) == SHORT_OVERLAP + SECOND


async def test_only_ones_own_project_is_told(watched: Watched) -> None:
    """Two listeners of two projects share a reader and nothing else."""
    async with watched.listen() as one, watched.listen("proj_2") as two:
        await watched.told(one)
        await watched.told(two)
        mine = await store_job(watched.database, updated_at=watched.clock.now())
        yours = await store_job(
            watched.database, project_id="proj_2", updated_at=watched.clock.now()
        )
        assert await watched.told_job(two) == yours
        assert await watched.told_job(one) == mine


async def test_who_comes_back_is_told_what_changed_meanwhile(watched: Watched) -> None:
    """A client that comes back is told what changed, in order."""
    jobs = [
        await store_job(watched.database, updated_at=NOW + n * SECOND) for n in range(3)
    ]
    await store_job(watched.database, updated_at=NOW - OVERLAP - SECOND)
    watched.clock.forward(timedelta(minutes=5))
    async with watched.listen(since=NOW) as listener:
        assert [await watched.told_job(listener) for _ in jobs] == jobs
        ready = await watched.told(listener)
        assert ready == StreamReady(ready.at, resumed=True)


async def test_who_was_away_too_long_reads_the_list(watched: Watched) -> None:
    """After an hour nothing is told one by one."""
    await store_job(watched.database, updated_at=NOW)
    watched.clock.forward(LONGEST_GAP + 2 * SECOND)
    async with watched.listen(since=NOW) as listener:
        ready = await watched.told(listener)
        assert ready == StreamReady(ready.at, resumed=False)


async def test_who_missed_too_much_reads_the_list(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list is quicker than hundreds of events."""
    monkeypatch.setattr(feed_module, "MAX_RESUMED", 1)
    for _ in range(2):
        await store_job(watched.database, updated_at=NOW)
    async with watched.listen(since=NOW) as listener:
        ready = await watched.told(listener)
        assert ready == StreamReady(ready.at, resumed=False)


async def test_more_changes_than_a_look_can_see_are_not_passed_over(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who watches is told to read the list, and goes on listening."""
    monkeypatch.setattr(feed_module, "MAX_CHANGES", 2)
    async with watched.listen() as listener:
        await watched.told(listener)
        jobs = [await store_job(watched.database) for _ in range(3)]
        for each in jobs:
            await watched.change(each)
        assert isinstance(await watched.told(listener), Resync)
        watched.clock.forward(OVERLAP + SECOND)
        await watched.change(jobs[0])
        assert (await watched.told_job(listener)).id == jobs[0].id


async def test_a_late_change_is_told_beside_many_others(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many changes were told since, in the same half minute."""
    monkeypatch.setattr(feed_module, "MAX_CHANGES", 2)
    late, *prompt = [await store_job(watched.database) for _ in range(5)]
    async with watched.listen() as listener:
        await watched.told(listener)
        for each in prompt:
            await watched.change(each)
            assert (await watched.told_job(listener)).id == each.id
        await watched.change(late, watched.clock.now() - timedelta(seconds=15))
        assert (await watched.told_job(listener)).id == late.id


async def test_a_busy_project_costs_no_other_its_news(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only who watches it has to read the list."""
    monkeypatch.setattr(feed_module, "MAX_RESUMED", 2)
    monkeypatch.setattr(feed_module, "MAX_CHANGES", 2)
    async with watched.listen() as busy, watched.listen("proj_2") as quiet:
        await watched.told(busy)
        await watched.told(quiet)
        rows = [job_row(updated_at=watched.clock.now()) for _ in range(3)]
        mine = job_row(project_id="proj_2", updated_at=watched.clock.now())
        await store_rows(watched.database, [*rows, mine])
        assert isinstance(await watched.told(busy), Resync)
        assert (await watched.told_job(quiet)).id == mine["id"]


async def test_more_than_a_read_can_find_is_not_passed_over(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it found may be old; what it left out may be new."""
    monkeypatch.setattr(feed_module, "MAX_FOUND", 2)
    jobs = [await store_job(watched.database) for _ in range(3)]
    async with watched.listen() as listener:
        await watched.told(listener)
        await watched.change(jobs[0])
        assert (await watched.told_job(listener)).id == jobs[0].id
        await watched.change(jobs[1])
        assert isinstance(await watched.told(listener), Resync)


async def test_a_newcomer_has_nothing_read_for_others(watched: Watched) -> None:
    """Between two reads for all, only its own project is looked at."""
    reader = _Reader(ChangeStore(watched.database), NOW, watched.show)
    there, new = (
        Listener(project, since=None, until=NOW) for project in ("proj_1", "proj_2")
    )
    await reader.look([there], now=NOW)
    await store_job(watched.database, updated_at=NOW)
    await store_job(watched.database, updated_at=NOW, project_id="proj_2")
    await reader.look([there, new], now=NOW + SECOND / 2)
    assert len(there._pending) == len(new._pending) == 1  # `ready`
    await reader.look([there, new], now=NOW + SECOND)
    assert len(there._pending) == 2
    assert len(new._pending) == 1


async def test_a_newcomer_hides_nothing_from_those_who_watch(watched: Watched) -> None:
    """What changed just before it came is still news to the others."""
    reader = _Reader(ChangeStore(watched.database), NOW, watched.show)
    there, new = (Listener("proj_1", since=None, until=NOW) for _ in range(2))
    await reader.look([there], now=NOW)
    await store_job(watched.database, updated_at=NOW)
    await reader.look([there, new], now=NOW + SECOND / 2)
    await reader.look([there, new], now=NOW + SECOND)
    assert len(there._pending) == 2


async def test_a_crowd_of_newcomers_has_its_turn_in_parts(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they missed is read for some of them, then the others have their news."""
    monkeypatch.setattr(feed_module, "NEWCOMERS_AT_ONCE", 2)
    reader = _Reader(ChangeStore(watched.database), NOW, watched.show)
    crowd = [Listener("proj_1", since=NOW, until=NOW) for _ in range(3)]
    assert not await reader.look(crowd, now=NOW)
    assert [each.greeted for each in crowd] == [True, True, False]
    assert await reader.look(crowd, now=NOW)
    assert all(each.greeted for each in crowd)


@pytest.mark.parametrize(
    ("took", "rest"), [(0.0, 1.0), (0.6, 0.4), (3.0, 0.25), (-99.0, 1.0)]
)
async def test_a_slow_look_puts_off_the_next_one_little(
    watched: Watched, took: float, rest: float
) -> None:
    """Seconds are counted from start to start, whatever is done to the clock."""
    reader = _Reader(ChangeStore(watched.database), NOW, watched.show)
    await reader.look([], now=NOW)
    assert reader.rest(NOW + timedelta(seconds=took)) == pytest.approx(rest)


async def test_a_stream_without_news_says_something(watched: Watched) -> None:
    """Every twenty seconds at the latest, news or none; then it is no more silent."""
    async with watched.listen() as listener:
        await watched.told(listener)
        waiting = asyncio.ensure_future(anext(listener))
        began = watched.clock.now()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not waiting.done():
                watched.clock.forward()
                await asyncio.wait([waiting], timeout=0.01)
        assert waiting.result() == Silence()
        assert watched.clock.now() - began <= timedelta(seconds=2 * SILENCE + 1)
        job = await store_job(watched.database, updated_at=watched.clock.now())
        assert await watched.told_job(listener) == job


def test_a_stream_with_news_says_nothing_else() -> None:
    """Only what has told nothing since the last look has its silence broken."""
    listener = Listener("proj_1", since=None, until=NOW)
    listener.greet(now=NOW, resumed=False)
    listener.break_silence()
    assert list(listener._pending.values()) == [StreamReady(NOW, resumed=False)]


async def test_time_that_other_programs_take_delays_nobody(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a crowd is woken, others are left a share of the CPU's time alone."""
    slept = list[float]()
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    feed = JobFeed(
        store=ChangeStore(watched.database),
        keys=KeyStore(watched.database),
        show=watched.show,
        clock=watched.clock,
        stop=watched.stop,
        spent=count(0.0, 0.001).__next__,
    )
    monkeypatch.setattr(asyncio, "sleep", note)
    async with AsyncExitStack() as stack:
        listeners = [
            await stack.enter_async_context(
                feed.listen("proj_1", since=None, caller=caller_for())
            )
            for _ in range(WOKEN_AT_ONCE + 1)
        ]
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*map(_something, listeners))
    await feed.close()
    assert max(slept) == pytest.approx(OTHERS_SHARE * 0.001)


async def test_a_slow_client_gets_each_jobs_newest_state(watched: Watched) -> None:
    """What it did not take in time is replaced, not queued."""
    job = await store_job(watched.database)
    async with watched.listen() as slow, watched.listen() as quick:
        await watched.told(slow)
        await watched.told(quick)
        for _ in range(2):
            await watched.change(job)
            await watched.told_job(quick)
        await watched.change(job)
        newest = await watched.told_job(quick)
        assert await watched.told_job(slow) == newest
        other = await store_job(watched.database, updated_at=watched.clock.now())
        assert await watched.told_job(slow) == other


def test_a_client_that_takes_nothing_is_sent_to_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waits for one client is bounded."""
    monkeypatch.setattr(listener_module, "MAX_PENDING", 2)
    listener = Listener("proj_1", since=None, until=NOW)
    for n in range(3):
        listener.tell([changed(a_job(id=f"job-{n}"))], now=NOW)
    assert list(listener._pending.values()) == [Resync(NOW)]


async def test_nobody_is_told_a_time_to_come(watched: Watched) -> None:
    """A worker's fast clock would else make a client resume in the future."""
    fast = NOW + timedelta(hours=1)
    async with watched.listen() as listener:
        await watched.told(listener)
        await store_job(watched.database, updated_at=fast)
        watched.clock.forward()
        assert (await watched.told(listener)).at <= watched.clock.now() < fast


async def test_a_state_is_written_once_for_all_who_watch(watched: Watched) -> None:
    """However many they are, and only if somebody takes it."""
    async with AsyncExitStack() as stack:
        listeners = [
            await stack.enter_async_context(watched.listen()) for _ in range(30)
        ]
        for listener in listeners:
            await watched.told(listener)
        job = await store_job(watched.database, updated_at=watched.clock.now())
        watched.clock.forward()
        told = [await watched.told(listener) for listener in listeners]
    assert {each.text for each in told if isinstance(each, JobChanged)} == {job.id}
    assert len(told) == 30
    assert watched.shown == {job.id: 1}


async def test_a_crowd_leaves_the_loop_to_others(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few are woken at a time, and others have their turns in between."""
    monkeypatch.setattr(feed_module, "WOKEN_AT_ONCE", 2)
    order: list[str] = []

    async def take(listener: Listener) -> None:
        await anext(listener)
        order.append("listener")

    async def turns() -> None:
        while order.count("listener") < 10:
            order.append("other")
            await asyncio.sleep(0)

    async with AsyncExitStack() as stack:
        listeners = [
            await stack.enter_async_context(watched.listen()) for _ in range(10)
        ]
        async with asyncio.TaskGroup() as group:
            for listener in listeners:
                group.create_task(take(listener))
            group.create_task(turns())
    told = "".join(each[0] for each in order)
    assert "lll" not in told


async def test_a_stream_ends_with_its_key(watched: Watched) -> None:
    """Within seconds of the revocation; others' streams go on."""
    store = KeyStore(watched.database)
    mine, other = [
        await store.add(name="", project_id=None, secret_sha256=name, now=NOW)
        for name in ("a", "b")
    ]
    async with (
        watched.listen(caller=mine) as ends,
        watched.listen(caller=other) as goes_on,
    ):
        for listener in (ends, goes_on):
            await watched.told(listener)
        await store.revoke(mine.id, now=NOW)
        watched.clock.forward(KEYS_EVERY)
        with pytest.raises(StopAsyncIteration):
            await watched.told(ends)
        await store_job(watched.database, updated_at=watched.clock.now())
        watched.clock.forward()
        assert isinstance(await watched.told(goes_on), JobChanged)


async def test_a_stream_may_be_asked_to_end_soon(watched: Watched) -> None:
    """A client may ask for a stream that ends soon."""
    caller = caller_for("proj_1")
    async with watched.feed.listen(
        "proj_1", since=None, caller=caller, longest=5 * SECOND
    ) as listener:
        await watched.told(listener)
        watched.clock.forward(5 * SECOND)
        with pytest.raises(StopAsyncIteration):
            await watched.told(listener)


async def test_a_stream_ends_with_its_token(watched: Watched) -> None:
    """A browser's token lets nobody watch longer than it lives."""
    token = replace(caller_for("proj_1"), expires_at=NOW + 5 * SECOND)
    async with watched.listen(caller=token) as listener:
        await watched.told(listener)
        watched.clock.forward(5 * SECOND)
        with pytest.raises(StopAsyncIteration):
            await watched.told(listener)


async def test_a_listener_has_its_time(watched: Watched) -> None:
    """It ends by itself, so that a revoked key does not watch for ever."""
    async with watched.listen() as listener:
        await watched.told(listener)
        watched.clock.forward(LONGEST_LISTENING)
        with pytest.raises(StopAsyncIteration):
            await watched.told(listener)


async def test_a_stop_ends_every_listener(watched: Watched) -> None:
    """A stop ends every listener at once, new ones too."""
    async with watched.listen() as listener:
        await watched.told(listener)
        watched.stop.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert [told async for told in listener] == []
        async with watched.listen() as late, asyncio.timeout(PATIENCE_SECONDS):
            assert [told async for told in late] == []


async def test_nothing_is_read_while_nobody_listens(watched: Watched) -> None:
    """The reader goes with its last listener, and comes back with the next."""
    read: list[str] = []

    def note(*call: object) -> None:
        read.append(str(call[2]))

    event.listen(watched.database.engine.sync_engine, "before_cursor_execute", note)
    async with watched.listen() as listener:
        await watched.told(listener)
    assert read
    reading = watched.feed._reading
    assert reading is not None
    watched.clock.forward()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await reading
    async with watched.listen() as listener:
        assert isinstance(await watched.told(listener), StreamReady)


async def test_listeners_outlive_a_database_that_goes_away(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What changed until it is back is told then."""
    job = await store_job(watched.database)
    async with watched.listen() as listener:
        await watched.told(listener)
        looks = 0
        healthy = ChangeStore.since

        async def away(*given: object, **named: object) -> object:
            nonlocal looks
            looks += 1
            raise StoreUnavailable

        monkeypatch.setattr(ChangeStore, "since", away)
        await watched.change(job)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while looks < 3:
                watched.clock.forward(OVERLAP)
                await asyncio.sleep(0)
        monkeypatch.setattr(ChangeStore, "since", healthy)
        assert (await watched.told_job(listener)).id == job.id


async def test_a_broken_reader_leaves_nobody_waiting(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its listeners end and may come again."""

    async def broken(*given: object, **named: object) -> object:
        raise RuntimeError

    async with watched.listen() as listener:
        await watched.told(listener)
        monkeypatch.setattr(ChangeStore, "since", broken)
        with pytest.raises(StopAsyncIteration):
            await watched.told(listener)
        monkeypatch.undo()
    async with watched.listen() as listener:
        assert isinstance(await watched.told(listener), StreamReady)


async def test_what_was_seen_long_ago_is_forgotten(watched: Watched) -> None:
    """A reader's memory holds what the next looks could see again, and no more."""
    reader = _Reader(ChangeStore(watched.database), NOW, watched.show)
    listener = Listener("proj_1", since=None, until=NOW)
    await store_job(watched.database, updated_at=NOW)
    for later, remembered in (
        (timedelta(0), 1),
        (OVERLAP + SECOND, 1),
        (2 * OVERLAP + SECOND, 0),
    ):
        await reader.look([listener], now=NOW + later)
        assert len(reader._seen) == remembered


async def test_a_project_has_to_be_named_and_ones_own(watched: Watched) -> None:
    """A bound key's own project is understood; another one does not exist."""
    with pytest.raises(InvalidInput):
        async with watched.feed.listen(None, since=None, caller=caller_for()):
            pass
    with pytest.raises(NotFound):
        async with watched.feed.listen(
            "proj_1", since=None, caller=caller_for("proj_2")
        ):
            pass
    async with watched.feed.listen(
        None, since=None, caller=caller_for("proj_2")
    ) as listener:
        assert listener.project_id == "proj_2"


async def test_one_process_has_room_for_so_many(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more is refused, and let in once another is gone."""
    monkeypatch.setattr(feed_module, "MAX_LISTENERS", 1)
    async with watched.listen():
        with pytest.raises(TooManyListeners):
            async with watched.listen():
                pass
    async with watched.listen():
        pass
