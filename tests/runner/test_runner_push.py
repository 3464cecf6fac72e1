"""Videos that we upload: on a real database, with the simulator's upload host."""

import asyncio
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import update

from app.domain.jobs.edit import JobChange
from app.domain.jobs.job import FailureReason, Job, JobStatus, Transfer
from app.runner.attempts.ways.sending import NOTES
from app.sandbox.posts import Post
from app.sandbox.recording import Call
from app.store.jobs.tables import schedule_jobs
from app.store.jobs.uploads import UploadStore
from tests.runner.stage import Stage, Worker

BYTES: Final = 450_000
CHUNK: Final = 100_000
CHUNKS: Final = 4  # the last takes what is left over


@pytest.fixture
async def worker(stage: Stage) -> Worker:
    """Give a process that uploads in small chunks, with a connected account."""
    worker = await pusher(stage)
    await stage.connect(worker, "proj_1")
    return worker


async def pusher(stage: Stage, **changes: object) -> Worker:
    """Start a process that uploads in small chunks to a TikTok that takes these."""
    weather = stage.tiktok.sandbox.settings.model_copy(
        update={"min_chunk_bytes": 1000, "check_media": False}
    )
    stage.tiktok.sandbox.settings = weather
    settings: dict[str, object] = {
        "allow_private_urls": True,
        "upload_hosts": ("127.0.0.1",),
        "upload_whole_bytes": 2 * CHUNK,
        "upload_chunk_bytes": CHUNK,
        "http_timeout_seconds": 10,
    }
    return await stage.worker(**settings | changes)


async def push(
    stage: Stage,
    worker: Worker,
    *,
    query: str = f"bytes={BYTES}&seed=7",
    **more: object,
) -> Job:
    """Add a job that is due and pushed."""
    url = f"{stage.tiktok.url}/_sandbox/video.mp4?{query}"
    return await stage.job(worker, asset_url=url, transfer=Transfer.PUSH)


async def hash_of(stage: Stage, query: str = f"bytes={BYTES}&seed=7") -> str:
    """Return the hash of an asset, fetched by somebody else."""
    async with httpx.AsyncClient() as client:
        url = f"{stage.tiktok.url}/_sandbox/video.mp4?{query}"
        return sha256((await client.get(url)).content).hexdigest()


def published(stage: Stage) -> list[Post]:
    """List the posts that went live."""
    return [post for post in stage.tiktok.sandbox.posts if post.published_at]


async def test_a_pushed_video_is_posted(stage: Stage, worker: Worker) -> None:
    """Every byte, in order, in chunks as TikTok asks for them."""
    job = await push(stage, worker)
    await worker.tick()
    done = await worker.job(job)
    assert (done.status, done.attempts) == (JobStatus.POSTED, 0)
    assert done.uploaded_bytes == done.source_size == BYTES
    (post,) = published(stage)
    assert post.sha256 == await hash_of(stage)
    assert len(stage.calls(Call.UPLOAD)) == CHUNKS
    assert len(stage.calls(Call.INIT)) == 1


@pytest.mark.parametrize("size", [1, 5_000, 2 * CHUNK])
async def test_a_small_video_goes_in_one_piece(
    stage: Stage, worker: Worker, size: int
) -> None:
    """Up to the limit for whole ones."""
    job = await push(stage, worker, query=f"bytes={size}&seed=7")
    await worker.tick()
    assert (await worker.job(job)).status is JobStatus.POSTED
    assert len(stage.calls(Call.UPLOAD)) == 1


async def test_a_source_without_ranges_is_read_once_from_the_start(
    stage: Stage, worker: Worker
) -> None:
    """If nothing breaks off, no range is needed."""
    query = f"bytes={BYTES}&seed=7&range=0"
    job = await push(stage, worker, query=query)
    await worker.tick()
    assert (await worker.job(job)).status is JobStatus.POSTED
    (post,) = published(stage)
    assert post.sha256 == await hash_of(stage, query)


@pytest.mark.parametrize("chunk", [1, CHUNKS - 1], ids=["middle", "last"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "reset", "taken": False},
        {"kind": "reset", "taken": True},
        {"kind": "empty", "http_status": 503},
        {"kind": "garbage", "taken": True},
        {"kind": "cut"},
        {"kind": "cut", "keep": True},
        {"kind": "upload_answer", "http_status": 206, "content_range": "bytes 0-3/9"},
        {"kind": "upload_answer", "http_status": 201},
        {"kind": "upload_answer", "http_status": 416},
        {"kind": "upload_expired"},
        {"kind": "token_death"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values())),
)
async def test_whatever_happens_to_a_chunk_the_video_is_posted_once(
    stage: Stage, worker: Worker, fault: dict[str, Any], chunk: int
) -> None:
    """At every chunk boundary; nothing is ever unconfirmed."""
    job = await push(stage, worker)
    stage.fault("upload", rule={"match": {"chunk": chunk}, "times": 1}, **fault)
    await worker.tick()
    done = await worker.job(job)
    while done.status is JobStatus.RETRYING:
        stage.clock.go_to(done.next_attempt_at)
        await worker.tick()
        done = await worker.job(job)
    assert done.status is JobStatus.POSTED, (done.last_error, done.failure_reason)
    (post,) = published(stage)
    assert post.sha256 == await hash_of(stage)
    assert done.publish_id == post.publish_id


@pytest.mark.parametrize(
    "kind", ["reset", "truncate", "gateway", "ok_without_publish_id"]
)
async def test_an_init_without_an_answer_is_simply_repeated(
    stage: Stage, worker: Worker, kind: str
) -> None:
    """Nobody knows its URL, so nothing can come of it."""
    job = await push(stage, worker)
    stage.fault("init", kind, taken=True, rule={"times": 2})
    await worker.tick()
    done = await worker.job(job)
    assert (done.status, done.attempts) == (JobStatus.POSTED, 0)
    assert len(published(stage)) == 1
    assert len(stage.calls(Call.INIT)) == 3
    assert len(done.upload_repeats) == 2


async def test_only_three_repeats_go_before_the_schedule(
    stage: Stage, worker: Worker
) -> None:
    """Each costs one of the account's six inits a minute."""
    job = await push(stage, worker)
    stage.fault("init", "reset", taken=True, rule={"times": 9})
    await worker.tick()
    waiting = await worker.job(job)
    assert waiting.status is JobStatus.RETRYING
    assert not waiting.in_flight
    assert len(stage.calls(Call.INIT)) == 4
    stage.clock.go_to(waiting.next_attempt_at)
    await worker.tick()
    assert len(stage.calls(Call.INIT)) == 5


async def test_another_worker_goes_on_from_what_tiktok_has(
    stage: Stage, worker: Worker
) -> None:
    """A tick hands an upload on between chunks; that is no attempt."""
    job = await push(stage, worker)
    stage.fault("upload", "hang", rule={"match": {"chunk": 2}, "times": 1})
    await stage.ticked(worker, lambda: len(stage.calls(Call.UPLOAD)) == 3)
    waiting = await worker.job(job)
    assert (waiting.status, waiting.attempts) == (JobStatus.SCHEDULED, 0)
    assert waiting.uploaded_bytes == 2 * CHUNK
    other = await pusher(stage)
    await other.tick()
    done = await worker.job(job)
    assert (done.status, done.attempts) == (JobStatus.POSTED, 0)
    assert len(stage.calls(Call.INIT)) == 1
    assert published(stage)[0].sha256 == await hash_of(stage)


async def test_a_worker_that_is_told_to_stop_hands_the_upload_on_at_once(
    stage: Stage, worker: Worker
) -> None:
    """In the middle of a chunk: TikTok takes those whole or not at all."""
    job = await push(stage, worker)
    stage.fault("upload", "hang", rule={"match": {"chunk": 3}, "times": 1})
    async with stage.running(worker) as stop:
        await stage.until_called(Call.UPLOAD, CHUNKS)
        stop.set()
    waiting = await worker.job(job)
    assert waiting.claim_token is None
    assert waiting.attempts == 0
    assert waiting.in_flight  # the mark stands: only TikTok's word ends it now
    await (await pusher(stage)).tick()
    assert (await worker.job(job)).status is JobStatus.POSTED
    assert len(stage.calls(Call.INIT)) == 1


async def test_a_dead_workers_last_chunk_is_sent_by_its_successor(
    stage: Stage, worker: Worker
) -> None:
    """To the same URL: two workers that send it make one post."""
    job = await push(stage, worker)
    stage.fault("upload", "hang", rule={"match": {"chunk": 3}, "times": 1})
    ticking = asyncio.create_task(worker.tick(1000))
    await stage.until_called(Call.UPLOAD, CHUNKS)
    stage.clock.go_on(timedelta(seconds=301))  # the first one's lease is over
    other = await pusher(stage)
    await other.tick()
    done = await other.job(job)
    assert (done.status, done.attempts) == (JobStatus.POSTED, 1)
    assert len(published(stage)) == len(stage.calls(Call.INIT)) == 1
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ("bytes=1000&status=404", "asset_unreachable", JobStatus.RETRYING),
        ("bytes=1000&redirect=1", "asset_unreachable", JobStatus.RETRYING),
        ("bytes=1000&noLength=1&range=0", "asset_no_length", JobStatus.FAILED),
        ("bytes=0", "asset_empty", JobStatus.RETRYING),
        (
            "bytes=450000&cutAfter=250000&range=0",
            "asset_no_range",
            JobStatus.RETRYING,
        ),
        ("bytes=1000&length=4294967297&range=0", "asset_too_large", JobStatus.FAILED),
    ],
)
async def test_a_video_that_cannot_be_read_has_a_code_and_costs_no_post(
    stage: Stage, worker: Worker, query: str, code: str, status: JobStatus
) -> None:
    """Before the last chunk nothing is in flight."""
    job = await push(stage, worker, query=query)
    await worker.tick()
    ended = await worker.job(job)
    assert ended.last_error is not None
    assert (ended.last_error.code, ended.status) == (code, status)
    assert not ended.in_flight
    assert not published(stage)


@pytest.mark.parametrize(
    ("server", "code"),
    [("range=0", "asset_no_range"), ("changeAfter=1", "asset_changed")],
)
async def test_a_source_that_never_lets_an_upload_go_on_has_a_code(
    stage: Stage, worker: Worker, server: str, code: str
) -> None:
    """After three new uploads in the hour, the schedule says when to try again."""
    job = await push(stage, worker, query=f"bytes={BYTES}&{server}")
    stage.fault("upload", "reset", rule={"match": {"chunk": 2}, "times": 99})
    await worker.tick()
    waiting = await worker.job(job)
    assert waiting.last_error is not None
    assert (waiting.last_error.code, waiting.status) == (code, JobStatus.RETRYING)
    assert len(stage.calls(Call.INIT)) == 4
    assert not waiting.in_flight
    stage.clock.go_to(waiting.next_attempt_at)
    await worker.tick()
    assert len(stage.calls(Call.INIT)) == 5  # and it begins anew


@pytest.mark.parametrize("cut", [40_000, 130_000, 250_000])
async def test_a_source_that_breaks_off_again_and_again_is_read_on(
    stage: Stage, worker: Worker, cut: int
) -> None:
    """Each connection brings some of it: that is no attempt, and no other upload."""
    query = f"bytes={BYTES}&seed=7&etag=%22v1%22&cutAfter={cut}"
    job = await push(stage, worker, query=query)
    await worker.tick()
    done = await worker.job(job)
    assert (done.status, done.attempts) == (JobStatus.POSTED, 0), done.last_error
    assert len(stage.calls(Call.INIT)) == 1
    assert len(stage.calls(Call.UPLOAD)) == CHUNKS  # no chunk is broken by it
    (post,) = published(stage)
    assert post.sha256 == await hash_of(stage)


async def test_a_source_whose_connections_bring_nothing_ends_the_attempt(
    stage: Stage, worker: Worker
) -> None:
    """After a few of them, or it would never end."""
    job = await push(stage, worker, query=f"bytes={BYTES}&cutAfter=1000")
    await worker.tick()
    waiting = await worker.job(job)
    assert waiting.last_error is not None
    assert waiting.last_error.code == "asset_unreachable"
    assert (waiting.status, waiting.attempts) == (JobStatus.RETRYING, 1)
    assert len(stage.calls(Call.INIT)) == 1


async def test_a_source_that_breaks_off_and_changes_is_not_mixed(
    stage: Stage, worker: Worker
) -> None:
    """The rest of another file would fit nothing: the upload begins anew."""
    query = f"bytes={BYTES}&seed=7&cutAfter=250000&changeAfter=1"
    job = await push(stage, worker, query=query)
    await worker.tick()
    waiting = await worker.job(job)
    assert waiting.last_error is not None
    assert waiting.last_error.code == "asset_changed"
    assert len(stage.calls(Call.INIT)) == 4
    assert not published(stage)


async def test_a_video_that_changes_under_way_is_sent_anew(
    stage: Stage, worker: Worker
) -> None:
    """Half of one and half of another would be neither."""
    query = f"bytes={BYTES}&seed=7&changeAfter=1"
    job = await push(stage, worker, query=query)
    stage.fault("upload", "reset", rule={"match": {"chunk": 2}, "times": 1})
    await worker.tick()
    done = await worker.job(job)
    assert done.status is JobStatus.POSTED
    assert len(stage.calls(Call.INIT)) == 2
    (post,) = published(stage)
    assert post.publish_id == done.publish_id


async def test_an_upload_url_elsewhere_gets_no_byte(stage: Stage) -> None:
    """No byte goes to a host that no rule names, whatever an answer says."""
    worker = await pusher(stage, upload_hosts=("upload.example.com",))
    await stage.connect(worker, "proj_1")
    job = await push(stage, worker)
    await worker.tick()
    ended = await worker.job(job)
    assert ended.last_error is not None
    assert ended.last_error.code == "upload_host_refused"
    assert ended.failure_reason is FailureReason.PERMANENT
    assert not stage.calls(Call.UPLOAD)


@pytest.mark.parametrize("port", ["99999", "abc"])
async def test_an_address_with_an_impossible_port_is_refused(
    stage: Stage, worker: Worker, port: str
) -> None:
    """Creation refuses it; in a row from elsewhere it is no mistake of ours."""
    url = f"http://127.0.0.1:{port}/v.mp4"
    job = await stage.job(worker, transfer=Transfer.PUSH)
    async with worker.container.database.write() as connection:
        await connection.execute(
            update(schedule_jobs)
            .where(schedule_jobs.c.id == job.id)
            .values(asset_url=url)
        )
    await worker.tick()
    ended = await worker.job(job)
    assert ended.last_error is not None
    assert (ended.last_error.code, ended.failure_reason) == (
        "asset_refused",
        FailureReason.PERMANENT,
    )


async def test_an_edited_post_is_not_finished_with_its_former_upload(
    stage: Stage, worker: Worker
) -> None:
    """An upload that was requested before has the former caption."""
    job = await push(stage, worker)
    stage.fault("upload", "hang", rule={"match": {"chunk": 2}, "times": 1})
    await stage.ticked(worker, lambda: len(stage.calls(Call.UPLOAD)) == 3)
    change = JobChange(post={"title": "another caption"})
    await worker.container.jobs.edit(job.id, change, now=stage.clock.now())
    await worker.tick()
    (post,) = published(stage)
    assert post.title == "another caption"
    assert len(stage.calls(Call.INIT)) == 2


async def test_an_upload_that_began_in_time_is_followed_however_late(
    stage: Stage, worker: Worker
) -> None:
    """Its last moment is for the beginning; after it no other upload is asked for."""
    by = stage.clock.now() + timedelta(seconds=30)
    url = f"{stage.tiktok.url}/_sandbox/video.mp4?bytes={BYTES}"
    job = await stage.job(worker, asset_url=url, transfer=Transfer.PUSH, publish_by=by)
    stage.fault("upload", "hang", rule={"match": {"chunk": 2}, "times": 1})
    await stage.ticked(worker, lambda: len(stage.calls(Call.UPLOAD)) == 3)
    stage.clock.go_to(by + timedelta(minutes=1))
    await worker.tick()
    assert (await worker.job(job)).status is JobStatus.POSTED
    assert len(stage.calls(Call.INIT)) == 1


async def test_no_upload_is_begun_anew_after_the_last_moment(
    stage: Stage, worker: Worker
) -> None:
    """A job without a publish by then is missed."""
    by = stage.clock.now() + timedelta(seconds=30)
    url = f"{stage.tiktok.url}/_sandbox/video.mp4?bytes={BYTES}"
    job = await stage.job(worker, asset_url=url, transfer=Transfer.PUSH, publish_by=by)
    stage.fault("upload", "hang", rule={"match": {"chunk": 2}, "times": 1})
    await stage.ticked(worker, lambda: len(stage.calls(Call.UPLOAD)) == 3)
    stage.clock.go_to(by + timedelta(minutes=1))
    stage.fault("upload", "upload_expired")
    await worker.tick()
    assert (await worker.job(job)).failure_reason is FailureReason.MISSED
    assert len(stage.calls(Call.INIT)) == 1


@pytest.mark.parametrize("moov", ["start", "end"])
async def test_a_video_that_is_too_long_is_never_asked_to_be_taken(
    stage: Stage, worker: Worker, moov: str
) -> None:
    """Its first bytes tell it before the init, or its last ones do."""
    job = await push(stage, worker, query=f"duration=605&fps=25&moov={moov}")
    await worker.tick()
    done = await worker.job(job)
    assert (done.status, done.failure_reason) == (
        JobStatus.FAILED,
        FailureReason.PERMANENT,
    )
    assert done.last_error is not None
    assert done.last_error.code == "video_too_long"
    assert not stage.calls(Call.INIT)


async def test_the_look_and_the_upload_share_one_request(
    stage: Stage, worker: Worker
) -> None:
    """Bytes read to measure a video are sent, and not fetched again."""
    query = "duration=20&fps=25"
    job = await push(stage, worker, query=query)
    await worker.tick()
    assert (await worker.job(job)).status is JobStatus.POSTED
    (post,) = published(stage)
    visits = stage.tiktok.sandbox.visits.counts
    assert [count for url, count in visits.items() if query in url] == [1]
    assert post.sha256 == await hash_of(stage, query)


async def test_the_progress_of_many_chunks_is_written_now_and_then(
    stage: Stage, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every twentieth of the video: a commit a chunk costs more than it tells."""
    noted: list[int] = []
    note = UploadStore.note

    async def counted(
        store: UploadStore, job: Job, *, uploaded: int, now: datetime
    ) -> Job | None:
        noted.append(uploaded)
        return await note(store, job, uploaded=uploaded, now=now)

    monkeypatch.setattr(UploadStore, "note", counted)
    worker = await pusher(
        stage, upload_whole_bytes=1000, upload_chunk_bytes=BYTES // 60
    )
    job = await push(stage, worker)
    await worker.tick()
    done = await worker.job(job)
    assert done.status is JobStatus.POSTED
    assert done.uploaded_bytes == noted[-1] == BYTES
    assert len(stage.calls(Call.UPLOAD)) == 60
    assert len(noted) == NOTES
