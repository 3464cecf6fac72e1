"""An upload that TikTok reports FAILED before its last chunk."""

from datetime import datetime
from typing import Final

import pytest

from app.domain.jobs.job import Job, JobStatus
from app.sandbox.lifecycle import fail
from app.sandbox.recording import Call
from app.store.jobs.uploads import UploadStore
from tests.runner.stage import Stage, Worker
from tests.runner.test_runner_push import CHUNK, published, push, pusher

REASONS: Final = [
    ("spam_risk", JobStatus.FAILED),
    ("spam_risk_of_a_new_kind", JobStatus.FAILED),
    ("spam_risk_too_many_posts", JobStatus.RETRYING),
    ("reached_active_user_cap", JobStatus.RETRYING),
    ("privacy_level_option_mismatch", JobStatus.FAILED),
    ("duration_check_failed", JobStatus.FAILED),
    ("frame_rate_check_failed", JobStatus.FAILED),
    ("picture_size_check_failed", JobStatus.FAILED),
    ("internal", JobStatus.RETRYING),
]


@pytest.fixture
async def worker(stage: Stage) -> Worker:
    """Give a process that uploads in small chunks, with a connected account."""
    worker = await pusher(stage)
    await stage.connect(worker, "proj_1")
    return worker


async def failed_at_hand_over(stage: Stage, worker: Worker, reason: str) -> Job:
    """Let TikTok fail an upload that waits for its next worker, and run that one."""
    job = await push(stage, worker)
    stage.fault("upload", "hang", rule={"match": {"chunk": 2}, "times": 1})
    await stage.ticked(worker, lambda: len(stage.calls(Call.UPLOAD)) == 3)
    (post,) = stage.tiktok.sandbox.posts
    fail(stage.tiktok.sandbox, post, reason)
    await worker.tick()
    return await worker.job(job)


async def check(
    stage: Stage, worker: Worker, ended: Job, reason: str, status: JobStatus
) -> None:
    """Check that the reason's class decided, and that a retry begins anew."""
    assert ended.last_error is not None
    assert (ended.last_error.code, ended.status) == (reason, status)
    assert ended.attempts == 1
    assert not ended.in_flight
    assert len(stage.calls(Call.INIT)) == 1
    if status is JobStatus.RETRYING:
        stage.clock.go_to(ended.next_attempt_at)
        await worker.tick()
        done = await worker.job(ended)
        assert (done.status, done.attempts) == (JobStatus.POSTED, 1)
        assert len(stage.calls(Call.INIT)) == 2


@pytest.mark.parametrize(("reason", "status"), REASONS)
async def test_a_known_reason_ends_the_attempt_by_its_class(
    stage: Stage, worker: Worker, reason: str, status: JobStatus
) -> None:
    """A new upload at once would not mend it, and could harm the account."""
    ended = await failed_at_hand_over(stage, worker, reason)
    await check(stage, worker, ended, reason, status)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("spam_risk", JobStatus.FAILED),
        ("spam_risk_too_many_posts", JobStatus.RETRYING),
    ],
)
async def test_a_known_reason_counts_too_if_the_upload_host_only_says_403(
    stage: Stage,
    worker: Worker,
    reason: str,
    status: JobStatus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The host refuses the next chunk; only a status call tells why."""
    note = UploadStore.note

    async def failing(
        store: UploadStore, job: Job, *, uploaded: int, now: datetime
    ) -> Job | None:
        posts = list(stage.tiktok.sandbox.posts)
        if uploaded == 2 * CHUNK and len(posts) == 1:
            fail(stage.tiktok.sandbox, posts[0], reason)
        return await note(store, job, uploaded=uploaded, now=now)

    monkeypatch.setattr(UploadStore, "note", failing)
    job = await push(stage, worker)
    await worker.tick()
    await check(stage, worker, await worker.job(job), reason, status)


async def test_an_unknown_reason_only_costs_another_upload(
    stage: Stage, worker: Worker
) -> None:
    """It may mean no more than that the upload was not ended in time."""
    done = await failed_at_hand_over(stage, worker, "some_new_reason")
    assert (done.status, done.attempts) == (JobStatus.POSTED, 0)
    assert len(stage.calls(Call.INIT)) == 2
    assert len(published(stage)) == 1
