"""The runner that goes on by itself: who is due starts within a second."""

import asyncio
import dataclasses
from datetime import datetime, timedelta

from msgspec import structs

from app.domain.jobs.job import Job
from app.runner.runner import GATHER_SECONDS
from app.sandbox.recording import Call
from tests.runner.stage import Clock, Stage, Worker, of


class Measured(Clock):
    """A clock that notes how long anybody wanted to sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.sleeps: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Sleep, noted."""
        self.sleeps.append(seconds)
        await super().sleep(seconds)


class Hands(Clock):
    """A clock on which time passes only while somebody sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self._now = super().now().replace(microsecond=0)

    def now(self) -> datetime:
        """Return where the hands stand."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Move the hands on."""
        self._now += timedelta(seconds=seconds)
        await asyncio.sleep(0)


def on(clock: Clock, stage: Stage, worker: Worker) -> Worker:
    """Let a worker live by a clock of its own."""
    deps = structs.replace(worker.runner._deps, clock=clock)
    runner = stage.runner(deps, worker.runner._rules, worker.runner._capacity)
    return dataclasses.replace(worker, runner=runner)


async def test_a_job_starts_at_its_time(stage: Stage, worker: Worker) -> None:
    """An idle worker knows when the next one falls due, and sleeps no longer."""
    clock = Hands()
    at = clock.now() + timedelta(seconds=1.5)
    job = await stage.job(worker, scheduled_for=at)
    async with stage.running(on(clock, stage, worker)):
        await stage.signals.until(lambda: "apply" in worker.claims.done)
    (entry,) = await worker.ledger(job)
    assert entry.started_at == at


async def test_a_job_that_comes_in_is_found_within_a_second(
    stage: Stage, worker: Worker
) -> None:
    """Another process stored it, so nothing woke this one."""
    clock = Measured()
    async with stage.running(on(clock, stage, worker)):
        await stage.signals.until(lambda: "next_due" in worker.claims.done)
        job = await stage.job(worker)
        await stage.signals.until(lambda: "apply" in worker.claims.done)
    assert (await worker.job(job)).status == "posted"
    assert max(clock.sleeps) < 1


class Sleepless(Clock):
    """A clock on which nobody wakes up by himself."""

    async def sleep(self, seconds: float) -> None:
        """Sleep for good."""
        await asyncio.Event().wait()


async def test_a_hint_starts_it_at_once(stage: Stage, worker: Worker) -> None:
    """Storing a job in this process wakes the runner."""
    runner = on(Sleepless(), stage, worker).runner
    stop = asyncio.Event()
    running = asyncio.create_task(runner.run(stop))
    await stage.signals.until(lambda: "next_due" in worker.claims.done)
    await stage.job(worker)
    runner.wake()
    await stage.until_called(Call.CREATOR_INFO)
    stop.set()
    await running


async def test_a_hint_between_two_looks_is_not_lost(
    stage: Stage, worker: Worker
) -> None:
    """It may come while the worker asks the database when the next one is due."""
    runner = on(Sleepless(), stage, worker).runner
    hints = [runner.wake]

    def hint() -> None:
        if hints:
            hints.pop()()

    worker.claims.after["next_due"] = hint
    stop = asyncio.Event()
    running = asyncio.create_task(runner.run(stop))
    looks = worker.claims.done.count
    await stage.signals.until(lambda: looks("claim_due") >= 2)
    stop.set()
    await running


async def test_a_full_runner_goes_on_as_soon_as_a_slot_is_free(
    stage: Stage, worker: Worker
) -> None:
    """With one slot, jobs follow each other without a rest between them."""
    alone = await stage.worker(max_in_flight=1)
    jobs = [await stage.job(worker) for _ in range(4)]
    async with stage.running(alone):
        await stage.signals.until(lambda: alone.claims.done.count("apply") == len(jobs))
    assert alone.claims.most_running == 1
    assert {str((await worker.job(job)).status) for job in jobs} == {"posted"}


class Held(Clock):
    """A clock on which the pause for more free slots never ends by itself."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._signals = stage.signals
        self.is_gathering = False
        self.let_go = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Sleep, or wait until the pause is ended."""
        if seconds != GATHER_SECONDS:
            await super().sleep(seconds)
            return
        self.is_gathering = True
        self._signals.changed()
        await self.let_go.wait()


async def a_full_house(stage: Stage, worker: Worker, *, over: int) -> list[Job]:
    """Store six due jobs; so many of the first are over soon, the others never."""
    early = stage.clock.now() - timedelta(hours=1)
    jobs = [await stage.job(worker, scheduled_for=early) for _ in range(6)]
    for place, job in enumerate(jobs):
        if place < over:
            stage.fault("init", "error", rule=of(job), code="internal_error")
        else:
            stage.stuck(job)
    return jobs


async def test_a_full_runner_claims_for_several_free_slots(
    stage: Stage, worker: Worker
) -> None:
    """When the first one is free, it waits a moment for more: one claim for them all.

    The statements of the attempts that a claim begins are shared, too.
    """
    clock = Held(stage)
    four = on(clock, stage, await stage.worker(max_in_flight=4))
    await a_full_house(stage, worker, over=1)
    claims = four.claims.done.count
    async with stage.running(four):
        await stage.signals.until(
            lambda: clock.is_gathering or claims("claim_due") == 2
        )
        assert claims("claim_due") == 1
        clock.let_go.set()
        await stage.signals.until(lambda: claims("claim_due") == 2)


async def test_a_full_runner_waits_for_half_of_its_slots_at_most(
    stage: Stage, worker: Worker
) -> None:
    """With half of them free, the pause is over."""
    four = on(Held(stage), stage, await stage.worker(max_in_flight=4))
    await a_full_house(stage, worker, over=2)
    async with stage.running(four):
        await stage.signals.until(lambda: four.claims.done.count("claim_due") == 2)
    assert four.claims.most_running == 4


async def test_a_claim_with_room_left_is_not_repeated(
    stage: Stage, worker: Worker
) -> None:
    """It found all that is due: another would only hold up what now begins."""
    await stage.job(worker)
    async with stage.running(worker):
        await stage.signals.until(lambda: "next_due" in worker.claims.done)
    before = worker.claims.done[: worker.claims.done.index("next_due")]
    assert before.count("claim_due") == 1


async def test_an_idle_runner_asks_seldom(stage: Stage, worker: Worker) -> None:
    """Two looks a second at most while nothing is due."""
    await stage.job(worker, scheduled_for=stage.clock.now() + timedelta(hours=1))
    async with stage.running(worker):
        looks = worker.claims.done.count
        await stage.signals.until(lambda: looks("next_due") == 1)
        began = stage.clock.now()
        await stage.signals.until(lambda: looks("next_due") == 3)
    assert stage.clock.now() - began >= timedelta(seconds=1)
