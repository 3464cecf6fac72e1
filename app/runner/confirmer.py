"""Ask TikTok again about jobs that ended in doubt, and correct their record."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from app.domain.clock import Clock
from app.domain.job import ErrorClass, Job
from app.domain.late import FailedForGood, NoWord, Truth, decide_late
from app.domain.outcome import Fault, InInbox, Published
from app.domain.post import PostMode, PrivacyLevel
from app.domain.quota import QuotaCall
from app.grants.grants import Access, Grants
from app.pacing.pacer import Asker, Pacer
from app.runner.attempt import published
from app.store.confirmations import ConfirmationStore
from app.store.media import MediaStore
from app.tiktok import (
    Calls,
    PublishState,
    PublishStatus,
    TikTok,
    Video,
    fault_of_fail_reason,
)

log = structlog.get_logger(__name__)

CLOCK_SKEW: Final = timedelta(minutes=1)
"""How far TikTok's clock and ours may be apart."""

LONGEST_DELAY: Final = timedelta(hours=24)
"""How long after its init a video may come out."""

NEVER_FETCHED: Final = Fault(
    error_class=ErrorClass.TRANSIENT,
    code="init_void",
    message="TikTok never fetched the video, and it is withdrawn: nothing was posted",
)

VIDEO_LIST_SCOPE: Final = "video.list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmer:
    """Finds out, from the cheapest proof on, what became of a publish."""

    store: ConfirmationStore
    links: MediaStore
    tiktok: TikTok
    grants: Grants
    pacer: Pacer
    clock: Clock

    async def run_due(self, *, limit: int) -> int:
        """Look at jobs that are due for it; return how many there were.

        Raises StoreUnavailable.
        """
        jobs = await self.store.claim_due(now=self.clock.now(), limit=limit)
        for job in jobs:
            await self._confirm(job)
        return len(jobs)

    async def _confirm(self, job: Job) -> None:
        truth = await self._find_out(job)
        now = self.clock.now()
        change = decide_late(job, truth, now=now)
        written = await self.store.apply(job, change, now=now)
        if written is not None and written.status is not job.status:
            log.info("record corrected", job_id=job.id, status=str(written.status))

    async def _find_out(self, job: Job) -> Truth:
        access = await self.grants.current(job.project_id, job.platform)
        if isinstance(access, Fault):
            return NoWord()
        async with self.tiktok.connect() as calls:
            if job.publish_id is not None:
                return await self._ask(calls, access, job, job.publish_id)
            if job.init_sent_at is None:
                return NoWord()
            return await self._search(calls, access, job, job.init_sent_at)

    async def _ask(
        self, calls: Calls, access: Access, job: Job, publish_id: str
    ) -> Truth:
        """Ask for the status; only TikTok's own word counts, never an error."""
        asker = Asker(job.project_id, job.platform, access.open_id)
        if await self.pacer.turn(asker, QuotaCall.STATUS) is not None:
            return NoWord()
        answer = await calls.status(access.token, publish_id)
        return _truth(answer, publish_id, access.username)

    async def _search(
        self, calls: Calls, access: Access, job: Job, init_sent_at: datetime
    ) -> Truth:
        """Find what an unanswered init became; rather nothing than another's post."""
        if job.media_token is not None and await self.links.revoke(
            job.media_token, now=self.clock.now()
        ):
            return FailedForGood(fault=NEVER_FETCHED)
        since = init_sent_at - CLOCK_SKEW
        clues = await self.store.clues(job, access.open_id, since=since)
        if clues.rivals:
            return NoWord()
        if len(clues.publish_ids) == 1:
            truth = await self._ask(calls, access, job, clues.publish_ids[0])
            if not isinstance(truth, NoWord):
                return truth
        return await self._look_for_video(calls, access, job)

    async def _look_for_video(self, calls: Calls, access: Access, job: Job) -> Truth:
        """Look for the one public video with this caption since the init."""
        public = job.post.privacy_level is PrivacyLevel.PUBLIC_TO_EVERYONE
        if VIDEO_LIST_SCOPE not in access.scopes or not public or not job.post.title:
            return NoWord()
        page = await calls.list_videos(access.token)
        if isinstance(page, Fault):
            return NoWord()
        found = [
            video
            for video in page.videos
            if _is_of(job, video)
            and not await self.store.is_known(job.platform, video.id)
        ]
        if len(found) != 1:
            return NoWord()
        return Published(
            publish_id="", post_id=found[0].id, post_url=found[0].share_url
        )


def _truth(
    answer: PublishStatus | Fault, publish_id: str, username: str | None
) -> Truth:
    if isinstance(answer, Fault):
        return NoWord()
    match answer.state:
        case PublishState.COMPLETE:
            return published(answer, publish_id, username)
        case PublishState.IN_INBOX:
            return InInbox(publish_id=publish_id, log_id=answer.log_id)
        case PublishState.FAILED:
            fault = fault_of_fail_reason(answer.fail_reason, answer.log_id)
            return FailedForGood(fault=fault)
        case PublishState.PROCESSING:
            return NoWord()


def _is_of(job: Job, video: Video) -> bool:
    if job.init_sent_at is None or job.post.mode is not PostMode.DIRECT:
        return False
    caption = job.post.title.strip()
    since = job.init_sent_at - CLOCK_SKEW
    return (
        caption in {video.title.strip(), video.description.strip()}
        and since <= video.create_time <= since + LONGEST_DELAY
    )
