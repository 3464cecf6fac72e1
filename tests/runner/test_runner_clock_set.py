"""When our clock is set, running attempts continue and nothing waits for it."""

import dataclasses
import time
from datetime import timedelta

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from app.machine.clock import ClockJumps
from app.sandbox.recording import Call
from tests.runner.stage import Stage, Worker

HOUR = timedelta(hours=1)
TOLERANCE = timedelta(seconds=5)


@pytest.fixture
async def worker(stage: Stage) -> Worker:
    """Give a process that counts its seconds by another clock, too."""
    worker = await stage.worker(poll_deadline_seconds=90, http_timeout_seconds=10)
    await stage.connect(worker, "proj_1")
    jumps = ClockJumps(stage.clock.now, time.monotonic, tolerance=TOLERANCE)
    deps = structs.replace(worker.runner._deps, clock_jumps=jumps)
    runner = stage.runner(deps, worker.runner._rules, worker.runner._capacity)
    return dataclasses.replace(worker, runner=runner)


def set_during_init(stage: Stage, worker: Worker, jump: timedelta) -> None:
    """Set the clock while an init's answer is on its way, and let the runner look."""

    async def happen() -> None:
        looks = worker.claims.done.count("next_due")
        stage.clock.go_on(jump)
        worker.runner.wake()
        await stage.signals.until(
            lambda: worker.claims.done.count("next_due") > looks + 2
        )

    worker.tiktok.after["init"] = happen


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forth", "back"])
async def test_an_init_that_is_out_is_kept(
    stage: Stage, worker: Worker, jump: timedelta
) -> None:
    """A living worker takes no job of its own for abandoned, nor drops its answer."""
    job = await stage.job(worker, scheduled_for=stage.clock.now() - 2 * HOUR)
    set_during_init(stage, worker, jump)
    with capture_logs() as logs:
        async with stage.running(worker):
            await stage.signals.until(lambda: "save_publish_id" in worker.claims.done)
    worker.tiktok.after.clear()
    stage.clock.go_on(timedelta(seconds=10))
    await worker.tick()
    told = await worker.job(job)
    assert (told.status, told.attempts) == ("posted", 0)
    assert len(stage.calls(Call.INIT)) == 1
    assert [each["event"] for each in logs].count("the clock was set") == 1


async def test_a_claim_that_was_lost_meanwhile_stays_lost(
    stage: Stage, worker: Worker
) -> None:
    """A machine that slept asks whose its jobs are before it goes on with them."""
    job = await stage.job(worker, scheduled_for=stage.clock.now() - 2 * HOUR)
    other = await stage.worker()

    async def sleep() -> None:
        worker.claims.away["renew"] = 10**6  # it sleeps: the other one is sooner
        stage.clock.go_on(HOUR)
        await other.tick()
        worker.claims.away.clear()
        looks = worker.claims.done.count("next_due")
        await stage.signals.until(
            lambda: worker.claims.done.count("next_due") > looks + 1
        )

    worker.tiktok.after["creator_info"] = sleep
    async with stage.running(worker):
        await stage.signals.until(lambda: "apply" in worker.claims.done)
    assert (await worker.job(job)).status == "posted"
    assert len(stage.calls(Call.INIT)) == 1
    outcomes = [entry.outcome for entry in await worker.ledger(job)]
    assert outcomes == ["abandoned", "published"]


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forth", "back"])
async def test_a_tick_keeps_its_budget(
    stage: Stage, worker: Worker, jump: timedelta
) -> None:
    """It ends when it was to end, and not an hour later or at once."""
    jobs = [
        await stage.job(worker, scheduled_for=stage.clock.now() - 2 * HOUR)
        for _ in range(2)
    ]
    claims = structs.replace(worker.runner._capacity, batch=1, in_flight=1)
    deps, rules = worker.runner._deps, worker.runner._rules
    worker = dataclasses.replace(worker, runner=stage.runner(deps, rules, claims))

    async def happen() -> None:
        worker.tiktok.after.clear()
        stage.clock.go_on(jump)

    worker.tiktok.after["init"] = happen
    report = await worker.tick(budget=200)
    assert report.claimed == 2
    assert report.duration_ms < 200_000
    await worker.tick(budget=200)
    assert {(await worker.job(job)).status for job in jobs} == {"posted"}
