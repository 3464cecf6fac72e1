"""Until when a job may go out, and what a daily cap means for it."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.jobs.history import HistoryKind
from app.domain.jobs.hold import Hold
from app.domain.jobs.job import FailureReason, Job, JobStatus, WaitingFor
from app.sandbox.recording import Call
from tests.runner.stage import Stage, Worker

CAP: dict[str, Any] = {"code": "spam_risk_too_many_posts", "http_status": 403}


@pytest.fixture
async def worker(stage: Stage) -> Worker:
    """Give a worker with a connected project."""
    worker = await stage.worker()
    await stage.connect(worker, "proj_1")
    return worker


async def until(stage: Stage, worker: Worker, **span: float) -> Job:
    """Add a job that is due and may go out for a while yet."""
    last = stage.clock.now() + timedelta(**span)
    return await stage.job(worker, publish_by=last)


async def test_yesterdays_offer_is_not_posted(stage: Stage, worker: Worker) -> None:
    """After a day of outage it ends, and TikTok never hears of it."""
    job = await until(stage, worker, hours=6)
    stage.clock.go_on(timedelta(days=1))
    report = await worker.tick()
    ended = await worker.job(job)
    assert (ended.failure_reason, ended.attempts) == (FailureReason.MISSED, 0)
    assert report.failed == 1
    assert list(stage.tiktok.sandbox.calls.find()) == []
    assert [entry.outcome for entry in await worker.ledger(job)] == ["missed"]


async def test_in_time_it_is_posted(stage: Stage, worker: Worker) -> None:
    """A last moment changes nothing for what is in time."""
    job = await until(stage, worker, hours=6)
    await worker.tick()
    assert (await worker.job(job)).status is JobStatus.POSTED


@pytest.mark.parametrize("step", ["stamp_init", "save_publish_id"])
async def test_the_last_moment_may_come_in_the_middle(
    stage: Stage, worker: Worker, step: str
) -> None:
    """Before the init is sent nothing is; what was sent is followed however late."""
    job = await until(stage, worker, hours=6)

    async def dawdle() -> None:
        worker.claims.before.clear()
        stage.clock.go_on(timedelta(hours=7))

    worker.claims.before[step] = dawdle
    await worker.tick(budget=100_000)
    stage.clock.go_on(timedelta(minutes=10))
    await worker.tick()
    sent = len(stage.calls(Call.INIT))
    ended = await worker.job(job)
    if step == "stamp_init":
        assert (sent, ended.status is JobStatus.POSTED) == (0, False)
    else:
        assert (sent, ended.status) == (1, JobStatus.POSTED)


@pytest.mark.parametrize(
    ("call", "kind", "how"),
    [
        ("creator_info", "error", CAP),
        ("init", "error", CAP),
        ("init", "error", CAP | {"code": "reached_active_user_cap"}),
        ("init", "processing", {"fail_reason": "spam_risk_too_many_posts"}),
    ],
)
async def test_a_cap_puts_off_what_has_a_last_moment(
    stage: Stage, worker: Worker, call: str, kind: str, how: dict[str, Any]
) -> None:
    """A daily cap puts it off at no attempt; it goes out once the cap is lifted."""
    job = await until(stage, worker, hours=9)
    stage.fault(call, kind, rule={"times": 3}, **how)
    for _ in range(3):
        await worker.tick(budget=100)
        waiting = await worker.job(job)
        assert (waiting.attempts, waiting.in_flight) == (0, False)
        assert waiting.status is JobStatus.SCHEDULED
        assert waiting.waiting_for in {WaitingFor.ACCOUNT_CAP, WaitingFor.APP_CAP}
        stage.clock.go_to(waiting.next_attempt_at)
    await worker.tick(budget=100)
    assert (await worker.job(job)).status is JobStatus.POSTED
    _, _, entries, _ = await worker.container.jobs.history(job.id)
    # One row for the reason, not one for each look; but each init that was refused.
    rows = 1 if call == "creator_info" else 3
    assert [entry.kind for entry in entries] == [HistoryKind.PUT_OFF] * rows


async def test_a_cap_that_lasts_too_long_lets_it_miss(
    stage: Stage, worker: Worker
) -> None:
    """At its deadline the job ends missed."""
    job = await until(stage, worker, hours=1)
    stage.fault("creator_info", "error", rule={"times": 99}, **CAP)
    await worker.tick()
    while (now := await worker.job(job)).status is not JobStatus.FAILED:
        stage.clock.go_to(now.next_attempt_at)
        await worker.tick()
    assert now.failure_reason is FailureReason.MISSED
    assert (stage.clock.now() - (job.publish_by or stage.clock.now())) < timedelta(
        minutes=1
    )


async def test_a_hold_does_not_outlast_a_last_moment(
    stage: Stage, worker: Worker
) -> None:
    """A held job ends missed at its deadline, and TikTok never hears of it."""
    job = await until(stage, worker, hours=6)
    hold = Hold(project_id=None, reason="a recall", until=None)
    await worker.container.holds.put(hold, now=stage.clock.now())
    await worker.tick()
    held = await worker.job(job)
    assert (held.status, held.next_attempt_at) == (JobStatus.SCHEDULED, job.publish_by)
    stage.clock.go_to(held.next_attempt_at)
    await worker.tick()
    assert (await worker.job(job)).failure_reason is FailureReason.MISSED
    assert list(stage.tiktok.sandbox.calls.find()) == []


async def test_without_a_last_moment_a_cap_uses_attempts(
    stage: Stage, worker: Worker
) -> None:
    """Without a deadline a cap uses attempts, up to failed(max_attempts)."""
    job = await stage.job(worker)
    stage.fault("creator_info", "error", rule={"times": 1}, **CAP)
    await worker.tick()
    assert (await worker.job(job)).attempts == 1
