"""The state of an attempt, and what several of its steps do."""

from collections.abc import Awaitable, Callable
from typing import TypeVar, assert_never

from msgspec.structs import replace

from app.domain.accounts.quota import QuotaCall
from app.domain.jobs.job import ErrorClass, Job
from app.domain.jobs.outcome import Fault, HandedOn, Missed, Outcome, PutOff
from app.domain.jobs.readiness import Readiness
from app.grants.grants import Access
from app.grants.renewal import renewed, with_renewal
from app.runner.attempts.effects import Effects
from app.runner.attempts.verdicts import in_inbox, outcome_of, published
from app.tiktok.decode import fault_of_fail_reason
from app.tiktok.values import PublishState, PublishStatus

Answer = TypeVar("Answer")


class ClaimLost(Exception):
    """Another worker owns the job now; this attempt writes nothing more."""


class AttemptState:
    """The job as last written, the current access, and the ``effects``."""

    def __init__(self, job: Job, effects: Effects) -> None:
        self.job = job
        self.effects = effects
        self.access: Access
        self.username: str | None = None

    def own(self, written: Job | None) -> None:
        """Store the job as written; raises ClaimLost for None."""
        if written is None:
            raise ClaimLost
        self.job = written

    def name_person(self) -> None:
        """Note the post's owner, who is written together with the init."""
        self.job = replace(
            self.job,
            open_id=self.job.open_id or self.access.open_id,
            creator_username=self.username,
        )

    def remark(self, remarks: tuple[str, ...]) -> None:
        """Note what TikTok decides otherwise; it is written ahead of the init."""
        found = self.job.readiness
        if remarks == (found.remarks if found else ()):
            return
        found = found or Readiness(self.effects.now())
        found = replace(found, remarks=remarks, at_init=True)
        self.job = replace(self.job, readiness=found)

    # Before an init.

    async def permit_to_begin(self) -> PutOff | HandedOn | Missed | None:
        """Take a permit for an init; else return why none is sent now."""
        wait = await self.effects.permit(self.access, self.job, QuotaCall.INIT)
        return wait or self.too_late()

    def too_late(self) -> HandedOn | Missed | None:
        """Return why it is too late for an init; one cut short would be in doubt."""
        if self.effects.hurried():
            return HandedOn(resume_at=self.effects.now())
        return self.missed()

    def missed(self) -> Missed | None:
        """Tell whether the job's ``publish_by`` has passed."""
        by = self.job.publish_by
        return Missed() if by is not None and self.effects.now() >= by else None

    # Calls, and the outcomes of their answers.

    async def authorised(
        self, call: Callable[[Access], Awaitable[Answer]]
    ) -> Answer | Fault:
        """Make a repeatable call; repeat it once if only the token was refused."""
        answer, self.access = await with_renewal(self.access, call, self.effects.renew)
        return answer

    async def renew(self, refusal: Fault) -> Outcome | None:
        """Get a newer token than the refused one; else return the attempt's outcome.

        For calls that must not be repeated automatically.
        """
        newer = await renewed(refusal, self.access, self.effects.renew)
        if isinstance(newer, Fault):
            return await self.ended_by(newer)
        self.access = newer
        return None

    async def ended_by(self, fault: Fault, *, in_flight: bool = False) -> Outcome:
        """Return the outcome of a fault; record a lost account."""
        if fault.error_class is ErrorClass.AUTH:
            await self.effects.lost(self.access, fault)
        return outcome_of(fault, in_flight=in_flight)

    async def end_of(
        self, answer: PublishStatus | Fault, publish_id: str
    ) -> Outcome | None:
        """Return the outcome of a status answer; None: the attempt goes on."""
        if isinstance(answer, Fault):
            if answer.error_class is not ErrorClass.AUTH:
                return None  # an error of a status call says nothing about the post
            return await self.ended_by(answer, in_flight=True)
        match answer.state:
            case PublishState.COMPLETE:
                return published(answer, self.job, publish_id, self.username)
            case PublishState.IN_INBOX:
                return in_inbox(answer, publish_id)
            case PublishState.FAILED:
                fault = fault_of_fail_reason(answer.fail_reason, answer.log_id)
                return await self.ended_by(fault)
            case PublishState.PROCESSING:
                return None
            case _:
                assert_never(answer.state)
