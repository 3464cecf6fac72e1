"""What people are told of an upload, what they never see of it, and how long it has."""

from datetime import timedelta

import pytest

from app.domain.jobs.edit import JobChange
from app.domain.jobs.job import Delivery, Job, JobStatus, Transfer
from app.domain.posts.post import Post, PostMode
from app.sandbox.recording import Call
from app.use_cases import UseCases
from tests.runner.stage import Stage, Worker
from tests.runner.test_runner_push import BYTES, CHUNK, CHUNKS, published, push, pusher
from tests.support.outbox import listen, told


@pytest.fixture
async def worker(stage: Stage) -> Worker:
    """Give a process that uploads in small chunks, with a connected account."""
    worker = await pusher(stage)
    await stage.connect(worker, "proj_1")
    return worker


def shown(worker: Worker, job: Job) -> int | None:
    """Return what the API tells as ``uploadedBytes``."""
    return UseCases(worker.container).show(job).uploaded_bytes


def counted(worker: Worker, name: str, **labels: str) -> float | None:
    """Read one figure of the uploads."""
    return worker.container.metrics.registry.get_sample_value(name, labels)


async def until_over(stage: Stage, worker: Worker, job: Job) -> Job:
    """Tick until the job has ended."""
    while True:
        await worker.tick()
        done = await worker.job(job)
        if done.status in {JobStatus.POSTED, JobStatus.FAILED}:
            return done
        stage.clock.go_to(done.next_attempt_at)


async def test_chunks_bytes_seconds_and_repeats_are_counted(
    stage: Stage, worker: Worker
) -> None:
    """A chunk that was sent twice is two chunks, and its bytes count once."""
    stage.fault("upload", "empty", rule={"match": {"chunk": 1}}, http_status=503)
    stage.fault("init", "reset", taken=True)
    job = await push(stage, worker)
    assert (await until_over(stage, worker, job)).status is JobStatus.POSTED
    chunks = {
        status: counted(worker, "scheduler_upload_chunks_total", status=status)
        for status in ("201", "206", "503")
    }
    assert chunks == {"201": 1, "206": CHUNKS - 1, "503": 1}
    assert counted(worker, "scheduler_uploaded_bytes_total") == BYTES
    assert counted(worker, "scheduler_upload_repeats_total") == 1
    seconds = counted(worker, "scheduler_upload_seconds_total")
    assert seconds is not None
    assert seconds > 0


async def test_what_tiktok_has_is_shown_and_never_falls(
    stage: Stage, worker: Worker
) -> None:
    """Not even where TikTok's own figure does; once posted it is the whole video."""
    seen: list[tuple[str | None, int | None]] = []
    job = await push(stage, worker)

    async def look() -> None:
        now = await worker.job(job)
        seen.append((now.publish_id, shown(worker, now)))

    worker.tiktok.before["upload"] = look
    stage.fault("upload", "upload_answer", rule={"match": {"chunk": 2}}, httpStatus=416)
    stage.fault("status", "reshape", change={"uploaded_bytes": 0})
    again = {"match": {"chunk": 0}, "after": 1}
    stage.fault("upload", "upload_answer", rule=again, httpStatus=206)
    done = await until_over(stage, worker, job)
    counts = [count for _, count in seen]
    assert {publish_id for publish_id, _ in seen} == {done.publish_id}
    assert counts == sorted(counts, key=lambda count: count or 0)
    assert counts[:3] == [0, CHUNK, 2 * CHUNK]
    assert shown(worker, done) == BYTES


async def test_a_pull_tells_nothing_of_a_former_upload(
    stage: Stage, worker: Worker
) -> None:
    """The bytes belong to a publish that is given up."""
    job = await push(stage, worker)
    stage.fault("upload", "hang", rule={"match": {"chunk": 2}})
    await stage.ticked(worker, lambda: len(stage.calls(Call.UPLOAD)) == 3)
    assert shown(worker, await worker.job(job)) == 2 * CHUNK
    change = JobChange(transfer=Transfer.PULL)
    pulled = await worker.container.jobs.edit(job.id, change, now=stage.clock.now())
    assert shown(worker, pulled) is None
    done = await until_over(stage, worker, job)
    assert done.status is JobStatus.POSTED
    assert shown(worker, done) is None


async def test_a_draft_is_uploaded_to_the_inbox(stage: Stage, worker: Worker) -> None:
    """A draft is pushed as a direct post is, and delivered, not published."""
    url = f"{stage.tiktok.url}/_sandbox/video.mp4?bytes={BYTES}&seed=7"
    draft = Post(mode=PostMode.INBOX)
    job = await stage.job(worker, asset_url=url, transfer=Transfer.PUSH, post=draft)
    await worker.tick()
    done = await worker.job(job)
    assert (done.status, done.delivery) == (JobStatus.POSTED, Delivery.INBOX)
    assert len(stage.calls(Call.UPLOAD)) == CHUNKS
    assert len(stage.calls(Call.INBOX_INIT)) == 1
    assert not published(stage)


async def test_repeats_after_a_403_count_as_well(stage: Stage, worker: Worker) -> None:
    """A URL that ends each time costs an init each time: three, then the schedule."""
    job = await push(stage, worker)
    stage.fault("upload", "upload_expired", rule={"match": {"chunk": 1}, "times": 99})
    await worker.tick()
    waiting = await worker.job(job)
    assert waiting.status is JobStatus.RETRYING
    assert waiting.last_error is not None
    assert waiting.last_error.code == "upload_url_over"
    assert len(stage.calls(Call.INIT)) == 4
    stage.clock.go_to(waiting.next_attempt_at)
    await worker.tick()
    assert len(stage.calls(Call.INIT)) == 5


async def test_the_poll_deadline_counts_from_the_last_chunks_end(stage: Stage) -> None:
    """However long the last chunk took, TikTok has the whole time after it."""
    worker = await pusher(stage, poll_deadline_seconds=90)
    await stage.connect(worker, "proj_1")
    job = await push(stage, worker)
    stage.fault("status", "reshape", change={"status": "PROCESSING_DOWNLOAD"})

    async def take_long() -> None:
        if len(stage.calls(Call.UPLOAD)) == CHUNKS:
            stage.clock.go_on(timedelta(seconds=120))

    worker.tiktok.after["upload"] = take_long
    await worker.tick()
    done = await worker.job(job)
    assert (done.status, done.attempts) == (JobStatus.POSTED, 0)
    assert len(stage.calls(Call.STATUS)) == 2


async def test_a_pull_that_goes_on_is_told_to_nobody(stage: Stage) -> None:
    """It is handed on at the deadline: no attempt, and no event of a retry."""
    worker = await stage.worker(poll_deadline_seconds=90)
    await stage.connect(worker, "proj_1")
    await listen(worker.container.database, stage.tiktok.url, now=stage.clock.now())
    job = await stage.job(worker)
    stage.stuck(job)
    for count in (1_000, 2_000):
        change = {"status": "PROCESSING_DOWNLOAD", "downloaded_bytes": count}
        stage.fault("status", "reshape", change=change)

    async def take_long() -> None:
        if len(stage.calls(Call.STATUS)) == 2:
            stage.clock.go_on(timedelta(seconds=90))

    worker.tiktok.after["status"] = take_long
    await worker.tick(budget=200)
    waiting = await worker.job(job)
    assert (waiting.status, waiting.attempts) == (JobStatus.PROCESSING, 0)
    assert waiting.last_error is None
    stage.unstick(job)
    stage.clock.go_to(waiting.next_attempt_at)
    await worker.tick()
    assert (await worker.job(job)).status is JobStatus.POSTED
    kinds = [event["type"] for event in await told(worker.container.database)]
    assert kinds == ["job.posted"]
