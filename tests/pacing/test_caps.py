"""TikTok's daily caps and refusals: who rests, for how long, and what it costs."""

from datetime import timedelta

import pytest

from app.domain.jobs.job import Job, WaitingFor
from app.pacing.pacer import APP_REST_SEEN
from app.sandbox.recording import Call
from app.service.jobs.notices import notice
from tests.runner.stage import Stage, Worker, of

TOO_MANY = "spam_risk_too_many_posts"
APP_CAP = "reached_active_user_cap"


@pytest.fixture
async def worker(stage: Stage) -> Worker:
    """Give one process, with two connected accounts."""
    worker = await stage.worker()
    await stage.connect(worker, "proj_1")
    await stage.connect(worker, "proj_2")
    return worker


async def refused(stage: Stage, worker: Worker, code: str) -> Job:
    """Let one job's init be refused, and give the job as it is then."""
    job = await stage.job(worker)
    stage.fault("init", "error", rule=of(job), code=code)
    await worker.tick()
    return await worker.job(job)


@pytest.mark.parametrize(
    ("code", "waiting_for"),
    [(TOO_MANY, WaitingFor.ACCOUNT_CAP), ("rate_limit_exceeded", WaitingFor.QUOTA)],
)
async def test_what_one_post_was_refused_for_spares_the_next(
    stage: Stage, worker: Worker, code: str, waiting_for: WaitingFor
) -> None:
    """The account rests until the refused job's own retry; other accounts go on."""
    first = await refused(stage, worker, code)
    assert (first.status, first.attempts) == ("retrying", 1)
    same, other = await stage.job(worker), await stage.job(worker, project_id="proj_2")
    await worker.tick()
    same = await worker.job(same)
    assert (await worker.job(other)).status == "posted"
    assert (same.status, same.attempts, same.last_error) == ("scheduled", 0, None)
    assert same.waiting_for is waiting_for
    assert same.next_attempt_at == first.next_attempt_at
    assert not stage.calls(Call.INIT, same)
    assert await worker.ledger(same) == ()
    told = notice(same, run_by_cron=False, now=stage.clock.now())
    assert told is not None
    assert "automatically" in told.text
    stage.clock.go_to(same.next_attempt_at)
    await worker.tick()
    assert [(await worker.job(job)).status for job in (first, same)] == ["posted"] * 2


async def test_the_apps_cap_holds_back_every_account_of_every_worker(
    stage: Stage, worker: Worker
) -> None:
    """A worker that knows of it holds back at once, the others within five seconds."""
    other = await stage.worker()
    seen = await stage.job(other)
    await other.tick()
    assert (await other.job(seen)).status == "posted"
    first = await refused(stage, worker, APP_CAP)
    stage.clock.go_on(APP_REST_SEEN)
    for each in (worker, other):
        job = await stage.job(each, project_id="proj_2")
        await each.tick()
        job = await each.job(job)
        assert (job.status, job.attempts) == ("scheduled", 0)
        assert job.waiting_for is WaitingFor.APP_CAP
        assert job.next_attempt_at == first.next_attempt_at
        assert not stage.calls(Call.INIT, job)


async def test_what_tiktok_has_is_followed_while_the_account_rests(
    stage: Stage, worker: Worker
) -> None:
    """A cap is about new posts: what is done is called posted, not an hour later."""
    other = await stage.worker()
    followed = await stage.job(worker)
    stage.stuck(followed)
    async with stage.running(worker):
        await stage.until_called(Call.STATUS)
        await refused(stage, other, TOO_MANY)
        # As if the worker had to ask for every permit, as one that took over has to.
        worker.runner._deps.pacer._account_quotas.clear()
        polls = len(stage.calls(Call.STATUS))
        await stage.until_called(Call.STATUS, polls + 3)
        stage.unstick(followed)
        await stage.signals.until(lambda: "apply" in worker.claims.done)
    assert (await worker.job(followed)).status == "posted"


async def test_a_spent_job_leaves_the_account_resting_no_longer_than_a_step(
    stage: Stage, worker: Worker
) -> None:
    """A failed post must not hold up the account's next one for an hour."""
    job = await stage.job(worker, max_attempts=1)
    stage.fault("init", "error", rule=of(job), code=TOO_MANY)
    await worker.tick()
    assert (await worker.job(job)).failure_reason == "max_attempts"
    following = await stage.job(worker)
    await worker.tick()
    due = (await worker.job(following)).next_attempt_at
    assert due is not None
    assert due - stage.clock.now() <= timedelta(seconds=33)


async def test_a_cap_that_passes_in_time_still_posts(
    stage: Stage, worker: Worker
) -> None:
    """A post whose cap is lifted in time still goes out."""
    job = await stage.job(worker, max_attempts=5)
    stage.fault("init", "error", rule={"times": 3, **of(job)}, code=TOO_MANY)
    now = await lived(stage, worker, job)
    assert (now.status, now.attempts) == ("posted", 3)


async def lived(stage: Stage, worker: Worker, job: Job) -> Job:
    """Tick whenever the job is due, until it is over."""
    while (due := (job := await worker.job(job)).next_attempt_at) is not None:
        stage.clock.go_to(due)
        await worker.tick()
    return job
