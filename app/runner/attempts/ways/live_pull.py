"""The real effects of a pull."""

import asyncio
from collections.abc import Awaitable

import structlog

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault
from app.domain.jobs.witness import KeptInit
from app.domain.posts.post import MediaType
from app.grants.grants import Access
from app.runner.attempts.attempt_state import ClaimLost
from app.runner.attempts.dependencies import Dependencies
from app.runner.attempts.live_effects import LiveEffects
from app.store.jobs.media_links import pull_tokens
from app.tiktok.values import InitTaken

log = structlog.get_logger(__name__)


class LivePull:
    """One attempt's real effects of a pull."""

    def __init__(self, live: LiveEffects, deps: Dependencies) -> None:
        self._live = live
        self._deps = deps

    def stamp_init(self, job: Job) -> Awaitable[Job | None]:
        """Write that an init is about to be sent, and its owner."""
        deps, stamp = self._deps, self._live.now()
        link = deps.media.new_link() if deps.media else None
        return self._live.persist(
            lambda: deps.claims.stamp_init(job, now=stamp, media_token=link)
        )

    async def init(self, access: Access, job: Job) -> InitTaken | Fault:
        """Send the init; raises ClaimLost if the lease ran out after the stamp.

        A worker that was stopped in between (SIGSTOP, a laptop's lid) must not send
        what another worker may have judged meanwhile.
        """
        live = self._live
        live.check_lease()
        urls = job.asset_urls or (job.asset_url,)
        if job.media_token is not None and self._deps.media is not None:
            urls = self._deps.media.urls(job)
        if job.post.media_type is MediaType.PHOTO:
            return await live.calls.photo_init(
                access.token, job.post, urls, timeout=live.call_seconds()
            )
        return await live.calls.init(
            access.token, job.post, urls[0], timeout=live.call_seconds()
        )

    async def save_publish_id(self, job: Job, publish_id: str) -> Job | None:
        """Write TikTok's id; to a file if the database stays away or the claim is lost.

        Another worker may have judged the init meanwhile, without the id.
        """
        live, claims = self._live, self._deps.claims
        told = KeptInit.of(job, publish_id, at=live.now())
        try:
            written = await live.persist(
                lambda: claims.save_publish_id(job, publish_id, now=live.now()),
                even_late=True,
            )
        except (ClaimLost, asyncio.CancelledError):
            await self._keep(told)
            raise
        if written is None:
            await self._keep(told)
        return written

    async def _keep(self, told: KeptInit) -> None:
        """Keep an id that the database cannot take; the log has it in any case."""
        log.error(
            "TikTok's publish_id could not be stored in the database",
            job_id=told.job_id,
            publish_id=told.publish_id,
        )
        await asyncio.to_thread(self._deps.spool.keep, told)

    async def revoke_media(self, job: Job) -> bool:
        """Revoke the init's pull URLs; True if TikTok never fetched one."""
        tokens, media = pull_tokens(job), self._deps.media
        if not tokens or media is None:
            return False
        return await self._live.persist(
            lambda: media.links.revoke(*tokens, now=self._live.now())
        )
