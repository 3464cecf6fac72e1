"""Claim what is due and run it: once (a tick) or until told to stop."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final
from weakref import WeakSet

import structlog
from msgspec import Struct

from app.domain.errors import StoreUnavailable
from app.machine.concurrency import first
from app.metrics import Metrics
from app.runner.attempts.attempt_pool import AttemptPolicy, AttemptPool
from app.runner.attempts.dependencies import Dependencies
from app.runner.attempts.recorder import Recorder
from app.runner.background.background_jobs import BackgroundJobs, Hint
from app.runner.clock_care import ClockCare
from app.runner.tick_report import Tally, TickReport
from app.store.db.postgres.identity import AnotherServer
from app.tracing import Tracing

log = structlog.get_logger(__name__)

LONGEST_IDLE_SECONDS: Final = 0.9
"""A due job starts within a second; an idle worker asks no more often than that."""

GATHER_SECONDS: Final = 0.01
"""How long a runner without a free slot waits for more than the first one.

A claim, and each statement of the attempts that it begins, is then shared by many. A
lone post waits for nothing: slots are free.
"""

OUTAGE_SECONDS: Final = 0.5
RESERVE: Final = 0.1
"""The share of a tick's budget kept for handing on and writing."""

LONGEST_RESERVE_SECONDS: Final = 2.0


class Capacity(Struct, frozen=True, kw_only=True):
    """How much work a runner takes on."""

    worker: str  # this process, in claims and in the ledger
    batch: int = 100  # jobs per claim
    in_flight: int = 500  # attempts at one time


class _Time(Struct, eq=False, weakref=True):
    """When a tick began, when its work has to be handed on, and when it has to end."""

    began: datetime
    until: datetime
    end: datetime

    def shift(self, jump: timedelta) -> None:
        """Mean the same moments by a clock that was set."""
        self.began, self.until, self.end = (
            each + jump for each in (self.began, self.until, self.end)
        )


class Runner:
    """Runs due jobs; all state that matters is in the table."""

    def __init__(
        self,
        deps: Dependencies,
        rules: AttemptPolicy,
        capacity: Capacity,
        background_jobs: BackgroundJobs,
        *,
        metrics: Metrics | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._tracing = tracing or Tracing()
        self._deps = deps
        self._background_jobs = background_jobs
        self._rules = rules
        self._capacity = capacity
        self._awake = asyncio.Event()
        self._skew_told = False
        self.running: bool | None = None  # None: only ticks, or nothing yet
        self._pools: WeakSet[AttemptPool] = WeakSet()  # ticks may overlap
        self._times: WeakSet[_Time] = WeakSet()
        self._clock_care = ClockCare(deps)
        self._metrics.posts.count_running(self._running)

    def wake(self) -> None:
        """Hint that a job may be due."""
        self._awake.set()

    def wake_for_tiktok(self) -> None:
        """Hint that TikTok may have news about jobs, ended or not."""
        self._background_jobs.hurry(Hint.TIKTOK)
        self.wake()

    def wake_deliveries(self) -> None:
        """Hint that there may be an event to deliver."""
        self._background_jobs.hurry(Hint.OUTBOX)

    async def tick(
        self, *, budget: float, stop: asyncio.Event | None = None
    ) -> TickReport:
        """Run what is due now, for at most ``budget`` seconds.

        Raises StoreUnavailable if the database does not answer at the start.
        """
        time = self._begin(budget)
        tally, pool = self._pool()
        stop = stop or asyncio.Event()

        def seconds_left() -> float:
            left = (time.until - self._now()).total_seconds()
            return 0.0 if stop.is_set() else left

        async with _stopping(pool, stop), self._background_jobs.once(seconds_left):
            await self._work_through(pool, tally, time, stop)
            await pool.drain((time.end - self._now()).total_seconds())
        return tally.report(self._now() - time.began)

    async def run(self, stop: asyncio.Event) -> None:
        """Run due jobs until ``stop``; then give them back and return.

        Survives database outages and its own bugs.
        """
        tally, pool = self._pool()
        async with _stopping(pool, stop), self._background_jobs.going(), self._noted():
            may_be_due = True
            while not stop.is_set():
                try:
                    await self._settle_clock()
                    if not await self._deps.failover.ready():
                        await self._pause(OUTAGE_SECONDS, stop)
                    elif not may_be_due or not await self._fill(pool, tally):
                        may_be_due = await self._rest(pool, stop)
                except AnotherServer:
                    continue
                except StoreUnavailable as error:
                    log.warning(
                        "jobs could not be claimed; trying again", reason=str(error)
                    )
                    await self._pause(OUTAGE_SECONDS, stop)
                except Exception:
                    log.exception("the runner failed; trying again")
                    await self._pause(OUTAGE_SECONDS, stop)

    async def _work_through(
        self, pool: AttemptPool, tally: Tally, time: _Time, stop: asyncio.Event
    ) -> None:
        """Claim and run until nothing is left, or no time to begin anything."""
        while not stop.is_set():
            try:
                await self._settle_clock()
                if self._now() >= time.until:
                    return
                if not await self._deps.failover.ready():
                    await self._pause(OUTAGE_SECONDS, stop)
                    continue
                more = await self._fill(pool, tally, time)
            except AnotherServer:
                continue
            except StoreUnavailable as error:
                if not tally.claimed:
                    raise
                log.warning("this tick claims no more jobs", reason=str(error))
                return  # running attempts have the rest of the time
            if not more and not len(pool):
                if not tally.claimed and self._deps.database_clock is not None:
                    await self._deps.claims.next_due()  # it compares the clocks
                    self._tell_of_skew()
                return
            if not more or not self._free(pool):
                left = (time.until - self._now()).total_seconds()
                await first(self._room(pool), self._deps.clock.sleep(left))

    def _begin(self, budget: float) -> _Time:
        now = self._now()
        working, whole = _working_seconds(budget), budget
        until, end = (now + timedelta(seconds=each) for each in (working, whole))
        time = _Time(now, until, end)
        self._times.add(time)
        return time

    async def _settle_clock(self) -> None:
        """Keep what is claimed, and each tick its budget, if our clock was set."""
        pools = tuple(self._pools)
        attempts = (each for pool in pools for each in pool.attempts())
        if (jump := await self._clock_care.settle(attempts)) is not None:
            for time in self._times:
                time.shift(jump)

    async def _fill(
        self, pool: AttemptPool, tally: Tally, time: _Time | None = None
    ) -> bool:
        """Claim for the free slots; False if no more is due or may begin now."""
        limit = min(self._capacity.batch, self._free(pool))
        now = self._now()
        # Claiming now could take a job away from our own attempt, which knows more.
        if not limit or pool.overdue(now):
            return False
        claimed = await self._deps.claims.claim_due(
            now=now,
            # Jobs that a tick's own attempts put off are for the next tick.
            due_by=time.began if time else None,
            limit=limit,
            worker=self._capacity.worker,
            retry=self._rules.retry,
            random=self._rules.random,
            server=self._deps.failover.settled,
        )
        tally.claim(claimed)
        self._metrics.claim(claimed)
        for each in claimed.taken_over:
            log.warning(
                "a worker went away; its job is taken over",
                job_id=each.job.id,
                worker=each.worker,
            )
        if claimed.failed:
            self.wake_deliveries()
        for job in claimed.jobs:
            pool.start(job, until=time.until if time else None)
        for job_id in claimed.unreadable:
            log.error("a due job cannot be read; it is put off", job_id=job_id)
        # A claim that finds fewer than it asked for has found all that is due: asking
        # again would only hold up the attempts that now begin.
        return claimed.found >= limit

    async def _rest(self, pool: AttemptPool, stop: asyncio.Event) -> bool:
        """Wait for a free slot, a hint, or the next due job.

        False if none came in time: an idle worker then makes one read-only statement.
        """
        if not self._free(pool):
            await first(self._room(pool), stop.wait())
            return True
        if pool.overdue(self._now()):
            await first(pool.one_ended(), self._pause(OUTAGE_SECONDS, stop))
            return True
        self._awake.clear()
        due = await self._deps.claims.next_due()
        seconds = self._seconds_until(due)
        if seconds > 0:
            pause = self._deps.clock.sleep(min(seconds, LONGEST_IDLE_SECONDS))
            await first(self._awake.wait(), stop.wait(), pause)
        return seconds <= LONGEST_IDLE_SECONDS or self._awake.is_set()

    async def _room(self, pool: AttemptPool) -> None:
        """Wait until an attempt ends, and a moment for others that end with it."""
        await pool.one_ended()
        pause = self._deps.clock.sleep(GATHER_SECONDS)
        await first(self._much_room(pool), pause)

    async def _much_room(self, pool: AttemptPool) -> None:
        """Wait until half of the slots are free, or enough for a whole claim."""
        wanted = min(self._capacity.batch, math.ceil(self._capacity.in_flight / 2))
        while self._free(pool) < wanted:
            await pool.one_ended()

    def _seconds_until(self, due: datetime | None) -> float:
        """Return how long nothing is due, by the later of the two clocks."""
        self._tell_of_skew()
        if due is None:
            return math.inf
        watch = self._deps.database_clock
        if watch is None:
            return (due - self._now()).total_seconds()
        if watch.is_skewed:
            return LONGEST_IDLE_SECONDS  # then compare the clocks again
        return (due - self._now() + max(watch.ahead, timedelta(0))).total_seconds()

    def _tell_of_skew(self) -> None:
        """Log once that nothing is claimed because clocks differ, and once the end."""
        watch = self._deps.database_clock
        skewed = watch is not None and watch.is_skewed
        if watch is not None and skewed and not self._skew_told:
            seconds = round(watch.ahead.total_seconds(), 3)
            log.error("clocks differ; no job is claimed", ahead_seconds=seconds)
        elif self._skew_told and not skewed:
            log.info("clocks agree again")
        self._skew_told = skewed

    async def _pause(self, seconds: float, stop: asyncio.Event) -> None:
        await first(stop.wait(), self._deps.clock.sleep(seconds))

    @asynccontextmanager
    async def _noted(self) -> AsyncIterator[None]:
        """Let the health check see whether jobs are being run."""
        self.running = True
        try:
            yield
        finally:
            self.running = False

    def _pool(self) -> tuple[Tally, AttemptPool]:
        tally = Tally()
        recorder = Recorder(
            tally, self._metrics, self._tracing, on_news=self.wake_deliveries
        )
        pool = AttemptPool(self._deps, self._rules, recorder=recorder)
        self._pools.add(pool)
        return tally, pool

    def _running(self) -> int:
        return sum(map(len, self._pools))

    def _free(self, pool: AttemptPool) -> int:
        return self._capacity.in_flight - len(pool)

    def _now(self) -> datetime:
        return self._deps.clock.now()


def _working_seconds(budget: float) -> float:
    return budget - min(budget * RESERVE, LONGEST_RESERVE_SECONDS)


@asynccontextmanager
async def _stopping(pool: AttemptPool, stop: asyncio.Event) -> AsyncIterator[None]:
    """Pass a stop on to the pool at once, and wait for every attempt."""

    async def pass_on() -> None:
        await stop.wait()
        pool.stop()

    watcher = asyncio.create_task(pass_on())
    try:
        yield
    finally:
        watcher.cancel()
        pool.stop()
        await pool.drain()
