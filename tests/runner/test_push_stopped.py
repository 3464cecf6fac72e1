"""A worker that is told to stop while a video's server does not answer."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import pytest

from app.domain.jobs.job import Job, JobStatus, Transfer
from app.domain.posts.post import Post, PostMode
from app.outbound.source import Source
from app.sandbox.recording import Call
from tests.runner.stage import PUBLIC, Stage, Worker
from tests.runner.test_runner_push import BYTES, push, pusher
from tests.support.patience import PATIENCE_SECONDS


@pytest.fixture
async def worker(stage: Stage) -> Worker:
    """Give a process that uploads in small chunks, with a connected account."""
    worker = await pusher(stage)
    await stage.connect(worker, "proj_1")
    return worker


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let every server be silent; set as soon as one was asked."""
    asked = asyncio.Event()

    async def ask(_source: Source, _headers: Mapping[str, str]) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Source, "_ask", ask)
    return asked


async def stopped(stage: Stage, worker: Worker, asked: asyncio.Event) -> None:
    """Run a worker until a video's server is asked, and stop it then."""
    async with asyncio.timeout(PATIENCE_SECONDS), stage.running(worker) as stop:
        await asked.wait()
        stop.set()


@pytest.mark.parametrize("mode", [PostMode.DIRECT, PostMode.INBOX])
async def test_a_first_look_is_broken_off(
    stage: Stage, worker: Worker, hanging: asyncio.Event, mode: PostMode
) -> None:
    """Nothing was sent: the job is free at once, and no attempt is counted."""
    url = f"{stage.tiktok.url}/_sandbox/video.mp4?bytes={BYTES}"
    level = PUBLIC if mode is PostMode.DIRECT else None
    post = Post(mode=mode, privacy_level=level)
    job = await stage.job(worker, asset_url=url, transfer=Transfer.PUSH, post=post)
    await stopped(stage, worker, hanging)
    await check(worker, job)
    assert not stage.calls(Call.INIT)


async def test_a_request_for_the_rest_is_broken_off(
    stage: Stage, worker: Worker, request: pytest.FixtureRequest
) -> None:
    """TikTok keeps what it has for the next worker."""
    job = await push(stage, worker)
    stage.fault("upload", "hang", rule={"match": {"chunk": 2}, "times": 1})
    await stage.ticked(worker, lambda: len(stage.calls(Call.UPLOAD)) == 3)
    await stopped(stage, worker, request.getfixturevalue("hanging"))
    await check(worker, job)
    assert len(stage.calls(Call.INIT)) == 1


async def test_a_ticks_end_does_not_wait_for_a_silent_server(
    stage: Stage, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of its time is all that a server has; that counts no attempt."""
    job = await push(stage, worker)
    stage.fault("upload", "reset", rule={"match": {"chunk": 2}, "times": 1})
    go_on, given = Source.go_on, []

    async def late(source: Source, known: object, *, offset: int) -> None:
        given.append(source._seconds())
        stage.clock.go_on(timedelta(seconds=598))  # the tick is over but for 2 s
        given.append(source._seconds())
        monkeypatch.setattr(source, "_url", f"{job.asset_url}&status=503")
        await go_on(source, known, offset=offset)  # type: ignore[arg-type]

    monkeypatch.setattr(Source, "go_on", late)
    await worker.tick(600)
    assert given[0] == 30
    assert given[1] <= 1
    await check(worker, job)


async def check(worker: Worker, job: Job) -> None:
    """Check that a job was handed back, free."""
    waiting = await worker.job(job)
    assert (waiting.status, waiting.attempts) == (JobStatus.SCHEDULED, 0)
    assert waiting.claim_token is None
    assert not waiting.in_flight
