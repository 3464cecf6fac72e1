"""One tick: claim what is due, run it side by side, hand on what is not done."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from app.domain.errors import StoreUnavailable
from app.domain.jobs.job import JobStatus
from app.runner.tick_report import TickReport
from app.sandbox.recording import Call
from tests.runner.stage import Stage, Worker, of
from tests.support.factories import abandoned, store_row
from tests.support.patience import PATIENCE_SECONDS


@pytest.mark.parametrize("drive", ["tick", "run"])
async def test_a_tick_and_the_runner_go_one_way(
    stage: Stage, worker: Worker, drive: str
) -> None:
    """With every runner, a job takes the same steps and leaves the same record."""
    job = await stage.job(worker)
    if drive == "tick":
        await worker.tick()
    else:
        async with stage.running(worker):
            await stage.signals.until(lambda: "apply" in worker.claims.done)
    done = await worker.job(job)
    assert (done.status, done.attempts, done.claim_token) == ("posted", 0, None)
    assert done.post_url
    assert [(it.outcome, it.number) for it in await worker.ledger(job)] == [
        ("published", 1)
    ]
    steps = ["stamp_init", "save_publish_id", "apply"]
    assert [name for name in worker.claims.done if name in steps] == steps
    assert len(stage.calls(Call.CREATOR_INFO)) == len(stage.calls(Call.INIT)) == 1


async def test_the_report_counts_what_became_of_each(
    stage: Stage, worker: Worker
) -> None:
    """Every claimed job is in one number; a reclaimed one in its end's, too."""
    posted, retrying, failed, stuck = [await stage.job(worker) for _ in range(4)]
    later = await stage.job(
        worker, scheduled_for=stage.clock.now() + timedelta(hours=1)
    )
    await left_behind(stage, worker)
    await left_behind(stage, worker, attempts=4)
    stage.fault("init", "error", rule=of(retrying), code="internal_error")
    stage.fault("init", "error", rule=of(failed), code="url_ownership_unverified")
    stage.stuck(stuck)
    report = await stage.ticked(
        worker,
        lambda: worker.claims.done.count("apply") == 4 and stage.calls(Call.STATUS),
    )
    assert report == TickReport(
        claimed=6,
        posted=2,
        retrying=1,
        failed=2,
        in_flight=1,
        reclaimed=2,
        duration_ms=report.duration_ms,
    )
    statuses = [
        (await worker.job(job)).status
        for job in (posted, retrying, failed, stuck, later)
    ]
    assert statuses == ["posted", "retrying", "failed", "processing", "scheduled"]


async def left_behind(stage: Stage, worker: Worker, **columns: object) -> None:
    """Store a job whose worker died before it sent anything."""
    now = stage.clock.now()
    row = abandoned(
        claimed_at=now - timedelta(seconds=300),
        attempt_started_at=now - timedelta(seconds=300),
        next_attempt_at=now - timedelta(seconds=1),
        **columns,
    )
    await store_row(worker.container.database, row)


async def test_what_a_tick_has_no_time_for_the_next_goes_on_with(
    stage: Stage, worker: Worker
) -> None:
    """Waiting for TikTok across ticks costs no attempt and sends no second init."""
    job = await stage.job(worker)
    stage.stuck(job)
    report = await stage.ticked(worker, lambda: stage.calls(Call.STATUS))
    assert (report.in_flight, report.retrying) == (1, 0)
    waiting = await worker.job(job)
    assert (waiting.status, waiting.attempts) == ("processing", 0)
    assert waiting.claim_token is None
    assert waiting.publish_id
    assert await worker.ledger(job) == ()
    stage.unstick(job)
    report = await (await stage.worker()).tick()
    assert (report.claimed, report.posted, report.reclaimed) == (1, 1, 0)
    done = await worker.job(job)
    assert (done.status, done.attempts) == ("posted", 0)
    (entry,) = await worker.ledger(job)
    assert entry.started_at == waiting.attempt_started_at
    assert len(stage.calls(Call.INIT)) == 1


async def test_ticks_far_apart_use_no_attempts_up_sooner(
    stage: Stage, worker: Worker
) -> None:
    """An attempt lasts its deadline and the next one waits its turn, as in any tick."""
    job = await stage.job(worker)
    stage.stuck(job)
    for _ in range(2):
        await stage.ticked(worker, _asked_again(stage))
        stage.clock.go_on(timedelta(minutes=5))
        await worker.tick()
        stage.clock.go_on(timedelta(minutes=5))
    first, second = await worker.ledger(job)
    for entry in (first, second):
        assert entry.error_code == "poll_deadline"
        assert entry.finished_at - entry.started_at >= timedelta(minutes=5)
    assert second.started_at - first.finished_at >= timedelta(minutes=5)
    assert (await worker.job(job)).attempts == 2
    assert len(stage.calls(Call.INIT)) == 1


def _asked_again(stage: Stage) -> Callable[[], bool]:
    asked = len(stage.calls(Call.STATUS))
    return lambda: len(stage.calls(Call.STATUS)) > asked


@pytest.mark.parametrize("hangs", ["creator_info", "init", "status"])
async def test_a_tick_ends_in_time_whatever_hangs(
    stage: Stage, worker: Worker, hangs: str
) -> None:
    """Its budget is kept even while TikTok answers nothing."""
    patient = await stage.worker(http_timeout_seconds=10 * PATIENCE_SECONDS)
    await stage.job(worker)
    stage.fault(hangs, "hang", rule={"times": None})
    async with asyncio.timeout(PATIENCE_SECONDS):  # far from the call's own time-out
        report = await patient.tick(budget=1.5)
        while not report.claimed:  # a busy machine had no time left to claim it
            report = await patient.tick(budget=15)
    assert report.claimed == 1


async def test_free_slots_are_refilled_while_a_slow_post_is_in_flight(
    stage: Stage, worker: Worker
) -> None:
    """One that TikTok is not done with holds up one slot, not the batch."""
    small = await stage.worker(max_in_flight=2)
    slow = await stage.job(worker, scheduled_for=stage.clock.now() - timedelta(hours=1))
    stage.stuck(slow)
    for _ in range(6):
        await stage.job(worker)
    report = await stage.ticked(small, lambda: small.claims.done.count("apply") == 6)
    assert (report.claimed, report.posted, report.in_flight) == (7, 6, 1)
    assert small.claims.most_running == 2


async def test_a_tick_claims_batch_after_batch(stage: Stage, worker: Worker) -> None:
    """A batch is the size of a claim, not of a tick, and waits for no other batch."""
    by_twos = await stage.worker(claim_batch_size=2)
    early = stage.clock.now() - timedelta(hours=1)
    for _ in range(2):
        stage.stuck(await stage.job(worker, scheduled_for=early))
    for _ in range(5):
        await stage.job(worker)
    report = await stage.ticked(
        by_twos, lambda: by_twos.claims.done.count("apply") == 5
    )
    assert (report.posted, report.in_flight) == (5, 2)


async def test_ticks_that_overlap_share_the_jobs(stage: Stage, worker: Worker) -> None:
    """Each job is claimed by one of them and sent once."""
    jobs = [await stage.job(worker) for _ in range(15)]
    others = [await stage.worker(claim_batch_size=4) for _ in range(3)]
    reports = await asyncio.gather(*(other.tick() for other in others))
    assert sum(report.claimed for report in reports) == 15
    assert sum(report.posted for report in reports) == 15
    assert [len(stage.calls(Call.INIT, job)) for job in jobs] == [1] * 15
    assert {len(await worker.ledger(job)) for job in jobs} == {1}


async def test_what_a_tick_puts_off_is_for_the_next(
    stage: Stage, worker: Worker
) -> None:
    """Even a retry without a wait does not run twice in one tick."""
    eager = await stage.worker(backoff_seconds="0")
    job = await stage.job(worker)
    await stage.job(worker)
    stage.fault(
        *("init", "error"),
        rule={**of(job), "times": None},
        code="internal_error",
    )
    report = await eager.tick()
    assert (report.claimed, report.posted, report.retrying) == (2, 1, 1)
    assert (await worker.job(job)).attempts == 1


async def test_a_tick_without_jobs_is_over_at_once(
    stage: Stage, worker: Worker
) -> None:
    """With nothing due, a tick waits for nothing."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        report = await worker.tick(budget=10 * PATIENCE_SECONDS)
    assert (report.claimed, report.in_flight) == (0, 0)


async def test_a_tick_without_a_database_says_so(worker: Worker) -> None:
    """The caller of the tick has to know that nothing ran."""
    worker.claims.away["claim_due"] = 1
    with pytest.raises(StoreUnavailable):
        await worker.tick()


async def test_due_jobs_run_in_the_order_of_their_times(
    stage: Stage, worker: Worker
) -> None:
    """The job that is due the longest goes first."""
    alone = await stage.worker(max_in_flight=1)
    ages = [3, 9, 6]
    jobs = [
        await stage.job(
            worker, scheduled_for=stage.clock.now() - timedelta(minutes=age)
        )
        for age in ages
    ]
    await alone.tick()
    sent = [record.title for record in stage.calls(Call.INIT)]
    assert sent == [jobs[i].asset_id for i in (1, 2, 0)]
    assert (await worker.job(jobs[0])).status is JobStatus.POSTED


async def test_one_question_serves_all_who_wait_for_its_answer(
    stage: Stage, worker: Worker
) -> None:
    """If TikTok hangs, an account's jobs do not wait for it one after another."""
    hasty = await stage.worker(http_timeout_seconds=0.5)
    jobs = [await stage.job(worker) for _ in range(8)]
    stage.fault("creator_info", "hang", rule={"times": None})
    report = await hasty.tick()
    assert (report.claimed, report.retrying) == (8, 8)
    assert len(stage.calls(Call.CREATOR_INFO)) < len(jobs)
