"""A cancel of what TikTok has: asked there, believed once TikTok says it failed."""

from typing import Final

import pytest

from app.domain.api_key import Actor
from app.domain.errors import JobNotCancellable
from app.domain.jobs.job import FailureReason, Job, JobStatus, Transfer
from app.sandbox.recording import Call
from app.service.jobs.jobs import JobService
from app.use_cases import UseCases
from tests.runner.stage import Stage, Worker, of

BY: Final = Actor("key_1", "ann")


@pytest.fixture
async def worker(stage: Stage) -> Worker:
    """Give a worker and a connected account."""
    worker = await stage.worker()
    await stage.connect(worker, "proj_1")
    return worker


def service(worker: Worker) -> JobService:
    """Return what a person's request comes to."""
    return UseCases(worker.container).jobs


async def downloading(stage: Stage, worker: Worker) -> Job:
    """Let TikTok take a job and never end to download it."""
    job = await stage.job(worker)
    stage.fault("init", "processing", rule=of(job), downloadStuck=True)
    await worker.hasty.tick()
    taken = await worker.job(job)
    assert (taken.status, taken.in_flight) == (JobStatus.RETRYING, True)
    return taken


def fail_reason(stage: Stage, job: Job) -> str | None:
    """Say of what TikTok's post failed, None while it has not."""
    (post,) = [
        each for each in stage.tiktok.sandbox.posts if each.title == job.asset_id
    ]
    return post.fail_reason


async def test_a_pull_that_tiktok_gives_up_is_cancelled(
    stage: Stage, worker: Worker
) -> None:
    """Its init is closed, and the story says who did it; nothing is sent again."""
    job = await downloading(stage, worker)
    ended = await service(worker).cancel(job.id, scope=None, by=BY)
    assert (ended.status, ended.failure_reason) == (
        JobStatus.FAILED,
        FailureReason.CANCELLED,
    )
    assert not ended.in_flight
    assert ended.attempts == job.attempts
    assert fail_reason(stage, job) == "publish_cancelled"
    story = await service(worker).history(job.id, scope=None)
    assert ("cancelled", BY) in [(each.kind, each.by) for each in story]
    assert await service(worker).cancel(job.id, scope=None) == ended
    stage.clock.go_to(job.next_attempt_at)
    await worker.tick()
    assert len(stage.calls(Call.INIT)) == 1
    assert await worker.job(job) == ended


async def test_a_failed_job_that_is_still_there_is_cancelled_too(
    stage: Stage, worker: Worker
) -> None:
    """A failed job that TikTok still downloads can be cancelled."""
    job = await stage.job(worker, max_attempts=1)
    stage.fault("init", "processing", rule=of(job), downloadStuck=True)
    await worker.hasty.tick()
    failed = await worker.job(job)
    assert (failed.status, failed.in_flight) == (JobStatus.FAILED, True)
    ended = await service(worker).cancel(job.id, scope=None)
    assert (ended.failure_reason, ended.in_flight, ended.confirm_at) == (
        FailureReason.CANCELLED,
        False,
        None,
    )


@pytest.mark.parametrize("ignored", [False, True])
async def test_what_tiktok_does_not_give_up_is_not_cancelled(
    stage: Stage, worker: Worker, ignored: bool
) -> None:
    """Its own "ok" is no proof: what was asked too late is published all the same."""
    if ignored:
        job = await downloading(stage, worker)
        stage.fault("cancel", "cancel_ignored")
    else:
        job = await stage.job(worker)
        stage.stuck(job)
        await worker.hasty.tick()
        job = await worker.job(job)
    with pytest.raises(JobNotCancellable):
        await service(worker).cancel(job.id, scope=None)
    assert await worker.job(job) == job
    assert fail_reason(stage, job) is None


async def test_tiktok_is_asked_with_nobody_elses_token(
    stage: Stage, worker: Worker
) -> None:
    """Another person is connected: 409, and no call is made."""
    job = await downloading(stage, worker)
    await stage.connect(worker, "proj_1", "somebody else")
    with pytest.raises(JobNotCancellable):
        await service(worker).cancel(job.id, scope=None)
    assert stage.calls(Call.CANCEL) == []
    assert (await worker.job(job)).in_flight


async def test_a_worker_that_sees_the_cancel_first_changes_nothing(
    stage: Stage, worker: Worker
) -> None:
    """It polls meanwhile and ends the job: the person's answer is 200 all the same."""
    job = await stage.job(worker)
    stage.fault("init", "processing", rule=of(job), downloadStuck=True)
    polling = await stage.worker()
    async with stage.running(polling):
        await stage.until_called(Call.STATUS)
        ended = await service(worker).cancel(job.id, scope=None)
    assert (ended.status, ended.failure_reason) == (
        JobStatus.FAILED,
        FailureReason.CANCELLED,
    )
    assert (await worker.job(job)).failure_reason is FailureReason.CANCELLED


async def test_a_cancel_that_the_worker_wrote_down_already(
    stage: Stage, worker: Worker
) -> None:
    """TikTok failed it for the person's cancel, which is what the row comes to say."""
    job = await downloading(stage, worker)
    jobs = service(worker)
    canceller = jobs.canceller
    assert canceller is not None
    assert await canceller.cancel(job)
    stage.clock.go_to(job.next_attempt_at)
    await worker.tick()  # it polls, and hears of the failure
    seen = await worker.job(job)
    assert seen.last_error is not None
    assert (seen.failure_reason, seen.last_error.code) == (
        FailureReason.PERMANENT,
        "publish_cancelled",
    )
    ended = await worker.container.jobs.cancel(
        job.id, now=stage.clock.now(), cancelled_publish=job.publish_id
    )
    assert ended.failure_reason is FailureReason.CANCELLED


@pytest.mark.parametrize("accepts", [False, True])
async def test_a_retry_with_the_risk_asks_tiktok_to_give_up_first(
    stage: Stage, worker: Worker, accepts: bool
) -> None:
    """Then a new init goes out; without the risk the old publish is resumed."""
    job = await stage.job(worker, max_attempts=1)
    stage.fault("init", "processing", rule=of(job), downloadStuck=True)
    await worker.hasty.tick()
    await service(worker).retry(job.id, accept_duplicate_risk=accepts, scope=None)
    await (worker if accepts else worker.hasty).tick()
    after = await worker.job(job)
    assert len(stage.calls(Call.CANCEL)) == accepts
    assert len(stage.calls(Call.INIT)) == 1 + accepts
    assert after.status is (JobStatus.POSTED if accepts else JobStatus.FAILED)
    assert sum(
        post.published_at is not None for post in stage.tiktok.sandbox.posts
    ) == (1 if accepts else 0)


async def test_an_upload_is_not_asked_for(stage: Stage) -> None:
    """TikTok cancels pulls alone; of an upload it has every byte."""
    worker = await stage.worker(allow_private_urls=True)
    await stage.connect(worker, "proj_1")
    job = await stage.job(worker, transfer=Transfer.PUSH)
    stage.stuck(job)
    await worker.hasty.tick()
    assert (await worker.job(job)).in_flight
    with pytest.raises(JobNotCancellable):
        await service(worker).cancel(job.id, scope=None)
    assert stage.calls(Call.CANCEL) == []
