"""Whose post it is: no job is ever sent, polled or confirmed as somebody else."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from app.domain.jobs.job import FailureReason, Job, JobStatus
from app.sandbox.recording import Call
from app.store.jobs.tables import schedule_jobs
from tests.runner.background.test_confirmer import Late, late, public
from tests.runner.stage import Stage, Worker

__all__ = ["late"]  # a fixture of the confirmer's tests

A, B = "open_A", "open_B"
POSTED = JobStatus.POSTED


@pytest.fixture
async def worker(stage: Stage) -> Worker:
    """Give a worker whose project has the first person connected."""
    worker = await stage.worker()
    await stage.connect(worker, "proj_1", A)
    return worker


async def reconnected(stage: Stage, worker: Worker, person: str) -> None:
    """Connect somebody as people do who come back with another login."""
    await stage.connect(worker, "proj_1", person)


def tokens(stage: Stage, call: Call) -> set[str]:
    """Return whose token each call of a kind was made with."""
    return {record.open_id or "" for record in stage.calls(call)}


async def test_a_job_is_not_posted_on_somebody_elses_account(
    stage: Stage, worker: Worker
) -> None:
    """It ends before any call, and says whose account is missing."""
    job = await stage.job(worker)
    assert job.open_id == A
    await reconnected(stage, worker, B)
    await worker.tick()
    ended = await worker.job(job)
    assert ended.failure_reason is FailureReason.AUTH
    assert ended.last_error is not None
    assert ended.last_error.code == "account_changed"
    assert not ended.in_flight
    assert list(stage.tiktok.sandbox.calls.find()) == []


async def test_the_first_person_may_come_back(stage: Stage, worker: Worker) -> None:
    """Then the job goes out on the account that it was made for."""
    job = await stage.job(worker)
    await reconnected(stage, worker, B)
    await worker.tick()
    await reconnected(stage, worker, A)
    await worker.container.jobs.retry(job.id, now=stage.clock.now())
    await worker.tick()
    assert (await worker.job(job)).status is JobStatus.POSTED
    assert tokens(stage, Call.INIT) == {A}


async def test_a_publish_stays_its_persons(stage: Stage, worker: Worker) -> None:
    """It is not polled with another token, and stays open until they come back."""
    job = await stage.job(worker)
    stage.stuck(job)
    await worker.hasty.tick()
    assert (await worker.job(job)).in_flight
    await reconnected(stage, worker, B)
    stage.clock.go_to((await worker.job(job)).next_attempt_at)
    await worker.tick()
    ended = await worker.job(job)
    assert (ended.failure_reason, ended.in_flight) == (FailureReason.AUTH, True)
    assert tokens(stage, Call.STATUS) == {A}
    stage.unstick(job)
    await reconnected(stage, worker, A)
    await worker.container.jobs.retry(job.id, now=stage.clock.now())
    await worker.tick()
    assert (await worker.job(job)).status is JobStatus.POSTED
    assert len(stage.calls(Call.INIT)) == 1
    assert tokens(stage, Call.STATUS) == {A}


async def test_another_persons_video_confirms_nothing(late: Late) -> None:
    """B has a video of the same caption, newer than A's lost init: it is B's own."""
    job = await late.unconfirmed(taken=False, post=public("Spring"))
    await late.stage.connect(late.worker, "proj_1", B)
    accounts = late.worker.container.accounts
    account = await accounts.get("proj_1", "tiktok")
    assert account.open_id == B
    twin = await late.stage.job(late.worker, post=public("Spring"))
    await late.worker.tick()
    assert (await late.worker.job(twin)).status is JobStatus.POSTED
    asked = len(late.stage.calls(Call.VIDEO_LIST))
    ended = await late.looked(job)
    assert ended.failure_reason is FailureReason.UNCONFIRMED
    assert (ended.post_id, ended.post_url) == (None, None)
    assert len(late.stage.calls(Call.VIDEO_LIST)) == asked


async def test_the_first_who_connects_owns_what_was_nobodys(stage: Stage) -> None:
    """Jobs made before anybody was connected are not the second person's."""
    worker = await stage.worker()
    job = await stage.job(worker)
    assert job.open_id is None
    await stage.connect(worker, "proj_1", A)
    assert (await worker.job(job)).open_id == A
    await stage.connect(worker, "proj_1", B)
    await worker.tick()
    ended = await worker.job(job)
    assert (ended.open_id, ended.failure_reason) == (A, FailureReason.AUTH)


async def test_what_a_former_version_stored_is_the_present_persons(
    stage: Stage, worker: Worker
) -> None:
    """Its row names nobody: whoever is connected then, not whoever comes next."""
    job = await unbound(stage, worker)
    await reconnected(stage, worker, B)
    assert (await worker.job(job)).open_id == A
    other = await unbound(stage, worker)
    await worker.tick()
    assert (await worker.job(other)).open_id == B


async def unbound(stage: Stage, worker: Worker) -> Job:
    """Store a job as a version does that knows no owners."""
    job = await stage.job(worker)
    async with worker.container.database.write() as connection:
        await connection.execute(
            update(schedule_jobs)
            .where(schedule_jobs.c.id == job.id)
            .values(open_id=None)
        )
    return job


async def test_jobs_move_only_because_somebody_says_so(
    stage: Stage, worker: Worker
) -> None:
    """Waiting and failed jobs move; those that TikTok may have keep their owner."""
    waiting = await stage.job(
        worker, scheduled_for=stage.clock.now() + timedelta(days=1)
    )
    held = await stage.job(worker)
    stage.stuck(held)
    await worker.hasty.tick()
    await reconnected(stage, worker, B)
    shown = (await worker.job(waiting)).readiness
    assert shown is not None
    assert [problem.code for problem in shown.problems] == ["account_changed"]
    result = await worker.container.accounts.rebind_jobs(
        "proj_1", "tiktok", now=stage.clock.now(), by=None
    )
    assert result == (1, 1)
    assert (await worker.job(held)).open_id == A
    moved = await worker.job(waiting)
    assert (moved.open_id, moved.readiness) == (B, None)


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize("step", ["stamp_init", "save_publish_id", "apply"])
async def test_a_reconnect_in_the_middle_of_an_attempt(
    stage: Stage, worker: Worker, step: str, refused: bool
) -> None:
    """It may finish with the token it holds; nothing is sent with another one."""
    worker = await stage.worker()  # that polls for a minute
    job = await stage.job(worker)
    if refused:
        rule = {"times": 1}
        stage.fault("status", "error", rule=rule, code="access_token_invalid")

    async def swap() -> None:
        worker.claims.before.clear()
        await reconnected(stage, worker, B)

    worker.claims.before[step] = swap
    await worker.tick()
    ended = await worker.job(job)
    assert ended.open_id == A
    assert tokens(stage, Call.INIT) == {A}
    assert tokens(stage, Call.STATUS) <= {A}
    assert ended.status is (JobStatus.FAILED if refused and step != "apply" else POSTED)
