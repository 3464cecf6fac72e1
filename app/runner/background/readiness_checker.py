"""Check jobs before their time, so that people can still mend them."""

import asyncio

import structlog
from msgspec import Struct
from structlog.contextvars import bound_contextvars

from app.domain.accounts.account import CreatorInfo
from app.domain.accounts.account_readiness import (
    creator_problem,
    grant_end_problem,
    grant_problem,
    privacy_problem,
    scope_problem,
    switched_off,
)
from app.domain.errors import StoreUnavailable
from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault, PutOff
from app.domain.jobs.readiness import (
    GOES_OUT_LATE,
    PreflightTimes,
    Readiness,
    ReadinessProblem,
    next_preflight,
    url_problems,
)
from app.domain.posts.post import PostMode
from app.grants.grants import Access, Grants
from app.grants.renewal import with_renewal
from app.machine.clock import Clock
from app.outbound.dialer import on_behalf_of
from app.outbound.media.checker import Found, MediaChecker
from app.pacing.creators import CreatorOptions
from app.store.jobs.readiness import ReadinessStore

log = structlog.get_logger(__name__)


class ReadinessChecker(Struct, frozen=True, kw_only=True):
    """Finds what would stop a job; it never fails, delays or claims one."""

    store: ReadinessStore
    grants: Grants
    options: CreatorOptions
    media: MediaChecker
    clock: Clock
    preflights: PreflightTimes
    inits_per_minute: int

    async def run_due(self, *, limit: int) -> int:
        """Check all jobs that are due, ``limit`` at a time; return how many.

        Raises StoreUnavailable.
        """
        looked = 0
        while jobs := await self.store.claim_due(now=self.clock.now(), limit=limit):
            async with asyncio.TaskGroup() as looks:
                for job in jobs:
                    looks.create_task(self._look_at(job))
            looked += len(jobs)
        return looked

    async def _look_at(self, job: Job) -> None:
        with bound_contextvars(job_id=job.id, project_id=job.project_id):
            try:
                await self._look(job)
            except StoreUnavailable:
                log.warning("a readiness check waits for the database")
            except Exception:  # its lease runs out; the others go on
                log.exception("a readiness check failed unexpectedly")

    async def _look(self, job: Job) -> None:
        found = Found()
        await self._find(job, found)
        now, problems = self.clock.now(), tuple(found.problems)
        again = next_preflight(job.scheduled_for, now=now, preflights=self.preflights)
        seen = Readiness(
            now, problems, video_seconds=found.video_seconds, remarks=found.remarks
        )
        if not await self.store.save(job, seen, next_look=again):
            log.info("the job changed meanwhile; the result is dropped")
        elif problems:
            codes = [problem.code for problem in problems]
            log.warning("a pre-check found problems", problems=codes)

    async def _find(self, job: Job, found: Found) -> None:
        access = await self.grants.current(
            job.project_id, job.platform, open_id=job.open_id
        )
        info: CreatorInfo | None = None
        if isinstance(access, Fault):
            found.add(grant_problem(access))
        else:
            account = scope_problem(job.post, access.scopes)
            if account is None:
                info, account = await self._creator(job, access, found)
            found.add(account)
            found.add(grant_end_problem(access.ends_at, job.scheduled_for))
        for each in url_problems(job.asset_url, job.asset_urls, at=job.scheduled_for):
            found.add(each)
        most = None if info is None else info.max_video_seconds
        with on_behalf_of(job.project_id):
            await self.media.look(job, found, max_seconds=most)
        if await self._is_crowded(job):
            found.add(GOES_OUT_LATE)

    async def _creator(
        self, job: Job, access: Access, found: Found
    ) -> tuple[CreatorInfo | None, ReadinessProblem | None]:
        """Ask what the creator may choose, and compare the post with it."""
        if job.post.mode is PostMode.INBOX:
            return None, None  # a draft's audience is chosen in TikTok's app
        answer, _ = await with_renewal(access, self.options.of, self.grants.renew)
        match answer:
            case CreatorInfo():
                found.remarks = switched_off(job.post, answer)
                return answer, privacy_problem(job.post, answer.privacy_options)
            case Fault():
                return None, creator_problem(answer)
            case PutOff():
                return None, None  # nothing is known, which is no problem

    async def _is_crowded(self, job: Job) -> bool:
        limit = self.inits_per_minute
        count = await self.store.due_in_minute_of(job, at_most=limit + 1)
        return count > limit
