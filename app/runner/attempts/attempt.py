"""One attempt: check, begin, follow, give up.

How the media gets to TikTok depends on the job: see ``ways``.
https://developers.tiktok.com/doc/content-posting-api-get-started
"""

from collections.abc import Callable

from app.domain.accounts.account_readiness import switched_off
from app.domain.jobs.job import Job
from app.domain.jobs.lifecycle import OUTCOME_UNKNOWN
from app.domain.jobs.outcome import Fault, Outcome, PutOff, Rejected, Unconfirmed
from app.domain.posts.media import too_long
from app.domain.posts.post import PostMode
from app.runner.attempts.attempt_state import AttemptState
from app.runner.attempts.effects import Effects
from app.runner.attempts.polling import Polling, PollPolicy
from app.runner.attempts.verdicts import (
    but_for_shortage,
    longer_than_allowed,
    not_offered,
    outcome_of,
)
from app.runner.attempts.ways.way import Step, Void, Way


class Attempt:
    """One attempt of a claimed job; ``run`` returns its outcome."""

    def __init__(
        self,
        job: Job,
        effects: Effects,
        poll: PollPolicy,
        way_of: Callable[[AttemptState], Way],
    ) -> None:
        self._state = AttemptState(job, effects)
        self._way = way_of(self._state)
        self._polling = Polling(self._state, self._way, poll)

    @property
    def job(self) -> Job:
        """Return the job as last written by this attempt."""
        return self._state.job

    async def run(self) -> Outcome:
        """Run all steps and return the outcome; raises ClaimLost."""
        try:
            outcome = await self._carried()
        finally:
            await self._way.close()
        return but_for_shortage(outcome, now=self._state.effects.now())

    async def _carried(self) -> Outcome:
        state, way = self._state, self._way
        ended: Step = await self._settle() or await self._connect()
        resumes = state.job.in_flight
        if ended is None and not resumes:
            ended = await self._check() or await self._begin()
        while True:
            if ended is None:
                ended = await self._polling.run(at_once=resumes)
            elif isinstance(ended, Void):
                ended, resumes = await way.begin(ended), False
            else:
                return ended

    async def _settle(self) -> Outcome | None:
        """Make sure that no post comes of an init that another worker may have sent."""
        state = self._state
        if not state.job.ambiguous:
            return None
        left = await self._way.give_up(OUTCOME_UNKNOWN)
        if isinstance(left, Unconfirmed):
            return left
        state.own(await state.effects.clear_init(state.job))
        return None

    async def _connect(self) -> Outcome | None:
        """Get a token that should work."""
        state = self._state
        access = await state.effects.access(state.job)
        if isinstance(access, Fault):
            return outcome_of(access, in_flight=state.job.in_flight)
        state.access = access
        state.username = state.job.creator_username or access.username
        return None

    async def _check(self) -> Outcome | None:
        """Check whether a publish may begin; one that has begun goes on."""
        if self._way.is_under_way():
            return await self._ask_creator()
        missed = self._state.missed
        return missed() or await self._ask_creator() or missed()

    async def _ask_creator(self) -> Outcome | None:
        """Ask TikTok whether the creator may post this now."""
        state = self._state
        post = state.job.post
        if post.mode is PostMode.INBOX:
            return None
        answer = await state.authorised(
            lambda access: state.effects.creator_info(access, state.job)
        )
        if isinstance(answer, PutOff):
            return answer
        if isinstance(answer, Fault):
            return await state.ended_by(answer)
        state.username = answer.username or state.username
        if post.privacy_level not in answer.privacy_options:
            return Rejected(fault=not_offered(answer, str(post.privacy_level)))
        ended = await self._check_length(answer.max_video_seconds)
        state.remark(switched_off(post, answer))
        return ended

    async def _check_length(self, max_seconds: int | None) -> Outcome | None:
        """Reject a video that is certainly longer than the creator may post.

        An earlier readiness check may have measured it already.
        """
        job = self._state.job
        if not max_seconds:
            return None
        looked_at = job.readiness
        if looked_at is not None and not looked_at.is_first:
            seconds = looked_at.video_seconds
        else:
            seconds = await self._way.measure()
        if not too_long(seconds, max_seconds):
            return None
        return Rejected(fault=longer_than_allowed(seconds, max_seconds))

    async def _begin(self) -> Step:
        """Begin the publish, and note the connected person as its owner."""
        self._state.name_person()
        return await self._way.begin()
