"""Poll a publish until TikTok says how it ended."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from app.domain.accounts.quota import QuotaCall
from app.domain.jobs.outcome import Fault, HandedOn, Outcome, Processing
from app.runner.attempts.attempt_state import AttemptState
from app.runner.attempts.verdicts import still_working
from app.runner.attempts.ways.way import Step, Void, Way
from app.tiktok.values import PublishStatus

SHORTEST_WAIT: Final = timedelta(seconds=0.1)
"""The least pause between two requests for a permit."""


class PollPolicy(Struct, frozen=True, kw_only=True):
    """The interval and the deadline of polling."""

    interval: timedelta = timedelta(seconds=5)
    deadline: timedelta = timedelta(seconds=90)


class Polling:
    """Polls a publish until it is over or the deadline comes."""

    def __init__(self, state: AttemptState, way: Way, policy: PollPolicy) -> None:
        self._state = state
        self._way = way
        self._policy = policy
        self._last: PublishStatus | Fault | None = None

    async def run(self, *, at_once: bool) -> Void | Outcome:
        """Poll; Void if no post can come of it, so that it may be begun again."""
        effects, interval = self._state.effects, self._policy.interval
        poll_at = effects.now()
        deadline = self._deadline()
        if at_once:  # however late it is resumed, there is time for one answer
            deadline = max(deadline, poll_at + interval)
        else:
            poll_at += interval
        while poll_at <= deadline:
            if not await self._wait(poll_at):
                return self._hand_on(poll_at, deadline)
            turn = await self._later_turn(poll_at)
            if turn is not None:
                # Waiting for a permit uses none of the attempt's time.
                deadline, poll_at = deadline + (turn - poll_at), turn
                continue
            ended = await self._ask()
            if ended is not None:
                return ended
            deadline = max(deadline, self._deadline())  # it counts from the last chunk
            poll_at = effects.now() + interval
        if not await self._wait(deadline):
            return self._hand_on(deadline, deadline)
        return self._not_done()

    async def _later_turn(self, poll_at: datetime) -> datetime | None:
        """Take a permit for the call; else return when to try again."""
        state = self._state
        wait = await state.effects.permit(state.access, state.job, QuotaCall.STATUS)
        return None if wait is None else max(wait.until, poll_at + SHORTEST_WAIT)

    async def _ask(self) -> Step:
        """Return the outcome of TikTok's answer, None to continue."""
        state, publish_id = self._state, self._publish_id
        answer = await state.authorised(
            lambda access: state.effects.status(access, publish_id)
        )
        ended: Step = await state.end_of(answer, publish_id)
        if ended is None and isinstance(answer, PublishStatus):
            ended = await self._way.follow(answer)
        self._last = answer
        return ended

    def _not_done(self) -> Outcome:
        """Return the outcome of a publish that is not over at the deadline."""
        if self._way.goes_on(within=self._policy.deadline / 2):
            now = self._state.effects.now()
            return HandedOn(resume_at=now, polling_since=now)
        last = self._last
        fault = last if isinstance(last, Fault) else still_working(last)
        return Processing(publish_id=self._publish_id, fault=fault)

    def _hand_on(self, resume_at: datetime, deadline: datetime) -> HandedOn:
        """Let another worker poll for the rest of the time until the deadline."""
        return HandedOn(
            resume_at=resume_at, polling_since=deadline - self._policy.deadline
        )

    def _deadline(self) -> datetime:
        """Count from the init, or from the start of an attempt that resumes it."""
        job = self._state.job
        moments = (job.publish_started_at, job.attempt_started_at)
        began = max(moment for moment in moments if moment is not None)
        return began + self._policy.deadline

    async def _wait(self, until: datetime) -> bool:
        """Wait; False if the job has to be handed on instead."""
        effects = self._state.effects
        seconds = (until - effects.now()).total_seconds()
        if seconds > 0:
            await effects.pause(seconds)
        return not effects.hurried()

    @property
    def _publish_id(self) -> str:
        publish_id = self._state.job.publish_id
        if publish_id is None:
            raise AssertionError("a publish is followed only once its id is written")
        return publish_id
