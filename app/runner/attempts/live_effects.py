"""The real effects of an attempt: the database, TikTok, the clock."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Final, TypeVar

import structlog

from app.domain.accounts.account import CreatorInfo
from app.domain.accounts.quota import QuotaCall
from app.domain.codes import cap_of
from app.domain.errors import StoreRefused, StoreUnavailable
from app.domain.jobs.job import Job, WaitingFor
from app.domain.jobs.outcome import Fault, PutOff
from app.grants.grants import Access
from app.pacing.pacer import QuotaUser
from app.runner.attempts.attempt_state import ClaimLost
from app.runner.attempts.dependencies import Dependencies
from app.store.accounts.quotas import Owner
from app.tiktok.client import Calls
from app.tiktok.values import PublishStatus

log = structlog.get_logger(__name__)

STORE_RETRY_SECONDS: Final = 0.2
SHORTEST_CALL_SECONDS: Final = 0.05
STOP_PATIENCE_SECONDS: Final = 5.0
LONGEST_OVERDUE: Final = timedelta(seconds=30)
LOOK_AT_CLOCKS_AGAIN: Final = timedelta(seconds=60)

Result = TypeVar("Result")


class LiveEffects:
    """One attempt's real effects.

    After ``stop`` nothing new begins. Waiting and reading are interruptible by a stop;
    an init, a refresh and a write are not.
    """

    def __init__(self, deps: Dependencies, job: Job, *, until: datetime | None) -> None:
        if job.next_attempt_at is None or job.claim_token is None:
            raise AssertionError("a claimed job has a lease")
        self.job_id, self.claim_token = job.id, job.claim_token
        self._deps = deps
        self._lease_until = job.next_attempt_at
        self._until = min(until or self._lease_until, self._lease_until)
        self.now = deps.clock.now
        whole = (self._until - self.now()).total_seconds()
        enough = min(deps.http_timeout, whole / 2)
        self._enough = timedelta(seconds=enough)
        # For each of at most three looks at a source, so that an init is in time.
        self.look_seconds = (whole - enough) / 4
        self._quota_user: QuotaUser | None = None
        self._send_by: datetime | None = None
        self._stop_by: datetime | None = None
        self._waits_for_store = False
        self.calls: Calls
        self.stopping = False
        self.interruptible = False

    def connected(self) -> AbstractAsyncContextManager[Calls]:
        """Open the attempt's session with TikTok, for its ``calls``."""
        return self._deps.tiktok.connect()

    def stop(self) -> None:
        """Begin nothing new, and do not wait long for an absent database."""
        self.stopping = True
        self._stop_by = self.now() + timedelta(seconds=STOP_PATIENCE_SECONDS)

    async def pause(self, seconds: float) -> None:
        """Wait, but not longer than the attempt's time."""
        self._allow_interruption()
        try:
            await self._deps.clock.sleep(min(seconds, self.seconds_left()))
        finally:
            self.interruptible = False

    def hurried(self) -> bool:
        """Tell whether the time left is too short for another call.

        A call gets its full time-out, or half of the attempt's whole time if that is
        less.
        """
        return self.stopping or self._until - self.now() < self._enough

    def access(self, job: Job) -> Awaitable[Access | Fault]:
        """Return a token that should be valid."""
        return self.persist(
            lambda: self._deps.grants.current(
                job.project_id, job.platform, open_id=job.open_id
            )
        )

    def renew(self, refused: Access) -> Awaitable[Access | Fault]:
        """Return a newer token than the refused one."""
        return self.persist(lambda: self._deps.grants.renew(refused))

    def lost(self, access: Access, fault: Fault) -> Awaitable[None]:
        """Record that the account has to be connected again."""
        return self.persist(lambda: self._deps.grants.lost(access, fault))

    async def permit(self, access: Access, job: Job, call: QuotaCall) -> PutOff | None:
        """Take a permit from the account's quota."""
        quota_user = QuotaUser(
            project_id=job.project_id,
            owner=Owner(job.platform, access.quota_owner),
            waited=job.waiting_for is WaitingFor.QUOTA,
        )
        self._quota_user = quota_user
        pacer = self._deps.pacer
        permit: PutOff | datetime | None = pacer.acquire_kept(quota_user, call)
        if permit is None:
            permit = await self.persist(lambda: pacer.acquire(quota_user, call))
        if isinstance(permit, PutOff):
            return permit
        self._send_by = permit
        return None

    def in_time(self) -> bool:
        """Tell whether the last permit still covers a call that is sent now."""
        return self._send_by is None or self.now() <= self._send_by

    async def rest(self, fault: Fault, *, until: datetime) -> None:
        """Let the account or the app rest after a refusal."""
        if (quota_user := self._quota_user) is not None:
            reason = cap_of(fault.code) or WaitingFor.QUOTA
            await self.persist(
                lambda: self._deps.pacer.rest(quota_user, until=until, reason=reason)
            )

    async def creator_info(
        self, access: Access, job: Job
    ) -> CreatorInfo | Fault | PutOff:
        """Ask what the creator may choose, at most once a minute."""

        async def ask() -> CreatorInfo | Fault | PutOff:
            # A task that is cancelled during a statement can leave SQLite locked.
            self.interruptible = False
            wait = await self.permit(access, job, QuotaCall.CREATOR_INFO)
            self._allow_interruption()
            if wait is not None:
                return wait
            asked_at = self.now()
            answer = await self.calls.creator_info(
                access.token, timeout=self.call_seconds()
            )
            self._compare_clocks(answer, asked_at)
            return answer

        self._allow_interruption()
        try:
            answer = await self._deps.creators.get(access, ask, now=self.now)
        finally:
            self.interruptible = False
        early = self._too_early(job) if isinstance(answer, CreatorInfo) else None
        return early or answer

    def _compare_clocks(self, answer: CreatorInfo | Fault, asked_at: datetime) -> None:
        watch = self._deps.tiktok_clock
        if watch is None or isinstance(answer, Fault) or answer.said_at is None:
            return
        watch.note(answer.said_at, asked_at=asked_at, exact_to=timedelta(seconds=1))

    def _too_early(self, job: Job) -> PutOff | None:
        """Put off a job that is not due yet by TikTok's clock.

        Not a Post Now, whose time is only that of its request.
        """
        watch = self._deps.tiktok_clock
        if watch is None or watch.ahead <= watch.tolerance or job.post_now:
            return None
        now = self.now()
        early = job.scheduled_for - (now - watch.ahead)
        if early <= timedelta(0):
            return None
        log.error(
            "our clock is ahead of TikTok's; the post waits",
            seconds=watch.ahead.total_seconds(),
        )
        until = now + min(early, LOOK_AT_CLOCKS_AGAIN)
        return PutOff(until=until, waiting_for=WaitingFor.CLOCK)

    async def video_seconds(self, job: Job) -> float | None:
        """Measure the video, if that is quick."""
        with self.interruption():
            return await self._deps.measure.seconds(job.asset_url)

    def clear_init(self, job: Job) -> Awaitable[Job | None]:
        """Write that TikTok did not take the init."""
        return self.persist(
            lambda: self._deps.claims.clear_init(job, now=self.now()), even_late=True
        )

    async def status(self, access: Access, publish_id: str) -> PublishStatus | Fault:
        """Ask how far the publish has got."""
        self._allow_interruption()
        try:
            return await self.calls.status(
                access.token, publish_id, timeout=self.call_seconds()
            )
        finally:
            self.interruptible = False

    async def persist(
        self, write: Callable[[], Awaitable[Result]], *, even_late: bool = False
    ) -> Result:
        """Write, waiting for an absent database while the lease lasts.

        Raises ClaimLost after that. With ``even_late`` it keeps trying: while the
        database is away nobody else takes over the job, and otherwise the claim token
        has changed. Such a write records what TikTok did, so a database's refusal is
        also waited out while the lease lasts. Before an init a refusal is raised.
        """
        try:
            while True:
                try:
                    return await write()
                except StoreUnavailable as error:
                    refused = isinstance(error, StoreRefused)
                    if refused and not even_late:
                        raise
                    if self._gives_up(even_late=even_late and not refused):
                        raise ClaimLost from None
                    self._waits_for_store = True
                    await self._deps.clock.sleep(STORE_RETRY_SECONDS)
        finally:
            self._waits_for_store = False

    def overdue(self, now: datetime) -> bool:
        """Tell whether the lease is over and the attempt still has to write.

        It knows more than the table, perhaps the publish_id.
        """
        late = now - self._lease_until
        if self._waits_for_store:
            return late >= timedelta(0)
        return timedelta(0) <= late < LONGEST_OVERDUE

    def renewed(self, *, until: datetime, jump: timedelta) -> None:
        """Use a renewed lease, after our clock was set."""
        self._lease_until = until
        self._until = min(self._until + jump, until)
        if self._stop_by is not None:
            self._stop_by += jump

    def check_lease(self) -> None:
        """Raise ClaimLost if the lease is over, after which nothing may be sent."""
        if self.now() >= self._lease_until:
            raise ClaimLost

    @contextmanager
    def interruption(self) -> Iterator[None]:
        """Let a stop break off this block."""
        self._allow_interruption()
        try:
            yield
        finally:
            self.interruptible = False

    def _gives_up(self, *, even_late: bool) -> bool:
        now = self.now()
        if self._stop_by is not None and now >= self._stop_by:
            return True
        return not even_late and now >= self._lease_until

    def seconds_left(self) -> float:
        """Return how long the attempt may go on."""
        return max(0.0, (self._until - self.now()).total_seconds())

    def call_seconds(self) -> float:
        """Return how long one call may take."""
        left = (self._until - self.now()).total_seconds()
        return min(self._deps.http_timeout, max(left, SHORTEST_CALL_SECONDS))

    def _allow_interruption(self) -> None:
        """Begin an interruptible block, which changes nothing outside."""
        if self.stopping:
            raise asyncio.CancelledError
        self.interruptible = True
