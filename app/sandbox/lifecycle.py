"""The life of a post after its init: fetched, processed, published or failed."""

import asyncio
from collections.abc import Iterable

from app.sandbox.download import PULL_FAILED, download, look_at_video
from app.sandbox.faults import ToldBy
from app.sandbox.posts import Mode, Post, PostStatus
from app.sandbox.state import Sandbox
from app.sandbox.upload import Upload
from app.sandbox.webhooks import notify

CANCELLED = "publish_cancelled"


def start(sandbox: Sandbox, post: Post) -> None:
    """Let a post live on in the background; an upload first waits for its bytes."""
    if post.upload is None:
        post.task = sandbox.begin(_download(sandbox, post))


def uploaded(sandbox: Sandbox, post: Post, upload: Upload) -> None:
    """Go on with a post whose last byte has come."""
    post.status = PostStatus.PROCESSING_DOWNLOAD
    wrong = look_at_video(sandbox, post, upload.taken)
    upload.taken.head = b""  # it was looked at, and is not needed any more
    sandbox.spawn(_process(sandbox, post, wrong))


def cancel_download(sandbox: Sandbox, post: Post) -> None:
    """Stop a pull after the while that a cancel takes, if it still goes on then."""
    sandbox.spawn(_cancel(sandbox, post))


def end_all_of(sandbox: Sandbox, open_id: str) -> None:
    """Fail an account's unfinished posts, as TikTok does when access is revoked."""
    for post in sandbox.posts.of(open_id):
        if post.in_progress:
            fail(sandbox, post, "auth_removed")


def fail(sandbox: Sandbox, post: Post, reason: str, *, tell: bool = True) -> None:
    """End a post with this reason."""
    post.status, post.fail_reason = PostStatus.FAILED, reason
    if tell:
        notify(sandbox, "post.publish.failed", post, reason=reason)


def publish(sandbox: Sandbox, post: Post, *, tell: bool = True) -> None:
    """Put a post before its audience, as yet without an id."""
    post.published_at = post.published_at or sandbox.now()
    post.status, post.fail_reason = PostStatus.PUBLISH_COMPLETE, None
    if tell:
        notify(sandbox, "post.publish.complete", post)


def add_ids(
    sandbox: Sandbox, post: Post, ids: Iterable[int], *, told_by: ToldBy
) -> None:
    """Give a post its public ids, and tell of them by status calls and webhooks."""
    numbers = tuple(ids)
    post.add_ids(numbers, withheld=told_by in ("webhook", "nobody"))
    if told_by in ("both", "webhook"):
        for number in numbers:
            event = "post.publish.publicly_available"
            notify(sandbox, event, post, post_id=str(number))


def new_ids(sandbox: Sandbox, count: int) -> list[int]:
    """Make ids that no post has."""
    return [sandbox.posts.new_number(sandbox.now()) for _ in range(count)]


async def _download(sandbox: Sandbox, post: Post) -> None:
    plan = post.processing
    stuck = plan is not None and plan.download_stuck
    if stuck and plan is not None and plan.download_bytes is None:
        return
    try:
        wrong = await download(sandbox, post)
    except asyncio.CancelledError:
        if post.fail_reason == CANCELLED:
            return  # by the app, through TikTok's cancel
        raise
    if stuck:
        return
    post.pulled_at = sandbox.now()
    await _process(sandbox, post, wrong)


async def _process(sandbox: Sandbox, post: Post, wrong: str | None) -> None:
    plan = post.processing
    if wrong not in PULL_FAILED:
        if plan and plan.stuck:
            return
        planned = plan.seconds if plan else None
        usual = sandbox.settings.processing_seconds
        await asyncio.sleep(usual if planned is None else planned)
        wrong = (plan.fail_reason if plan else None) or wrong
    if not post.in_progress:
        return
    if wrong is not None:
        fail(sandbox, post, wrong)
    elif post.mode is Mode.INBOX:
        _deliver_draft(sandbox, post)
    else:
        await _publish(sandbox, post)


async def _cancel(sandbox: Sandbox, post: Post) -> None:
    await asyncio.sleep(sandbox.settings.cancel_seconds)
    if not post.downloading:
        return
    fail(sandbox, post, CANCELLED)
    if post.task is not None:
        post.task.cancel()


def _deliver_draft(sandbox: Sandbox, post: Post) -> None:
    post.status = PostStatus.SEND_TO_USER_INBOX
    notify(sandbox, "post.publish.inbox_delivered", post)


async def _publish(sandbox: Sandbox, post: Post) -> None:
    plan = post.processing
    publish(sandbox, post)
    if not post.public or (plan and plan.post_id_never):
        return
    if plan and plan.post_id_late:
        await asyncio.sleep(plan.post_id_late)
    ids = new_ids(sandbox, plan.post_ids if plan else 1)
    add_ids(sandbox, post, ids, told_by=plan.id_told_by if plan else "both")
