"""A worker told to stop gives its jobs back at once, and loses nothing by it."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import PutOff
from app.pacing.pacer import Pacer
from app.sandbox.recording import Call
from tests.runner.stage import Stage, Worker
from tests.support.patience import PATIENCE_SECONDS

PATIENT = {"http_timeout_seconds": 10 * PATIENCE_SECONDS}
"""Who waits for TikTok's answer in spite of a stop waits longer than the test."""


async def stopped(
    stage: Stage, worker: Worker, job: Job, *, at: Call, times: int = 1
) -> Job:
    """Stop a running worker when TikTok has seen a call; return the job then."""
    async with stage.running(worker) as stop:
        await stage.until_called(at, times)
        async with asyncio.timeout(PATIENCE_SECONDS):
            stop.set()
            await stage.signals.until(lambda: "apply" in worker.claims.done)
    return await worker.job(job)


async def assert_posted_once(stage: Stage, job: Job) -> None:
    """Let another process finish the job, and look that TikTok took one init."""
    other = await stage.worker()
    await other.tick()
    done = await other.job(job)
    assert (done.status, done.attempts) == ("posted", job.attempts)
    assert sum(init.taken for init in stage.calls(Call.INIT, job)) == 1


async def test_stopped_while_polling(stage: Stage, worker: Worker) -> None:
    """In flight it stays processing, with its id and without an owner."""
    job = await stage.job(worker)
    stage.stuck(job)
    back = await stopped(stage, worker, job, at=Call.STATUS, times=2)
    assert (back.status, back.attempts, back.claim_token) == ("processing", 0, None)
    assert back.publish_id
    assert back.next_attempt_at is not None
    assert back.next_attempt_at <= stage.clock.now()
    assert await worker.ledger(job) == ()
    stage.unstick(job)
    await assert_posted_once(stage, back)


@pytest.mark.parametrize("failed_before", [False, True])
async def test_stopped_in_a_hanging_question(
    stage: Stage, worker: Worker, failed_before: bool
) -> None:
    """Nothing was sent: it goes back to where it came from, at once."""
    patient = await stage.worker(**PATIENT)
    job = await stage.job(worker)
    if failed_before:
        stage.fault("creator_info", "error", code="internal_error")
        await worker.tick()
        stage.clock.go_to((await worker.job(job)).next_attempt_at)
    stage.fault("creator_info", "hang")
    back = await stopped(
        stage, patient, job, at=Call.CREATOR_INFO, times=1 + failed_before
    )
    assert back.status == ("retrying" if failed_before else "scheduled")
    assert (back.attempts, back.claim_token) == (int(failed_before), None)
    assert not back.in_flight
    assert not stage.calls(Call.INIT)
    await assert_posted_once(stage, back)


async def test_stopped_in_a_hanging_poll(stage: Stage, worker: Worker) -> None:
    """A question about a publish is broken off; the next worker asks it again."""
    patient = await stage.worker(**PATIENT)
    job = await stage.job(worker)
    stage.fault("status", "hang")
    back = await stopped(stage, patient, job, at=Call.STATUS)
    assert (back.status, back.attempts, back.claim_token) == ("processing", 0, None)
    await assert_posted_once(stage, back)


async def test_stopped_while_it_writes_the_quota(
    stage: Stage, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No statement is broken off, since that can lock SQLite; no call follows it."""
    pacer, stop = worker.runner._deps.pacer, asyncio.Event()
    written = list[PutOff | datetime]()

    async def acquire(*args: Any) -> PutOff | datetime:  # noqa: ANN401
        stop.set()
        for _ in range(9):  # until everybody has heard of it
            await asyncio.sleep(0)
        written.append(await Pacer.acquire(pacer, *args))
        return written[-1]

    monkeypatch.setattr(pacer, "acquire", acquire)
    job = await stage.job(worker)
    await worker.runner.run(stop)
    assert len(written) == 1
    assert not stage.calls(Call.CREATOR_INFO)
    back = await worker.job(job)
    assert (back.status, back.attempts, back.claim_token) == ("scheduled", 0, None)


async def test_stopped_in_an_init(stage: Stage, worker: Worker) -> None:
    """An init is waited for: its id is worth more than the haste."""
    job = await stage.job(worker)
    stage.fault("init", "slow", seconds=0.5)
    back = await stopped(stage, worker, job, at=Call.INIT)
    assert (back.status, back.attempts, back.claim_token) == ("processing", 0, None)
    (init,) = stage.calls(Call.INIT)
    assert back.publish_id == init.publish_id
    await assert_posted_once(stage, back)


async def test_stopped_before_the_init(stage: Stage, worker: Worker) -> None:
    """An attempt that is told to stop while it writes the stamp sends nothing."""
    stop = asyncio.Event()

    async def told_to_stop() -> None:
        stop.set()

    worker.claims.before["stamp_init"] = told_to_stop
    job = await stage.job(worker)
    await worker.tick(stop=stop)
    assert "stamp_init" in worker.claims.done
    back = await worker.job(job)
    assert (back.status, back.attempts, back.in_flight) == ("scheduled", 0, False)
    assert not stage.calls(Call.INIT)
    await assert_posted_once(stage, back)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_stopped_in_a_claim(stage: Stage, worker: Worker, moment: str) -> None:
    """Jobs claimed after the stop are given back untouched."""
    job = await stage.job(worker)
    stop = asyncio.Event()

    async def told_to_stop() -> None:
        stop.set()

    if moment == "before":
        worker.claims.before["claim_due"] = told_to_stop
    else:
        worker.claims.after["claim_due"] = stop.set
    async with asyncio.timeout(PATIENCE_SECONDS):
        await worker.runner.run(stop)
    back = await worker.job(job)
    assert (back.status, back.attempts, back.claim_token) == ("scheduled", 0, None)
    assert worker.claims.done.count("apply") == 1
    assert not stage.calls(Call.CREATOR_INFO)
    await assert_posted_once(stage, back)


async def test_a_tick_can_be_stopped_too(stage: Stage, worker: Worker) -> None:
    """A stopped tick hands on its jobs and begins nothing more."""
    stop = asyncio.Event()
    alone = await stage.worker(max_in_flight=1)
    first = await stage.job(worker, scheduled_for=stage.clock.now() - timedelta(days=1))
    second = await stage.job(worker)
    stage.stuck(first)
    ticking = asyncio.create_task(alone.tick(stop=stop))
    await stage.until_called(Call.STATUS)
    stop.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        report = await ticking
    assert (report.claimed, report.in_flight) == (1, 1)
    assert (await worker.job(second)).claimed_at is None


async def test_many_are_given_back_wherever_they_are(
    stage: Stage, worker: Worker
) -> None:
    """Asking, sending, waiting: after the stop nobody owns any, and all end well."""
    jobs = [await stage.job(worker) for _ in range(12)]
    stage.fault("init", "slow", rule={"after": 4, "times": 4}, seconds=0.3)
    stage.fault("init", "processing", rule={"times": 4}, seconds=60)
    async with stage.running(worker) as stop:
        await stage.until_called(Call.INIT, 8)
        stop.set()
    back = [await worker.job(job) for job in jobs]
    assert {job.claim_token for job in back} == {None}
    assert {job.attempts for job in back} == {0}
    assert {str(job.status) for job in back} <= {"scheduled", "processing", "posted"}
    for job in jobs:
        stage.unstick(job)
    await (await stage.worker()).tick()
    done = [await worker.job(job) for job in jobs]
    assert {(str(job.status), job.attempts) for job in done} == {("posted", 0)}
    assert [len(stage.calls(Call.INIT, job)) for job in jobs] == [1] * 12
