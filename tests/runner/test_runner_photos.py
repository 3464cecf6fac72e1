"""Photos: on a real database, with and without the media gateway."""

from typing import Any, Final

import pytest

from app.domain.jobs.job import Delivery, FailureReason, Job, JobStatus
from app.domain.posts.post import MediaType, Post, PostMode
from app.sandbox.recording import Call
from app.store.jobs.media_links import MediaStore, pull_tokens
from tests.runner.stage import PUBLIC, Stage, Worker

COUNT: Final = 3


async def photos(stage: Stage, worker: Worker, **post: Any) -> Job:  # noqa: ANN401
    """Add a job of three photos that is due."""
    urls = tuple(f"{stage.tiktok.url}/_sandbox/photo.jpg?n={n}" for n in range(COUNT))
    chosen: dict[str, Any] = {"privacy_level": PUBLIC, **post}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    return await stage.job(
        worker,
        asset_url="",
        asset_urls=urls,
        post=Post(media_type=MediaType.PHOTO, **chosen),
    )


async def with_gateway(stage: Stage) -> Worker:
    """Start a process whose gateway's URLs TikTok is given."""
    worker = await stage.worker(media_base_url="https://media.example.com")
    await stage.connect(worker, "proj_1")
    return worker


async def test_photos_are_posted_under_their_own_address(
    stage: Stage, worker: Worker
) -> None:
    """A photo's address is not a video's."""
    job = await photos(stage, worker, title="Cats", photo_cover_index=2)
    await worker.tick()
    done = await worker.job(job)
    assert done.status is JobStatus.POSTED
    assert done.post_url is not None
    assert done.post_url.endswith(f"/photo/{done.post_id}")
    (post,) = stage.tiktok.sandbox.posts
    assert post.photo_urls == job.asset_urls


async def test_a_draft_of_photos_keeps_its_texts(stage: Stage, worker: Worker) -> None:
    """Unlike a video's draft it takes a title and a description."""
    texts = {"title": "Cats", "description": "All of them"}
    draft = {"mode": PostMode.INBOX, "privacy_level": None, **texts}
    job = await photos(stage, worker, **draft)
    await worker.tick()
    done = await worker.job(job)
    assert (done.status, done.delivery) == (JobStatus.POSTED, Delivery.INBOX)
    (post,) = stage.tiktok.sandbox.posts
    assert (post.title, post.description) == ("Cats", "All of them")


async def test_photos_that_were_not_fetched_are_sent_again(stage: Stage) -> None:
    """The URLs are revoked together, so no post can come of the lost init."""
    worker = await with_gateway(stage)
    job = await photos(stage, worker)
    stage.fault("content_init", "reset", taken=False)
    await worker.tick()
    waiting = await worker.job(job)
    assert (waiting.status, waiting.attempts) == (JobStatus.RETRYING, 1)
    stage.clock.go_to(waiting.next_attempt_at)
    await worker.tick()
    assert (await worker.job(job)).status is JobStatus.POSTED
    assert len(stage.calls(Call.CONTENT_INIT)) == 2


@pytest.mark.parametrize("place", range(COUNT))
async def test_one_photo_that_was_fetched_leaves_the_init_open(
    stage: Stage, place: int
) -> None:
    """TikTok may post what it has: nothing is sent again."""
    worker = await with_gateway(stage)
    job = await photos(stage, worker)
    stage.fault("content_init", "reset", taken=False)

    async def fetch_one() -> None:
        token = pull_tokens(await worker.job(job))[place]
        media = MediaStore(worker.container.database)
        assert await media.fetch(token, now=stage.clock.now())

    worker.tiktok.before["photo_init"] = fetch_one
    await worker.tick()
    ended = await worker.job(job)
    assert ended.failure_reason is FailureReason.UNCONFIRMED
    assert len(stage.calls(Call.CONTENT_INIT)) == 1
