"""Ask TikTok again about jobs that ended in doubt, and correct their record."""

from datetime import datetime, timedelta
from typing import Final, assert_never

import structlog
from msgspec import Struct, field
from structlog.contextvars import bound_contextvars

from app.domain.accounts.quota import QuotaCall
from app.domain.errors import StoreUnavailable
from app.domain.jobs.corrections import (
    FailedForGood,
    NotAsked,
    NoWord,
    Truth,
    Withdrawn,
    decide_late,
)
from app.domain.jobs.job import ErrorClass, Job, JobStatus
from app.domain.jobs.outcome import Fault, InInbox, Published, PutOff
from app.domain.posts.post import PostMode, PrivacyLevel
from app.domain.tiktok_event import ToldOfPost
from app.grants.grants import Access, Grants
from app.grants.renewal import with_renewal
from app.machine.clock import Clock
from app.metrics import Metrics
from app.pacing.pacer import Pacer, QuotaUser
from app.runner.attempts.verdicts import in_inbox, published
from app.store.accounts.quotas import Owner
from app.store.jobs.confirmations import ConfirmationStore
from app.store.jobs.media_links import MediaStore, pull_tokens
from app.tiktok.client import Calls, TikTok
from app.tiktok.decode import fault_of_fail_reason
from app.tiktok.values import PublishState, PublishStatus, Video

log = structlog.get_logger(__name__)

CLOCK_SKEW: Final = timedelta(minutes=1)
"""How far TikTok's clock and ours may differ."""

LONGEST_DELAY: Final = timedelta(hours=24)
"""How long after its init a video may appear."""

NEVER_FETCHED: Final = Fault(
    error_class=ErrorClass.TRANSIENT,
    code="init_void",
    message="TikTok never fetched the video, and it is withdrawn: nothing was posted",
)

SHOWN_CAPTION: Final = 150
"""How much of a caption the video list shows.

https://developers.tiktok.com/doc/tiktok-api-v2-video-object
"""

MOST_PAGES: Final = 5
"""How far back the video list is read."""

VIDEO_LIST_SCOPE: Final = "video.list"
_NOTHING: Final = ToldOfPost()


class Confirmer(Struct, frozen=True, kw_only=True):
    """Finds out what became of a publish, trying the cheapest evidence first."""

    store: ConfirmationStore
    links: MediaStore
    tiktok: TikTok
    grants: Grants
    pacer: Pacer
    clock: Clock
    metrics: Metrics = field(default_factory=Metrics)
    sole_publisher: bool = False
    """No other installation, such as a test system, posts with this TikTok app."""

    async def run_due(self, *, limit: int) -> int:
        """Check all jobs that are due, ``limit`` at a time; return how many.

        Raises StoreUnavailable.
        """
        looked = 0
        while jobs := await self.store.claim_due(now=self.clock.now(), limit=limit):
            for job in jobs:
                await self._look_at(job)
            looked += len(jobs)
        return looked

    async def _look_at(self, job: Job) -> None:
        with bound_contextvars(job_id=job.id, project_id=job.project_id):
            try:
                await self._confirm(job)
            except StoreUnavailable:
                raise
            except Exception:  # its lease runs out; the others go on
                log.exception("a confirmation failed unexpectedly")

    async def _confirm(self, job: Job) -> None:
        truth = await self._find_out(job)
        now = self.clock.now()
        change = decide_late(job, truth, now=now)
        written = await self.store.apply(job, change, now=now)
        if written is None:
            log.info("the job changed meanwhile; TikTok's answer is dropped")
        elif written.status is job.status:
            self._log_more(job, written)
        else:
            self.metrics.posts.correct(written.status)
            log.info(
                "record corrected",
                was=str(job.status),
                status=str(written.status),
                publish_id=written.publish_id,
                post_id=written.post_id,
            )

    def _log_more(self, job: Job, written: Job) -> None:
        """Log what is new about a post; several ids may mean a second post."""
        if written.post_ids == job.post_ids:
            return
        direct = job.post.mode is PostMode.DIRECT
        several = direct and len(written.post_ids) > 1
        about = log.bind(publish_id=job.publish_id, post_ids=written.post_ids)
        if several:
            about.warning("one direct post has several ids")
        else:
            about.info("post available")

    async def _find_out(self, job: Job) -> Truth:
        told = _NOTHING
        if job.publish_id is not None:
            told = await self.store.told(job)
            if told.withdrawn and job.status is JobStatus.POSTED:
                return Withdrawn()
        access = await self.grants.current(
            job.project_id, job.platform, open_id=job.open_id
        )
        if isinstance(access, Fault):
            return NoWord()
        async with self.tiktok.connect() as calls:
            if job.publish_id is not None:
                return await self._ask(calls, access, job, job.publish_id, told)
            if job.init_sent_at is None:
                return NoWord()
            return await self._search(calls, access, job, job.init_sent_at)

    async def _ask(
        self,
        calls: Calls,
        access: Access,
        job: Job,
        publish_id: str,
        told: ToldOfPost = _NOTHING,
    ) -> Truth:
        """Ask for the status; only TikTok's statement counts, never an error."""
        owner = Owner(job.platform, access.quota_owner)
        user = QuotaUser(job.project_id, owner, alone=True)
        permit = await self.pacer.acquire(user, QuotaCall.STATUS)
        if isinstance(permit, PutOff):
            return NotAsked(until=permit.until)
        answer, _ = await with_renewal(
            access,
            lambda access: calls.status(access.token, publish_id),
            self.grants.renew,
        )
        # The name at that time: the person may have changed it.
        username = job.creator_username or access.username
        return _truth(answer, job, publish_id, username, told=told.public)

    async def _search(
        self, calls: Calls, access: Access, job: Job, init_sent_at: datetime
    ) -> Truth:
        """Find the publish of an unanswered init; if in doubt, none."""
        if await self.links.revoke(*pull_tokens(job), now=self.clock.now()):
            return FailedForGood(fault=NEVER_FETCHED)
        since = init_sent_at - CLOCK_SKEW
        publish_id = await self.store.orphan(job, access.open_id, since=since)
        if publish_id is not None:
            truth = await self._ask(calls, access, job, publish_id)
            if self._may_adopt(job, truth):
                log.info(
                    "matched a publish that TikTok reported", publish_id=publish_id
                )
                return truth
        if VIDEO_LIST_SCOPE not in access.scopes or not _can_be_found(job):
            return NoWord()
        return await self._look_for_video(calls, access, job, since)

    def _may_adopt(self, job: Job, truth: Truth) -> bool:
        """Tell whether a publish that no job has belongs to this job.

        Another installation of the same TikTok app may have made it. Its failure must
        not close our init. Its success is ours only if TikTok fetched our video, as it
        did if the job has a pull URL that could not be revoked.
        """
        match truth:
            case NoWord():
                return False
            case NotAsked():
                return True
            case Published() | InInbox():
                return self.sole_publisher or job.media_token is not None
            case _:
                return self.sole_publisher

    async def _look_for_video(
        self, calls: Calls, access: Access, job: Job, since: datetime
    ) -> Truth:
        """Find the only public video with this caption since the init."""
        videos = await _videos_since(calls, access, since)
        found = [
            video
            for video in videos or ()
            if shows(video, job.post.title)
            and since <= video.create_time <= since + LONGEST_DELAY
            and not await self.store.is_known(
                job, access.open_id, video.id, since=since
            )
        ]
        if len(found) != 1 or await self._is_contested(job, access, found[0], since):
            return NoWord()
        return Published(
            publish_id="",
            post_id=found[0].id,
            post_ids=(found[0].id,),
            post_url=found[0].share_url,
        )

    async def _is_contested(
        self, job: Job, access: Access, video: Video, since: datetime
    ) -> bool:
        """Tell whether the video could belong to another job."""
        others = await self.store.without_post_id(
            job, access.open_id, since=since - LONGEST_DELAY
        )
        return any(
            # What cannot be read could be anything.
            not other.is_readable
            or (_can_be_found(other) and shows(video, other.post.title))
            for other in others
        )


def _truth(
    answer: PublishStatus | Fault,
    job: Job,
    publish_id: str,
    username: str | None,
    *,
    told: tuple[str, ...],
) -> Truth:
    """Return what a status answer means, together with the ids from TikTok's events."""
    if isinstance(answer, Fault):
        return NoWord()
    match answer.state:
        case PublishState.FAILED:
            fault = fault_of_fail_reason(answer.fail_reason, answer.log_id)
            return FailedForGood(fault=fault)
        case PublishState.COMPLETE:
            return published(answer, job, publish_id, username, told=told)
        case _ if told:
            # A signed event says that it is public, and nothing contradicts it.
            return published(answer, job, publish_id, username, told=told)
        case PublishState.IN_INBOX:
            return in_inbox(answer, publish_id)
        case PublishState.PROCESSING:
            return NoWord()
        case _:
            assert_never(answer.state)


async def _videos_since(
    calls: Calls, access: Access, since: datetime
) -> list[Video] | None:
    """List the account's public videos since then; None if the list is incomplete."""
    videos: list[Video] = []
    cursor: int | None = None
    for _ in range(MOST_PAGES):
        page = await calls.list_videos(access.token, cursor=cursor)
        if isinstance(page, Fault):
            return None
        videos += page.videos
        cursor = page.cursor
        older = any(video.create_time < since for video in page.videos)
        if older or not page.has_more or cursor is None:
            return videos
    return None


def _can_be_found(job: Job) -> bool:
    """Tell whether the job's post would be in the list and has a caption."""
    public = job.post.privacy_level is PrivacyLevel.PUBLIC_TO_EVERYONE
    return public and job.post.mode is PostMode.DIRECT and bool(job.post.title.strip())


def shows(video: Video, caption: str) -> bool:
    """Tell whether a video's text is this caption, or the part of it TikTok shows."""
    return any(_is_cut_of(text, caption) for text in (video.title, video.description))


def _is_cut_of(shown: str, caption: str) -> bool:
    text, whole = shown.strip(), caption.strip()
    # TikTok does not say how it counts; UTF-16 units are the largest count.
    is_cut = len(shown.encode("utf-16-le", "surrogatepass")) // 2 >= SHOWN_CAPTION - 1
    return bool(text) and (text == whole or (is_cut and whole.startswith(text)))
