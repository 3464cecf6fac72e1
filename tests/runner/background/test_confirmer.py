"""TikTok's late news, by event or request, corrects the record; nothing else does."""

import asyncio
import dataclasses
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from msgspec import structs
from msgspec.structs import replace

from app.domain.jobs.backoff import CONFIRM_STEPS
from app.domain.jobs.job import Availability, FailureReason, Job, JobStatus
from app.domain.jobs.transition import Transition
from app.domain.posts.post import Post, PrivacyLevel
from app.runner.background.confirmer import Confirmer
from app.sandbox import posts
from app.sandbox.posts import PostStatus
from app.sandbox.recording import Call
from app.sandbox.webhooks import sign
from app.service.jobs.history import story_of
from app.service.tiktok_events import Receipt, TikTokEventService
from app.store.jobs.confirmations import LEASE, ConfirmationStore
from app.store.jobs.media_links import MediaStore
from app.store.jobs.tiktok_events import TikTokEventStore
from tests.runner.stage import PUBLIC, Stage, Worker, of

KEY, SECRET = "sandbox_key", "sandbox_secret"
COMPLETE: Final = "post.publish.complete"
AVAILABLE: Final = "post.publish.publicly_available"
FAILURE: Final = "post.publish.failed"


class Confirmations(ConfirmationStore):
    """The store, with something that happens just before a record is corrected."""

    before_apply: Callable[[], Awaitable[object]] | None = None

    async def apply(self, job: Job, change: Transition, *, now: datetime) -> Job | None:
        """Let it happen, and correct the record."""
        if self.before_apply is not None:
            await self.before_apply()
        return await super().apply(job, change, now=now)


@dataclass
class Late:
    """A worker, and what hears and asks TikTok late."""

    stage: Stage
    worker: Worker
    events: TikTokEventService
    store: Confirmations
    confirmer: Confirmer

    async def told_by(self, job: Job) -> str:
        """Return the last text of a job's history."""
        story = story_of(*await self.worker.container.jobs.history(job.id))
        return story[-1].text

    async def unconfirmed(self, *, taken: bool = True, **changes: Any) -> Job:  # noqa: ANN401
        """Let the answer to a job's init be lost; return the job as it ended."""
        job = await self.stage.job(self.worker, **changes)
        match = {"match": {"title": job.post.title}}
        self.stage.fault("init", "reset", rule=match, taken=taken)
        await self.worker.tick()
        ended = await self.worker.job(job)
        assert ended.failure_reason is FailureReason.UNCONFIRMED
        return ended

    async def given_up(self) -> Job:
        """Let a job's only attempt end before TikTok is done with it."""
        job = await self.stage.job(self.worker, max_attempts=1)
        self.stage.stuck(job)
        await self.worker.hasty.tick()
        ended = await self.worker.job(job)
        assert ended.failure_reason is FailureReason.MAX_ATTEMPTS
        return ended

    async def tell(self, name: str, post: posts.Post, **more: str) -> None:
        """Deliver an event of TikTok's."""
        at = int(self.stage.clock.now().timestamp())
        outer = {
            "client_key": KEY,
            "event": name,
            "create_time": at,
            "user_openid": post.open_id,
            "content": json.dumps({"publish_id": post.publish_id, **more}),
        }
        body = json.dumps(outer).encode()
        signature = sign(body, secret=SECRET, timestamp=at)
        assert await self.events.receive(signature, body) is Receipt.STORED

    async def look(self) -> int:
        """Ask TikTok about whatever is to be looked at now."""
        return await self.confirmer.run_due(limit=20)

    async def looked(self, job: Job) -> Job:
        """Let the job's next look come, and read the job after it."""
        self.stage.clock.go_to((await self.worker.job(job)).confirm_at)
        await self.look()
        return await self.worker.job(job)

    async def published(self, count: int = 1) -> list[posts.Post]:
        """Wait until TikTok is done with so many posts."""
        taken = list(self.stage.tiktok.sandbox.posts)
        assert len(taken) == count
        while any(post.in_progress for post in taken):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
        return taken


@pytest.fixture
async def late(stage: Stage) -> Late:
    """Give a worker whose account may list its videos."""
    worker = await stage.worker()
    await stage.connect(worker, "proj_1")
    container = worker.container
    store = Confirmations(container.database)
    await allow_video_list(worker, stage)
    return Late(
        stage,
        worker,
        TikTokEventService(
            store=TikTokEventStore(container.database),
            clock=stage.clock,
            client_key=KEY,
            client_secret=SECRET,
            on_hint=worker.runner.wake_for_tiktok,
        ),
        store,
        Confirmer(
            store=store,
            links=MediaStore(container.database),
            tiktok=container.tiktok,
            grants=container.grants,
            pacer=container.pacer,
            clock=stage.clock,
            sole_publisher=True,
        ),
    )


async def allow_video_list(worker: Worker, stage: Stage) -> None:
    """Let the account's grant say that it may list videos."""
    accounts = worker.container.accounts
    account = await accounts.get("proj_1", "tiktok")
    grant = structs.replace(account.grant, scopes=(*account.grant.scopes, "video.list"))
    await accounts.save_refreshed(account, grant, now=stage.clock.now())


def public(title: str) -> Post:
    """Make a public post."""
    return Post(privacy_level=PUBLIC, title=title)


def private(title: str = "for me") -> Post:
    """Make a post that the list of videos never shows."""
    return Post(privacy_level=PrivacyLevel.SELF_ONLY, title=title)


# An init whose answer was lost


async def test_a_lost_answer_is_found_by_its_event(late: Late) -> None:
    """The event names the publish, and TikTok says that it was published."""
    job = await late.unconfirmed()
    (post,) = await late.published()
    await late.tell(COMPLETE, post)
    assert await late.look() == 1
    after = await late.worker.job(job)
    assert (after.status, after.failure_reason) == (JobStatus.POSTED, None)
    assert after.last_error is None
    assert (after.publish_id, after.post_id) == (post.publish_id, str(post.post_id))
    assert len(late.stage.calls(Call.INIT)) == 1
    assert len(await late.worker.ledger(job)) == 1
    assert "SOLE_PUBLISHER" in await late.told_by(job)
    figure = late.confirmer.metrics.registry.get_sample_value
    assert figure("scheduler_jobs_corrected_total", {"status": "posted"}) == 1


async def test_a_lost_answer_is_found_though_the_event_came_first(late: Late) -> None:
    """Before the attempt was over nobody could know that it would be needed."""
    job = await late.stage.job(late.worker, post=private())
    late.stage.fault("init", "reset", taken=True)

    async def tell() -> None:
        (post,) = await late.published()
        await late.tell(COMPLETE, post)

    late.worker.claims.before["apply"] = tell
    await late.worker.tick()
    assert (await late.worker.job(job)).status is JobStatus.FAILED
    assert (await late.looked(job)).status is JobStatus.POSTED


async def test_an_event_alone_proves_nothing(late: Late) -> None:
    """It says complete, TikTok says that it is at work: the job stays unconfirmed."""
    job = await late.stage.job(late.worker, post=private())
    late.stage.fault("init", "processing", stuck=True)
    late.stage.fault("init", "reset", taken=True)
    await late.worker.tick()
    (post,) = late.stage.tiktok.sandbox.posts
    await late.tell(COMPLETE, post)
    assert await late.look() == 1
    after = await late.worker.job(job)
    assert after.failure_reason is FailureReason.UNCONFIRMED
    assert after.publish_id is None


async def test_a_failure_of_the_only_unknown_publish_frees_the_job(late: Late) -> None:
    """TikTok will post nothing any more, so a retry is no risk."""
    job = await late.stage.job(late.worker, post=private())
    late.stage.fault("init", "processing", failReason="frame_rate_check_failed")
    late.stage.fault("init", "reset", taken=True)
    await late.worker.tick()
    (post,) = await late.published()
    await late.tell(FAILURE, post)
    await late.look()
    after = await late.worker.job(job)
    assert after.failure_reason is FailureReason.PERMANENT
    assert after.last_error is not None
    assert after.last_error.code == "frame_rate_check_failed"
    retried = await late.worker.container.jobs.retry(job.id, now=late.stage.clock.now())
    assert retried.status is JobStatus.SCHEDULED


async def test_of_two_rivals_neither_is_given_the_publish(late: Late) -> None:
    """Better unknown than wrong: only one of the inits arrived."""
    jobs = [
        await late.unconfirmed(post=private("one")),
        await late.unconfirmed(post=private("two"), taken=False),
    ]
    (post,) = await late.published()
    await late.tell(COMPLETE, post)
    assert await late.look() == 2
    for job in jobs:
        after = await late.worker.job(job)
        assert after.failure_reason is FailureReason.UNCONFIRMED
    assert late.stage.calls(Call.STATUS) == []


async def test_events_may_come_twice_and_in_any_order(late: Late) -> None:
    """The record is the same at the end, and TikTok was asked a few times at most."""
    job = await late.unconfirmed()
    (post,) = await late.published()
    told = [COMPLETE, AVAILABLE, COMPLETE, FAILURE, AVAILABLE]
    random.Random(7).shuffle(told)
    for name in told:
        await late.tell(name, post, post_id=str(post.post_id))
        await late.look()
    after = await late.worker.job(job)
    assert (after.status, after.post_id) == (JobStatus.POSTED, str(post.post_id))
    assert len(late.stage.calls(Call.STATUS)) == 1


# The list of the account's videos


async def test_a_lost_answer_is_found_by_its_video(late: Late) -> None:
    """By caption and time; TikTok shows 150 characters of a caption."""
    job = await late.unconfirmed(post=public("Spring is here! " * 20))
    (post,) = await late.published()
    after = await late.looked(job)
    assert (after.status, after.post_id) == (JobStatus.POSTED, str(post.post_id))
    assert after.post_url is not None
    assert str(post.post_id) in after.post_url
    assert "the only video with this caption" in await late.told_by(job)


async def test_without_the_scope_no_video_is_looked_for(late: Late) -> None:
    """TikTok would refuse it."""
    accounts = late.worker.container.accounts
    account = await accounts.get("proj_1", "tiktok")
    grant = structs.replace(account.grant, scopes=("video.publish",))
    await accounts.save_refreshed(account, grant, now=late.stage.clock.now())
    job = await late.unconfirmed(post=public("Spring"))
    await late.published()
    assert (await late.looked(job)).failure_reason is FailureReason.UNCONFIRMED
    assert late.stage.calls(Call.VIDEO_LIST) == []


async def test_two_videos_that_fit_are_one_too_many(late: Late) -> None:
    """The person may have posted the same by hand; nobody can say which is whose."""
    job = await late.unconfirmed(post=public("Spring"))
    (post,) = await late.published()
    by_hand = dataclasses.replace(
        post, publish_id="by hand", post_id=7602997517160123666
    )
    late.stage.tiktok.sandbox.posts.add(by_hand)
    assert (await late.looked(job)).failure_reason is FailureReason.UNCONFIRMED


async def test_a_video_from_before_the_init_is_another(late: Late) -> None:
    """Somebody may post the same caption every week."""
    job = await late.unconfirmed(post=public("Spring"))
    (post,) = await late.published()
    assert post.published_at is not None
    post.published_at -= 600
    assert (await late.looked(job)).failure_reason is FailureReason.UNCONFIRMED


async def test_one_video_that_fits_two_jobs_is_neithers(late: Late) -> None:
    """Only one of their inits arrived, and nobody can say which."""
    jobs = [
        await late.unconfirmed(post=public("Spring")),
        await late.unconfirmed(post=public("Spring"), taken=False),
    ]
    await late.published()
    for job in jobs:
        after = await late.looked(job)
        assert after.failure_reason is FailureReason.UNCONFIRMED


@pytest.mark.parametrize("known", [True, False])
async def test_another_jobs_video_is_not_taken(late: Late, known: bool) -> None:
    """Though the caption is the same, and even if that job's post has no id yet."""
    other = await late.stage.job(late.worker, post=public("Spring"))
    if not known:
        late.stage.fault("init", "processing", post_id_late=60)
    await late.worker.tick()
    assert ((await late.worker.job(other)).post_id is not None) == known
    job = await late.unconfirmed(post=public("Spring"), taken=False)
    (post,) = await late.published()
    post.post_id = post.post_id or 7602997517160123666
    # This job alone is looked at now: the other's id is still not known.
    await late.tell(COMPLETE, dataclasses.replace(post, publish_id="nobody's"))
    assert await late.look() == 1
    after = await late.worker.job(job)
    assert after.failure_reason is FailureReason.UNCONFIRMED
    assert len(late.stage.calls(Call.VIDEO_LIST)) == 1


async def test_a_caption_that_only_begins_alike_is_another(late: Late) -> None:
    """A caption that TikTok shows in full has to match in full."""
    await late.stage.job(late.worker, post=public("Spring"))
    await late.worker.tick()
    job = await late.unconfirmed(post=public("Spring is here"), taken=False)
    for post in late.stage.tiktok.sandbox.posts:
        post.post_id = 7602997517160123666  # an id that no job has
    assert (await late.looked(job)).failure_reason is FailureReason.UNCONFIRMED
    assert len(late.stage.calls(Call.VIDEO_LIST)) == 1


# A publish whose end came late


async def test_a_publish_that_was_done_late_is_posted(late: Late) -> None:
    """Every attempt was used up, and then TikTok was done."""
    job = await late.given_up()
    late.stage.unstick(job)
    (post,) = await late.published()
    await late.tell(COMPLETE, post)
    await late.look()
    after = await late.worker.job(job)
    assert (after.status, after.failure_reason) == (JobStatus.POSTED, None)
    assert len(late.stage.calls(Call.INIT)) == 1


async def test_a_token_that_died_meanwhile_is_renewed(late: Late) -> None:
    """The same question is asked once more; no init is sent for it."""
    job = await late.given_up()
    late.stage.unstick(job)
    late.stage.fault("status", "token_death")
    assert (await late.looked(job)).status is JobStatus.POSTED
    assert len(late.stage.calls(Call.TOKEN)) == 1
    assert len(late.stage.calls(Call.INIT)) == 1


async def test_a_publish_that_failed_late_may_be_tried_again(late: Late) -> None:
    """TikTok's own word closes the init; a new one cannot be the second post."""
    job = await late.given_up()
    (post,) = late.stage.tiktok.sandbox.posts
    post.status, post.fail_reason = PostStatus.FAILED, "internal"
    await late.tell(FAILURE, post)
    await late.look()
    after = await late.worker.job(job)
    assert (after.status, after.init_sent_at) == (JobStatus.FAILED, None)
    await late.worker.container.jobs.retry(job.id, now=late.stage.clock.now())
    assert (await late.worker.tick()).posted == 1
    assert len(late.stage.calls(Call.INIT)) == 2


async def test_what_tiktok_failed_unseen_is_not_posted(late: Late) -> None:
    """It said complete first; nobody has seen it, so the record may say the truth."""
    job = await late.stage.job(late.worker, post=private())
    await late.worker.tick()
    (post,) = late.stage.tiktok.sandbox.posts
    post.status, post.fail_reason = PostStatus.FAILED, "spam_risk"
    await late.tell(FAILURE, post)
    await late.look()
    after = await late.worker.job(job)
    assert (after.status, after.failure_reason) == ("failed", "permanent")


async def test_what_people_saw_stays_posted(late: Late) -> None:
    """Later news about it only records that nobody sees it any more."""
    job = await late.stage.job(late.worker)
    await late.worker.tick()
    posted = await late.worker.job(job)
    assert posted.post_id is not None
    asked = len(late.stage.calls(Call.STATUS))
    (post,) = late.stage.tiktok.sandbox.posts
    post.status, post.fail_reason = PostStatus.FAILED, "spam_risk"
    for name in (FAILURE, "post.publish.no_longer_publicaly_available"):
        await late.tell(name, post, post_id=posted.post_id)
        await late.look()
    after = await late.worker.job(job)
    assert after == replace(
        posted,
        availability=Availability.WITHDRAWN,
        confirm_tries=after.confirm_tries,
        updated_at=after.updated_at,
    )
    assert len(late.stage.calls(Call.STATUS)) == asked


async def test_a_public_post_gets_its_id_when_it_is_told(late: Late) -> None:
    """TikTok gives it only after moderation."""
    job = await late.stage.job(late.worker)
    late.stage.fault("init", "processing", rule=of(job), post_id_late=60)
    await late.worker.tick()
    posted = await late.worker.job(job)
    assert (posted.status, posted.post_id) == (JobStatus.POSTED, None)
    (post,) = late.stage.tiktok.sandbox.posts
    post.post_id = 7602997517160123666
    await late.tell(AVAILABLE, post, post_id=str(post.post_id))
    await late.look()
    after = await late.worker.job(job)
    assert after == replace(
        posted,
        post_id="7602997517160123666",
        post_ids=("7602997517160123666",),
        post_url=after.post_url,
        availability=Availability.PUBLIC,
        confirm_at=None,
        updated_at=after.updated_at,
    )


async def test_tiktok_is_asked_a_few_times_and_then_no_more(late: Late) -> None:
    """A publish that never ends costs a bounded number of calls."""
    job = await late.given_up()
    before = len(late.stage.calls(Call.STATUS))
    while (await late.worker.job(job)).confirm_at is not None:
        await late.looked(job)
    assert len(late.stage.calls(Call.STATUS)) - before == len(CONFIRM_STEPS)
    late.stage.clock.go_on(timedelta(days=30))
    assert await late.look() == 0


async def test_a_retry_meanwhile_is_not_overwritten(late: Late) -> None:
    """TikTok's answer is dropped if somebody decided otherwise since it was asked."""
    job = await late.given_up()
    late.stage.unstick(job)
    (post,) = late.stage.tiktok.sandbox.posts
    await late.tell(COMPLETE, post)
    asked = len(late.stage.calls(Call.STATUS))
    late.store.before_apply = lambda: late.worker.container.jobs.retry(
        job.id, now=late.stage.clock.now()
    )
    assert await late.look() == 1
    after = await late.worker.job(job)
    assert (after.status, after.publish_id) == ("scheduled", post.publish_id)
    assert len(late.stage.calls(Call.STATUS)) == asked + 1
    assert (await late.worker.tick()).posted == 1
    assert len(late.stage.calls(Call.INIT)) == 1


async def test_a_look_that_breaks_holds_up_no_other(late: Late) -> None:
    """A check that fails holds up no other, and is made again after its lease."""
    jobs = [await late.given_up() for _ in range(2)]
    for job in jobs:
        late.stage.unstick(job)
    late.stage.clock.go_to(max(job.confirm_at for job in jobs if job.confirm_at))
    broken: list[None] = []

    async def break_once() -> None:
        if not broken:
            broken.append(None)
            raise RuntimeError("a mistake of ours")

    late.store.before_apply = break_once
    assert await late.look() == 2
    after = [(await late.worker.job(job)).status for job in jobs]
    assert sorted(after) == [JobStatus.FAILED, JobStatus.POSTED]
    late.stage.clock.go_on(LEASE)
    await late.look()
    after = [(await late.worker.job(job)).status for job in jobs]
    assert after == [JobStatus.POSTED, JobStatus.POSTED]
