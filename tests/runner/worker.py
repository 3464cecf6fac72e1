"""A worker of an imagined world: the real Attempt, with a pause at every step."""

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import suppress
from datetime import datetime, timedelta
from types import coroutine
from typing import Final, Protocol

from msgspec import structs
from msgspec.structs import replace

from app.domain.accounts.account import CreatorInfo
from app.domain.accounts.quota import QuotaCall
from app.domain.jobs.job import Job, WaitingFor
from app.domain.jobs.outcome import Fault, HandedOn, Outcome, PutOff, Verdict
from app.grants.grants import Access
from app.runner.attempts import attempt_pool
from app.runner.attempts.attempt import Attempt
from app.runner.attempts.attempt_state import AttemptState, ClaimLost
from app.runner.attempts.polling import PollPolicy
from app.runner.attempts.ways.gateway import GatewayPull
from app.runner.attempts.ways.way import Way
from app.tiktok.values import InitTaken, PublishStatus
from tests.domain.jobs.sample import NOW
from tests.runner.fates import Fate
from tests.runner.imagined import Row, TikTok
from tests.runner.scripted import (
    ACCESS,
    BANNED,
    BLIP,
    GONE,
    INFO,
    LIMITED,
    NO_SCOPE,
    REFUSED,
    fault,
)

POLL: Final = PollPolicy(interval=timedelta(seconds=30))
UNSENT: Final = fault("connect_failed", verdict=Verdict.NOT_SENT)
CAPPED: Final = replace(LIMITED, code="spam_risk_too_many_posts")
FAULTS: Final = {
    "refused": REFUSED,
    "blip": fault(),
    "gone": GONE,
    "limited": LIMITED,
    "banned": BANNED,
    "capped": CAPPED,
    "no_scope": NO_SCOPE,
    "unsent": UNSENT,
    "lost_taken": BLIP,
    "lost_untaken": BLIP,
    "lost_and_late": BLIP,
}
UNOFFERED: Final = structs.replace(INFO, privacy_options=())
INTERRUPTIBLE: Final = frozenset({"pause", "creator_info", "status"})


@coroutine
def step(name: str) -> Generator[str, None, None]:
    """Let anything happen here."""
    yield name


class World(Protocol):
    """What all workers of a job share."""

    now: datetime
    fate: Fate
    row: Row
    tiktok: TikTok
    on_its_way: list[Job]  # inits that left us and did not arrive yet
    undisturbed: bool  # every worker and every answer came through

    def take(self, job: Job) -> str:
        """Let an init arrive at TikTok."""
        ...


class Worker:
    """One claim's attempt, in steps; the imagined effects of the real Attempt."""

    def __init__(self, world: World, job: Job) -> None:
        self._world = world
        self._lease_until = job.next_attempt_at or NOW
        self._attempt = Attempt(job, self, POLL, self.way_of)
        self._stopping = False
        self._at = ""
        self._work: Coroutine[str, None, None] = self._run()

    def go_on(self) -> bool:
        """Take one step; False if it was the last."""
        try:
            self._at = self._work.send(None)
        except StopIteration:
            return False
        return True

    def stop(self) -> bool:
        """Be told to stop; waits and questions are broken off, nothing else is."""
        self._stopping = True
        return self.break_off() if self._at in INTERRUPTIBLE else self.go_on()

    def break_off(self) -> bool:
        """Be stopped in whatever it is."""
        self._stopping = True
        return self._throw(asyncio.CancelledError())

    def stumble(self) -> bool:
        """Meet a mistake of our own."""
        return self._throw(RuntimeError("a bug"))

    def die(self) -> None:
        """End without a word."""
        self._work.close()

    def _throw(self, error: BaseException) -> bool:
        try:
            self._at = self._work.throw(error)
        except (StopIteration, asyncio.CancelledError, RuntimeError):
            return False
        return True

    async def _run(self) -> None:
        await step("start")
        with suppress(ClaimLost):
            outcome = await self._outcome()
            job = self._attempt.job
            await step("before the end")
            self._world.row.end(job, outcome, self.now())
            await step("after the end")

    async def _outcome(self) -> Outcome:
        """Judge as the pool does."""
        try:
            return await self._attempt.run()
        except asyncio.CancelledError:
            return HandedOn(resume_at=self.now())
        except RuntimeError:
            return attempt_pool._broken(self._attempt.job)

    # The effects: each may be interrupted before it is done, and after.

    def now(self) -> datetime:
        """Return the world's time."""
        return self._world.now

    def hurried(self) -> bool:
        """Be hurried at times, and always once told to stop."""
        return self._stopping or self._world.fate.answer("hurried") != "ok"

    async def pause(self, seconds: float) -> None:
        """Let time pass, for all."""
        until = self.now() + timedelta(seconds=seconds)
        await step("pause")
        self._world.now = max(self.now(), until)

    async def access(self, job: Job) -> Access | Fault:
        """Hand out a token."""
        return FAULTS.get(await self._ask("access"), ACCESS)

    async def renew(self, refused: Access) -> Access | Fault:
        """Hand out another."""
        return FAULTS.get(await self._ask("renew"), ACCESS)

    async def lost(self, access: Access, fault: Fault) -> None:
        """Note it."""
        await step("lost")

    async def permit(self, access: Access, job: Job, call: QuotaCall) -> PutOff | None:
        """Give a place, or a later one."""
        return self._put_off(await self._ask("permit"))

    def in_time(self) -> bool:
        """Be late at times."""
        return self._world.fate.answer("in_time") == "ok"

    def way_of(self, state: AttemptState) -> Way:
        """Let TikTok pull, through a gateway if there is one."""
        return GatewayPull(state, self)

    async def video_seconds(self, job: Job) -> float | None:
        """Tell nothing of the video."""
        return None

    async def creator_info(
        self, access: Access, job: Job
    ) -> CreatorInfo | Fault | PutOff:
        """Tell what may be chosen."""
        answer = await self._ask("creator_info")
        if wait := self._put_off(answer):
            return wait
        return FAULTS.get(answer, UNOFFERED if answer == "not_offered" else INFO)

    async def stamp_init(self, job: Job) -> Job | None:
        """Write the stamp."""
        now = self.now()
        await step("before the stamp")
        written = self._world.row.stamp_init(job, now)
        await step("after the stamp")
        return written

    async def clear_init(self, job: Job) -> Job | None:
        """Take the stamp back."""
        await step("before the stamp is taken back")
        written = self._world.row.clear_init(job)
        await step("after the stamp is taken back")
        return written

    async def init(self, access: Access, job: Job) -> InitTaken | Fault:
        """Send the init, which arrives or does not, now or later."""
        if self.now() >= self._lease_until:
            raise ClaimLost
        answer = self._world.fate.answer("init")
        await step("before the init")
        taken = InitTaken(publish_id="")
        self._world.undisturbed &= not answer.startswith("lost")
        if answer in ("ok", "lost_taken"):
            taken = InitTaken(publish_id=self._world.take(job))
        if answer == "lost_and_late":
            self._world.on_its_way.append(job)
        await step("after the init")
        return FAULTS.get(answer, taken)

    async def revoke_media(self, job: Job) -> bool:
        """Withdraw the video, if it is ours to give."""
        await step("before the video is withdrawn")
        link = self._world.row.links.get(job.media_token or "none")
        revoked = link is not None and link.revoke(self.now())
        await step("after the video is withdrawn")
        return revoked

    async def save_publish_id(self, job: Job, publish_id: str) -> Job | None:
        """Write the id."""
        await step("before the id")
        written = self._world.row.save_publish_id(job, publish_id, self.now())
        await step("after the id")
        return written

    async def status(self, access: Access, publish_id: str) -> PublishStatus | Fault:
        """Tell how far it is."""
        answer = await self._ask("status")
        publish = self._world.tiktok.taken[publish_id]
        return FAULTS.get(answer, publish.status(self.now()))

    async def _ask(self, effect: str) -> str:
        await step(effect)
        return self._world.fate.answer(effect)

    def _put_off(self, answer: str) -> PutOff | None:
        seconds = {"soon": 10, "late": 4000}.get(answer)
        if seconds is None:
            return None
        until = self.now() + timedelta(seconds=seconds)
        return PutOff(until=until, waiting_for=WaitingFor.QUOTA)
