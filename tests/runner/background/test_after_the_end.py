"""TikTok's news about ended posts: named corrections, each with its event."""

import pytest
from sqlalchemy import select

from app.domain.jobs.history import HistoryKind
from app.domain.jobs.job import Availability, Delivery, Job, JobStatus
from app.domain.posts.post import Post, PostMode
from app.sandbox.posts import PostStatus
from app.store.webhooks.tables import webhook_events
from tests.runner.background.test_confirmer import AVAILABLE, COMPLETE, Late, late
from tests.runner.stage import of

__all__ = ["late"]  # a fixture of the confirmer's tests

POST_ID = "7602997517160123666"
OTHER_ID = "7602997517160123667"
WITHDRAWN = ("post.publish.no_longer_publicaly_available",)
SPELLINGS = [
    "post.publish.no_longer_publicaly_available",
    "post.publish.no_longer_publicly_available",
]
DRAFT = Post(mode=PostMode.INBOX)


@pytest.fixture(autouse=True)
async def endpoint(late: Late) -> None:
    """Let somebody listen to the project's events."""
    await late.worker.container.webhooks.put(
        "proj_1",
        url="https://example.com/hook",
        secret=None,
        fresh="whsec_" + "A" * 32,
        now=late.stage.clock.now(),
    )


async def told(late: Late) -> list[str]:
    """List what the frontend was told, in order."""
    statement = select(webhook_events.c.type).order_by(webhook_events.c.position)
    async with late.worker.container.database.read() as connection:
        return list((await connection.execute(statement)).scalars())


async def kinds(late: Late, job: Job) -> list[HistoryKind]:
    """List what the job's history says beside its ledger."""
    _, _, entries, _ = await late.worker.container.jobs.history(job.id)
    return [entry.kind for entry in entries]


async def in_review(late: Late) -> Job:
    """Post something public whose id TikTok does not tell yet."""
    job = await late.stage.job(late.worker)
    late.stage.fault("init", "processing", rule=of(job), post_id_late=600)
    await late.worker.tick()
    posted = await late.worker.job(job)
    assert (posted.availability, posted.post_id) == (Availability.UNKNOWN, None)
    return posted


async def test_a_late_id_becomes_an_address(late: Late) -> None:
    """A late id becomes a URL with the name that creator_info told before."""
    job = await in_review(late)
    (post,) = late.stage.tiktok.sandbox.posts
    await late.tell(AVAILABLE, post, post_id=POST_ID)  # only the event names it
    await late.look()
    after = await late.worker.job(job)
    assert after.post_url == f"https://www.tiktok.com/@sandbox_user/video/{POST_ID}"
    assert (after.post_ids, after.availability) == ((POST_ID,), Availability.PUBLIC)
    assert await told(late) == ["job.posted", "job.post_available"]
    assert await kinds(late, job) == [HistoryKind.AVAILABLE]


async def test_an_id_is_not_taken_against_a_status(late: Late) -> None:
    """TikTok says that the publish failed: then nobody sees it."""
    job = await in_review(late)
    (post,) = late.stage.tiktok.sandbox.posts
    post.status, post.fail_reason = PostStatus.FAILED, "spam_risk"
    await late.tell(AVAILABLE, post, post_id=POST_ID)
    await late.look()
    after = await late.worker.job(job)
    assert (after.status, after.post_id) == (JobStatus.FAILED, None)


@pytest.mark.parametrize("no_id", ["0", ""])
async def test_a_zero_is_no_id(late: Late, no_id: str) -> None:
    """TikTok's 0 is no id, as a number or as text."""
    job = await in_review(late)
    (post,) = late.stage.tiktok.sandbox.posts
    await late.tell(AVAILABLE, post, post_id=no_id)
    await late.look()
    assert (await late.worker.job(job)).post_ids == ()


async def test_every_id_is_kept(late: Late) -> None:
    """A second one may be a second post: nobody is to lose sight of it."""
    job = await in_review(late)
    (post,) = late.stage.tiktok.sandbox.posts
    for post_id in (POST_ID, OTHER_ID):
        await late.tell(AVAILABLE, post, post_id=post_id)
        await late.look()
    after = await late.worker.job(job)
    assert (after.post_id, after.post_ids) == (POST_ID, (POST_ID, OTHER_ID))


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_post_may_be_withdrawn(late: Late, spelling: str) -> None:
    """Both spellings withdraw it; a late status call changes nothing."""
    job = await late.stage.job(late.worker)
    await late.worker.tick()
    posted = await late.worker.job(job)
    assert posted.post_id is not None
    (post,) = late.stage.tiktok.sandbox.posts
    await late.tell(spelling, post, post_id=posted.post_id)
    await late.look()
    await late.tell(AVAILABLE, post, post_id=OTHER_ID)
    await late.look()
    after = await late.worker.job(job)
    assert (after.status, after.next_attempt_at) == (JobStatus.POSTED, None)
    assert after.availability is Availability.WITHDRAWN
    assert "job.post_withdrawn" in await told(late)


async def draft(late: Late) -> Job:
    """Put a draft into the inbox."""
    job = await late.stage.job(late.worker, post=DRAFT)
    await late.worker.tick()
    posted = await late.worker.job(job)
    assert posted.delivery is Delivery.INBOX
    return posted


async def test_a_draft_may_be_published_by_its_person(late: Late) -> None:
    """A day later: then it is told as any other post, with its id."""
    job = await draft(late)
    (post,) = late.stage.tiktok.sandbox.posts
    post.status = PostStatus.PUBLISH_COMPLETE
    await late.tell(COMPLETE, post)
    await late.tell(AVAILABLE, post, post_id=POST_ID)
    await late.look()
    after = await late.worker.job(job)
    assert after.delivery is Delivery.PUBLISHED
    assert after.post_ids == (POST_ID,)
    assert await told(late) == ["job.posted", "job.post_available"]
    assert await kinds(late, job) == [HistoryKind.DRAFT_PUBLISHED]


async def test_a_draft_may_be_thrown_away(late: Late) -> None:
    """It stays posted, and its notice says that it was discarded."""
    job = await draft(late)
    (post,) = late.stage.tiktok.sandbox.posts
    post.status, post.fail_reason = PostStatus.FAILED, "publish_cancelled"
    await late.tell("post.publish.failed", post, reason="publish_cancelled")
    await late.look()
    after = await late.worker.job(job)
    assert (after.status, after.delivery) == (JobStatus.POSTED, Delivery.INBOX)
    assert after.discarded_at is not None
    assert await kinds(late, job) == [HistoryKind.DRAFT_DISCARDED]


async def test_an_event_of_somebody_else_is_no_word_of_this_post(late: Late) -> None:
    """The same publish_id with another person's openId: nothing is looked at."""
    job = await late.stage.job(late.worker)
    await late.worker.tick()
    posted = await late.worker.job(job)
    (post,) = late.stage.tiktok.sandbox.posts
    post.open_id = "somebody else"
    await late.tell(SPELLINGS[0], post, post_id=posted.post_id or "")
    await late.look()
    assert (await late.worker.job(job)).availability is Availability.PUBLIC
