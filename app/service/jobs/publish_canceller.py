"""Ask TikTok to cancel a running publish."""

from typing import Final

import structlog
from msgspec import Struct

from app.domain.accounts.quota import QuotaCall
from app.domain.codes import PUBLISH_CANCELLED
from app.domain.jobs.job import Job, JobStatus, Transfer
from app.domain.jobs.outcome import Fault, PutOff
from app.grants.grants import Access, Grants
from app.grants.renewal import with_renewal
from app.machine.clock import Clock
from app.pacing.pacer import Pacer, QuotaUser
from app.store.accounts.quotas import Owner
from app.tiktok.client import Calls, TikTok
from app.tiktok.values import PublishState

LOOKS: Final = 3
"""How often TikTok is asked whether it cancelled."""

PAUSE_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


class PublishCanceller(Struct, frozen=True, kw_only=True):
    """Cancels pulls that TikTok has not downloaded yet.

    https://developers.tiktok.com/doc/content-posting-api-reference-cancel-post
    """

    grants: Grants
    tiktok: TikTok
    pacer: Pacer
    clock: Clock

    async def cancel(self, job: Job) -> bool:
        """Cancel a job's publish; True only if TikTok then says that it failed.

        TikTok's "ok" proves nothing: a publish cancelled too late still comes out.
        Raises StoreUnavailable.
        """
        if not _may_be_cancelled(job):
            return False
        access = await self.grants.current(
            job.project_id, job.platform, open_id=job.open_id
        )
        if isinstance(access, Fault) or job.publish_id is None:
            return False
        async with self.tiktok.connect() as calls:
            return await self._cancel(calls, access, job.publish_id)

    async def _cancel(self, calls: Calls, access: Access, publish_id: str) -> bool:
        refused, access = await with_renewal(
            access,
            lambda access: calls.cancel(access.token, publish_id),
            self.grants.renew,
        )
        if refused is not None:
            _log.info("TikTok did not cancel a publish", code=refused.code)
            return False
        for look in range(LOOKS):
            if look:
                await self.clock.sleep(PAUSE_SECONDS)
            owner = Owner(access.platform, access.quota_owner)
            user = QuotaUser(access.project_id, owner, alone=True)
            permit = await self.pacer.acquire(user, QuotaCall.STATUS)
            if isinstance(permit, PutOff):
                return False
            status = await calls.status(access.token, publish_id)
            if not isinstance(status, Fault) and status.state is PublishState.FAILED:
                return status.fail_reason == PUBLISH_CANCELLED
        return False


def _may_be_cancelled(job: Job) -> bool:
    over = job.status is JobStatus.POSTED
    return job.in_flight and not over and job.transfer is Transfer.PULL
