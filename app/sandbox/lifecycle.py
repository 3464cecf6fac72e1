"""The life of a post after its init: pulled, processed, published or failed."""

import asyncio

from app.sandbox.posts import Mode, Post, PostStatus
from app.sandbox.pull import pull
from app.sandbox.state import Sandbox
from app.sandbox.webhooks import notify

PULL_FAILED = "video_pull_failed"


def start(sandbox: Sandbox, post: Post) -> None:
    """Let a post live on in the background."""
    sandbox.spawn(_live(sandbox, post))


def end_all_of(sandbox: Sandbox, open_id: str) -> None:
    """Fail an account's unfinished posts, as TikTok does when access is revoked."""
    for post in sandbox.posts.of(open_id):
        if post.in_progress:
            _fail(sandbox, post, "auth_removed")


async def _live(sandbox: Sandbox, post: Post) -> None:
    pulled = await _pull(sandbox, post)
    plan = post.processing
    if pulled and plan and plan.stuck:
        return
    if pulled:
        planned = plan.seconds if plan else None
        usual = sandbox.settings.processing_seconds
        await asyncio.sleep(usual if planned is None else planned)
    if not post.in_progress:
        return
    reason = (plan.fail_reason if plan else None) if pulled else PULL_FAILED
    if reason is not None:
        _fail(sandbox, post, reason)
    elif post.mode is Mode.INBOX:
        _deliver_draft(sandbox, post)
    else:
        await _publish(sandbox, post)


async def _pull(sandbox: Sandbox, post: Post) -> bool:
    if not sandbox.settings.pull:
        return True
    pulled = await pull(
        post.video_url, timeout_seconds=sandbox.settings.pull_timeout_seconds
    )
    post.bytes_pulled = pulled.bytes
    return pulled.ok


def _fail(sandbox: Sandbox, post: Post, reason: str) -> None:
    post.status, post.fail_reason = PostStatus.FAILED, reason
    notify(sandbox, "post.publish.failed", post, reason=reason)


def _deliver_draft(sandbox: Sandbox, post: Post) -> None:
    post.status = PostStatus.SEND_TO_USER_INBOX
    notify(sandbox, "post.publish.inbox_delivered", post)


async def _publish(sandbox: Sandbox, post: Post) -> None:
    late = post.processing.post_id_late if post.processing else None
    post.published_at = sandbox.now()
    if post.public and not late:
        post.post_id = sandbox.posts.new_number(post.published_at)
    post.status = PostStatus.PUBLISH_COMPLETE
    notify(sandbox, "post.publish.complete", post)
    if not post.public:
        return
    if late:
        await asyncio.sleep(late)
        post.post_id = sandbox.posts.new_number(post.published_at)
    notify(sandbox, "post.publish.publicly_available", post, post_id=str(post.post_id))
