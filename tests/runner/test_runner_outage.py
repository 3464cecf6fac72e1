"""The database goes away, or our own code breaks: no job is lost, none is doubled."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from app.domain.errors import StoreUnavailable
from app.domain.jobs.job import FailureReason, WaitingFor
from app.sandbox.recording import Call
from app.store.db.migrate import upgrade
from tests.runner.stage import Stage, Worker, of, staged
from tests.support.patience import PATIENCE_SECONDS
from tests.support.postgres import PostgresServer

WRITES = ["stamp_init", "save_publish_id", "apply"]


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_is_repeated_until_the_database_is_back(
    stage: Stage, worker: Worker, write: str
) -> None:
    """An attempt waits where it is, and goes on."""
    job = await stage.job(worker)
    worker.claims.away[write] = 3
    await worker.tick()
    assert worker.claims.done.count(f"{write} failed") == 3
    done = await worker.job(job)
    assert (done.status, done.attempts) == ("posted", 0)
    assert len(stage.calls(Call.INIT)) == 1
    assert len(await worker.ledger(job)) == 1


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_whose_answer_was_lost_is_written_once(
    stage: Stage, worker: Worker, write: str
) -> None:
    """The commit went through and the connection broke: repeating it does no harm."""
    job = await stage.job(worker)
    worker.claims.mute[write] = 2
    await worker.tick()
    done = await worker.job(job)
    assert (done.status, done.attempts, done.claim_token) == ("posted", 0, None)
    assert len(stage.calls(Call.INIT)) == 1
    assert len(await worker.ledger(job)) == 1


async def test_a_row_says_when_it_was_written(stage: Stage, worker: Worker) -> None:
    """Not when that began: who watches for changes looks back only so far."""
    job = await stage.job(worker)

    async def time_passes() -> None:
        stage.clock.go_on(timedelta(seconds=50))

    worker.claims.away["apply"] = 1
    worker.claims.before["apply"] = time_passes
    await worker.tick(budget=400)
    done = await worker.job(job)
    assert done.posted_at is not None
    assert done.updated_at - done.posted_at >= timedelta(seconds=50)


async def test_an_init_is_cleared_through_an_outage(
    stage: Stage, worker: Worker
) -> None:
    """A refused token, no database and a lost answer, in one init."""
    job = await stage.job(worker)
    stage.fault("init", "token_death")
    worker.claims.away["clear_init"] = 2
    worker.claims.mute["clear_init"] = 1
    await worker.tick()
    assert (await worker.job(job)).status == "posted"
    assert [init.taken for init in stage.calls(Call.INIT)] == [False, True]


async def test_nothing_is_sent_when_the_lease_ended_in_an_outage(
    stage: Stage, worker: Worker
) -> None:
    """Who could not write until the lease was over sends nothing any more."""
    job = await stage.job(worker)
    worker.claims.away["stamp_init"] = 10**6

    async def lease_ends() -> None:
        if worker.claims.done.count("stamp_init failed") == 2:
            stage.clock.go_on(timedelta(seconds=301))

    worker.claims.before["stamp_init"] = lease_ends
    await worker.tick(budget=400)
    assert not stage.calls(Call.INIT)
    other = await stage.worker()
    report = await other.tick()
    assert (report.reclaimed, report.posted) == (1, 1)
    assert (await worker.job(job)).attempts == 1


async def test_the_runner_outlives_an_outage(stage: Stage, worker: Worker) -> None:
    """It asks again by itself until the database answers."""
    worker.claims.away.update({"claim_due": 2, "next_due": 1})
    async with stage.running(worker):
        await stage.signals.until(lambda: "next_due" in worker.claims.done)
        job = await stage.job(worker)
        await stage.signals.until(lambda: "apply" in worker.claims.done)
    assert (await worker.job(job)).status == "posted"


async def test_the_runner_outlives_its_own_mistakes(
    stage: Stage, worker: Worker
) -> None:
    """A claim that breaks is logged and made again."""
    mistakes = [ZeroDivisionError(), KeyError("a column")]

    async def stumble() -> None:
        if mistakes:
            raise mistakes.pop()

    worker.claims.before["claim_due"] = stumble
    job = await stage.job(worker)
    async with stage.running(worker):
        await stage.signals.until(lambda: "apply" in worker.claims.done)
    assert (await worker.job(job)).status == "posted"


@pytest.mark.parametrize("from_write", ["save_publish_id", "apply"])
async def test_an_outage_in_the_middle_does_not_prolong_a_tick(
    stage: Stage, worker: Worker, from_write: str
) -> None:
    """The tick ends in time even if it can neither claim nor write down any more."""
    lease = 10 * PATIENCE_SECONDS
    worker = await stage.worker(claim_timeout_seconds=lease)
    slow, quick = await stage.job(worker), await stage.job(worker)
    stage.stuck(slow)

    def outage() -> None:
        if worker.claims.done.count("save_publish_id") >= 1:
            worker.claims.away.update(dict.fromkeys([*WRITES, "claim_due"], 10**6))

    worker.claims.after[from_write] = outage
    async with asyncio.timeout(PATIENCE_SECONDS):
        with suppress(StoreUnavailable):
            await worker.tick(budget=10)
    stage.tiktok.sandbox.script.clear()  # its init may not have left yet
    stage.unstick(slow)
    stage.clock.go_on(timedelta(seconds=lease + 1))
    await (await stage.worker()).tick()
    for job in (slow, quick):
        assert (await worker.job(job)).status == "posted"
        assert len(stage.calls(Call.INIT, job)) == 1


async def test_an_outage_that_outlasts_a_lease_loses_no_id(
    stage: Stage, worker: Worker
) -> None:
    """While nobody else could take the job over, TikTok's id is still worth writing."""
    job = await stage.job(worker)
    worker.claims.away["save_publish_id"] = 3

    async def lease_ends() -> None:
        if "save_publish_id failed" in worker.claims.done:
            stage.clock.go_to(job.created_at + timedelta(seconds=301))

    worker.claims.before["save_publish_id"] = lease_ends
    await worker.tick(budget=400)
    kept = await worker.job(job)
    (init,) = stage.calls(Call.INIT)
    assert (kept.publish_id, kept.attempts) == (init.publish_id, 0)
    stage.clock.go_to(kept.next_attempt_at)
    assert (await worker.tick()).posted == 1
    assert len(stage.calls(Call.INIT)) == 1


@pytest.mark.parametrize(
    "lacking", [MemoryError(), RuntimeError("can't start new thread")], ids=repr
)
@pytest.mark.parametrize("step", ["creator_info", "status"])
async def test_what_we_lack_costs_no_attempt(
    stage: Stage, worker: Worker, step: str, lacking: Exception
) -> None:
    """The job is put off and tried again within ten seconds."""

    async def stumble() -> None:
        raise lacking

    short = await stage.worker()
    short.tiktok.before[step] = stumble
    job = await stage.job(worker)
    await short.tick()
    after = await worker.job(job)
    assert (after.attempts, after.claim_token) == (0, None)
    assert after.waiting_for is WaitingFor.RESOURCES
    assert after.next_attempt_at is not None
    assert after.next_attempt_at - stage.clock.now() < timedelta(seconds=10)
    assert len(await worker.ledger(job)) == 0
    stage.clock.go_to(after.next_attempt_at)
    assert (await worker.tick()).posted == 1
    assert len(stage.calls(Call.INIT)) == 1


async def test_a_doubt_stays_one_whatever_we_lack(stage: Stage, worker: Worker) -> None:
    """After the stamp nobody knows what was sent."""

    async def stumble() -> None:
        raise MemoryError

    short = await stage.worker()
    short.tiktok.before["init"] = stumble
    job = await stage.job(worker)
    await short.tick()
    assert (await worker.job(job)).failure_reason is FailureReason.UNCONFIRMED


@pytest.mark.parametrize(
    ("mistake", "ends", "reason", "in_flight"),
    [
        ("creator_info", "retrying", None, False),
        ("init", "failed", "unconfirmed", True),
        ("status", "retrying", None, True),
    ],
)
async def test_a_bug_ends_an_attempt_and_is_no_stuck_job(
    stage: Stage,
    worker: Worker,
    mistake: str,
    ends: str,
    reason: str | None,
    in_flight: bool,
) -> None:
    """A bug around an init leaves a doubt, since the init may have been sent."""

    async def stumble() -> None:
        raise RuntimeError("a bug")

    broken = await stage.worker()
    broken.tiktok.before[mistake] = stumble
    job = await stage.job(worker)
    await broken.tick()
    after = await worker.job(job)
    assert (after.status, after.failure_reason) == (ends, reason)
    assert (after.attempts, after.in_flight, after.claim_token) == (1, in_flight, None)
    assert len(await worker.ledger(job)) == 1
    if ends == "retrying":
        stage.clock.go_to(after.next_attempt_at)
        assert (await worker.tick()).posted == 1
        assert len(stage.calls(Call.INIT)) == 1


async def test_a_database_server_that_restarts_in_the_middle(
    postgres_server: PostgresServer,
) -> None:
    """Jobs asked, sent and polled while it was away are posted, each once."""
    await asyncio.to_thread(upgrade, postgres_server.url)
    async with staged(postgres_server.url) as stage:
        worker = await stage.worker()
        await stage.connect(worker, "proj_1")
        jobs = [await stage.job(worker) for _ in range(6)]
        for job in jobs[:3]:
            stage.fault("init", "processing", rule=of(job), seconds=1)
        stage.fault("init", "slow", rule={"after": 3, "times": 3}, seconds=0.5)
        async with stage.running(worker):
            await stage.until_called(Call.INIT, 6)
            await asyncio.to_thread(postgres_server.stop_immediate)
            await asyncio.to_thread(postgres_server.start)
            applied = worker.claims.done.count
            await stage.signals.until(lambda: applied("apply") >= len(jobs))
        done = [await worker.job(job) for job in jobs]
        assert {(str(job.status), job.attempts) for job in done} == {("posted", 0)}
        assert [len(stage.calls(Call.INIT, job)) for job in jobs] == [1] * 6
