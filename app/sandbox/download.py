"""Download what a post is made of, and look at it."""

import asyncio

from app.sandbox.intake import Intake
from app.sandbox.posts import Media, Photo, Post
from app.sandbox.pull import pull
from app.sandbox.state import Sandbox
from app.sandbox.verdicts import verdict_on_photo, verdict_on_video

VIDEO_PULL_FAILED, PHOTO_PULL_FAILED = "video_pull_failed", "photo_pull_failed"
PULL_FAILED = frozenset({VIDEO_PULL_FAILED, PHOTO_PULL_FAILED})

STEPS_A_SECOND = 20
"""How often downloaded_bytes grows while a download is only pretended."""


async def download(sandbox: Sandbox, post: Post) -> str | None:
    """Pull the video or every photo; give the fail_reason if something is wrong."""
    plan = post.processing
    if plan and plan.download_bytes is not None:
        await _pretend(post, plan.download_bytes, plan.download_bytes_per_second)
        return None
    if not sandbox.settings.pull:
        return None
    if post.media is Media.PHOTO:
        return await _download_photos(sandbox, post)
    return await _download_video(sandbox, post)


def look_at_video(sandbox: Sandbox, post: Post, intake: Intake) -> str | None:
    """Note what video came, and give the fail_reason if it cannot be posted."""
    post.sha256 = intake.sha256
    if not sandbox.settings.check_media:
        return None
    person = sandbox.accounts.people[post.open_id]
    return verdict_on_video(intake, max_seconds=person.max_video_seconds)


async def _download_video(sandbox: Sandbox, post: Post) -> str | None:
    intake = await _pull(sandbox, post, post.video_url or "")
    return VIDEO_PULL_FAILED if intake is None else look_at_video(sandbox, post, intake)


async def _download_photos(sandbox: Sandbox, post: Post) -> str | None:
    # One after the other: a set fails as a whole, and does not say for which photo.
    for url in post.photo_urls:
        intake = await _pull(sandbox, post, url)
        if intake is None:
            return PHOTO_PULL_FAILED
        post.photos += (Photo(url, intake.count, intake.sha256),)
        wrong = sandbox.settings.check_media and verdict_on_photo(intake)
        if wrong:
            return wrong
    return None


async def _pull(sandbox: Sandbox, post: Post, url: str) -> Intake | None:
    intake, plan = Intake(), post.processing

    def take(piece: bytes) -> None:
        intake.add(piece)
        post.bytes_pulled += len(piece)

    came = await pull(
        url,
        take,
        timeout_seconds=sandbox.settings.pull_timeout_seconds,
        bytes_per_second=plan.download_bytes_per_second if plan else None,
    )
    return intake if came else None


async def _pretend(post: Post, size: int, bytes_per_second: int | None) -> None:
    step = max((bytes_per_second or size) // STEPS_A_SECOND, 1)
    while bytes_per_second and post.bytes_pulled < size:
        await asyncio.sleep(step / bytes_per_second)
        post.bytes_pulled = min(post.bytes_pulled + step, size)
    post.bytes_pulled = size
