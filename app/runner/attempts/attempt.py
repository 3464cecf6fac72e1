"""One attempt: check, init, follow, as small steps whose effects are handed in.

https://developers.tiktok.com/doc/content-posting-api-get-started
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar, assert_never

from msgspec.structs import replace

from app.domain import codes
from app.domain.accounts.quota import QuotaCall
from app.domain.jobs.job import ErrorClass, Job, Transfer
from app.domain.jobs.lifecycle import OUTCOME_UNKNOWN
from app.domain.jobs.outcome import (
    Fault,
    HandedOn,
    Missed,
    Outcome,
    Processing,
    PutOff,
    Rejected,
    Transient,
    Unconfirmed,
    Verdict,
)
from app.domain.posts.media import too_long
from app.domain.posts.post import MediaType, PostMode
from app.grants.grants import Access
from app.grants.renewal import is_refused, renewed, with_renewal
from app.runner.attempts.effects import Effects
from app.runner.attempts.verdicts import (
    but_for_shortage,
    in_inbox,
    longer_than_allowed,
    not_offered,
    outcome_of,
    published,
    still_working,
)
from app.runner.attempts.ways.pull_progress import LONGEST_PULL, PullProgress
from app.runner.attempts.ways.push import Push, Void
from app.runner.attempts.ways.push_effects import PushEffects
from app.tiktok import (
    InitTaken,
    PublishState,
    PublishStatus,
    fault_of_fail_reason,
)

SHORTEST_WAIT: Final = timedelta(seconds=0.1)
"""Between two asks for a turn, whatever the answer was."""

Answer = TypeVar("Answer")
Measure = Callable[[Job], Awaitable[float | None]]
"""Tells how many seconds a job's video has, None if that cannot be told."""


class ClaimLost(Exception):
    """Another worker owns the job now; whatever this attempt knows is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPolicy:
    """How a publish is followed."""

    interval: timedelta = timedelta(seconds=5)
    deadline: timedelta = timedelta(seconds=90)


class Attempt:
    """One claimed job on its way; ``run`` returns what it came to.

    ``job`` is the row as last written by this attempt.
    """

    def __init__(
        self,
        job: Job,
        effects: Effects,
        poll: PollPolicy,
        push: PushEffects | None = None,
        measure: Measure | None = None,
    ) -> None:
        self.job = job
        self.effects = effects
        self.access: Access
        self._poll = poll
        self._push = Push(self, push) if push is not None else None
        self._measure = measure
        self._username: str | None = None

    async def run(self) -> Outcome:
        """Carry the job as far as it goes; raises ClaimLost."""
        return but_for_shortage(await self._run(), now=self.effects.now())

    async def _run(self) -> Outcome:
        if self.job.ambiguous:
            ended = await self._void_init()
            if ended is not None:
                return ended
        access = await self.effects.access(self.job)
        if isinstance(access, Fault):
            return outcome_of(access, in_flight=self.job.in_flight)
        self.access = access
        self._username = self.job.creator_username or access.username
        resumes = self.job.in_flight
        if not resumes:
            ended = await self._ready()
            if ended is None:
                self._name_person()
                ended = await self._begin()
            if ended is not None:
                return ended
        followed = await self._follow(at_once=resumes)
        while isinstance(followed, Void):
            again = await self._begin(followed)
            followed = again or await self._follow(at_once=False)
        return followed

    async def _ready(self) -> Outcome | None:
        """Look whether it may begin; an upload that is under way has begun in time."""
        if self._push is not None and self._push.is_under_way():
            return await self._check()
        return self.missed() or await self._check() or self.missed()

    def missed(self) -> Missed | None:
        """Tell whether the job's last moment is over; nothing is sent after it."""
        by = self.job.publish_by
        return Missed() if by is not None and self.effects.now() >= by else None

    def _name_person(self) -> None:
        """Note whose post it will be; whatever is written of its init says so."""
        self.job = replace(
            self.job,
            open_id=self.job.open_id or self.access.open_id,
            creator_username=self._username,
        )

    async def _begin(self, void: Void | None = None) -> Outcome | None:
        """Send the init, and the video if that is ours to send; None: follow it."""
        if self.job.transfer is Transfer.PULL:
            return await self._init()
        if self._push is None:
            raise AssertionError("this process uploads nothing")
        return await self._push.begin(void)

    # Before the init: nothing here reaches the account.

    async def _check(self) -> Outcome | None:
        """Ask TikTok whether this creator may post this now."""
        post = self.job.post
        if post.mode is PostMode.INBOX:
            return None
        answer = await self.authorised(
            lambda access: self.effects.creator_info(access, self.job)
        )
        if isinstance(answer, PutOff):
            return answer
        if isinstance(answer, Fault):
            return await self.give_up(answer)
        self._username = answer.username or self._username
        if post.privacy_level not in answer.privacy_options:
            return Rejected(fault=not_offered(answer, str(post.privacy_level)))
        return await self._check_length(answer.max_video_seconds)

    async def _check_length(self, max_seconds: int | None) -> Outcome | None:
        """Reject a video that is longer than this creator may post, for certain.

        A job that was looked at ahead of its time was measured then.
        """
        job = self.job
        if not max_seconds or job.post.media_type is MediaType.PHOTO:
            return None
        if job.readiness is not None:
            seconds = job.readiness.video_seconds
        else:
            seconds = await self._measure(job) if self._measure is not None else None
        if not too_long(seconds, max_seconds):
            return None
        return Rejected(fault=longer_than_allowed(seconds, max_seconds))

    # The init: written ahead, sent once, and its answer written before anything else.

    async def _init(self) -> Outcome | None:
        answer = await self._send_init()
        if is_refused(answer):
            # Known not to be taken: say so before a refresh that may take long.
            self.own(await self.effects.clear_init(self.job))
            newer = await renewed(answer, self.access, self.effects.renew)
            if isinstance(newer, Fault):
                return await self.give_up(newer)
            self.access = newer
            answer = await self._send_init()
        match answer:
            case InitTaken():
                self.own(
                    await self.effects.save_publish_id(self.job, answer.publish_id)
                )
                return None
            case Fault(verdict=Verdict.UNKNOWN):
                return await self._unknown(answer)
            case Fault(code=codes.OUT_OF_RESOURCES):
                # It is put off: what is stamped would be taken for sent.
                self.own(await self.effects.clear_init(self.job))
                return await self.give_up(answer)
            case Fault():
                return await self.give_up(answer)
            case _:
                return answer

    async def _unknown(self, fault: Fault) -> Outcome:
        """Judge an init whose answer never came.

        Without its video no post can come of it: where the media gateway had not been
        asked for that yet, and now never gives it out, a retry is safe.
        """
        if await self.effects.revoke_media(self.job):
            return Transient(fault=fault)
        return Unconfirmed(fault=fault)

    async def _void_init(self) -> Outcome | None:
        """Make sure that nothing comes of an init that another worker may have sent."""
        if not await self.effects.revoke_media(self.job):
            return Unconfirmed(fault=OUTCOME_UNKNOWN)
        self.own(await self.effects.clear_init(self.job))
        return None

    async def _send_init(self) -> InitTaken | Fault | PutOff | HandedOn | Missed:
        wait = await self.effects.turn(self.access, self.job, QuotaCall.INIT)
        if wait is not None:
            return wait
        if self.effects.hurried():
            return HandedOn(resume_at=self.effects.now())
        if (missed := self.missed()) is not None:
            return missed
        self.own(await self.effects.stamp_init(self.job))
        ended = await self._still_time()
        if ended is not None:
            self.own(await self.effects.clear_init(self.job))
            return ended
        return await self.effects.init(self.access, self.job)

    async def _still_time(self) -> PutOff | HandedOn | Missed | None:
        """Look whether the init may go out, however long its stamp took to write."""
        if not self.effects.in_time():
            # Once: were each place too old, one call too many is better than no post.
            wait = await self.effects.turn(self.access, self.job, QuotaCall.INIT)
            if wait is not None:
                return wait
        if self.effects.hurried():
            # An init cut short would leave its fate open.
            return HandedOn(resume_at=self.effects.now())
        return self.missed()

    # After the init: TikTok has it, and only TikTok's word ends it.

    async def _follow(self, *, at_once: bool) -> Outcome | Void:
        """Poll until TikTok is done or the deadline comes.

        Void if nothing can come of the upload: the next may be sent.
        """
        publish_id = self.job.publish_id
        if publish_id is None:
            raise AssertionError("a publish is followed only once its id is written")
        poll_at = self.effects.now()
        deadline = self._deadline()
        if at_once:  # however late a publish is resumed, TikTok gets time to answer
            deadline = max(deadline, poll_at + self._poll.interval)
        else:
            poll_at += self._poll.interval
        progress = PullProgress()
        last: PublishStatus | Fault | None = None
        while poll_at <= deadline:
            if not await self._wait(poll_at):
                return self._hand_on(poll_at, deadline)
            wait = await self.effects.turn(self.access, self.job, QuotaCall.STATUS)
            if wait is not None:
                # To wait for one's turn is no attempt, so it uses none of its time.
                turn = max(wait.until, poll_at + SHORTEST_WAIT)
                deadline, poll_at = deadline + (turn - poll_at), turn
                continue
            answer = await self.authorised(
                lambda access: self.effects.status(access, publish_id)
            )
            ended = await self._judge(answer, publish_id, progress)
            if ended is not None:
                return ended
            deadline = max(deadline, self._deadline())  # from the last chunk on
            last = answer
            poll_at = self.effects.now() + self._poll.interval
        if not await self._wait(deadline):
            return self._hand_on(deadline, deadline)
        return self._not_done(publish_id, progress, last)

    def _not_done(
        self,
        publish_id: str,
        progress: PullProgress,
        last: PublishStatus | Fault | None,
    ) -> Outcome:
        """Say what a publish comes to that is not over at the deadline."""
        if self._pull_goes_on(progress):
            now = self.effects.now()
            return HandedOn(resume_at=now, polling_since=now)
        fault = last if isinstance(last, Fault) else still_working(last)
        return Processing(publish_id=publish_id, fault=fault)

    async def _judge(
        self, answer: PublishStatus | Fault, publish_id: str, progress: PullProgress
    ) -> Outcome | Void | None:
        """Return what an answer ends the polling with, once what is missing is sent."""
        ended = await self.ending(answer, publish_id)
        if ended is not None or isinstance(answer, Fault):
            return ended
        progress.note(answer, self.effects.now())
        return await self._fill_up(answer)

    def _pull_goes_on(self, progress: PullProgress) -> bool:
        """Tell whether TikTok visibly fetches the video, within the time it has."""
        now, sent_at = self.effects.now(), self.job.init_sent_at
        in_time = sent_at is not None and now - sent_at < LONGEST_PULL
        return in_time and progress.goes_on(now, within=self._poll.deadline / 2)

    async def _fill_up(self, status: PublishStatus) -> Outcome | Void | None:
        """Send what is missing of an upload whose last chunk went out."""
        if self._push is None or self.job.transfer is Transfer.PULL:
            return None
        return await self._push.fill_up(status)

    def _hand_on(self, resume_at: datetime, deadline: datetime) -> HandedOn:
        """Let another worker go on with what is left of the time until the deadline."""
        return HandedOn(
            resume_at=resume_at, polling_since=deadline - self._poll.deadline
        )

    def _deadline(self) -> datetime:
        """Count from the init, or from the beginning of an attempt that resumes it."""
        moments = (self.job.publish_started_at, self.job.attempt_started_at)
        began = max(moment for moment in moments if moment is not None)
        return began + self._poll.deadline

    async def _wait(self, until: datetime) -> bool:
        """Wait; False if the worker has to hand the job on instead."""
        seconds = (until - self.effects.now()).total_seconds()
        if seconds > 0:
            await self.effects.pause(seconds)
        return not self.effects.hurried()

    async def ending(
        self, answer: PublishStatus | Fault, publish_id: str
    ) -> Outcome | None:
        """Return what a status answer ends the attempt with, None to poll on."""
        if isinstance(answer, Fault):
            if answer.error_class is not ErrorClass.AUTH:
                return None  # an error on a status call says nothing of the post
            return await self.give_up(answer, in_flight=True)
        match answer.state:
            case PublishState.COMPLETE:
                return published(answer, self.job, publish_id, self._username)
            case PublishState.IN_INBOX:
                return in_inbox(answer, publish_id)
            case PublishState.FAILED:
                fault = fault_of_fail_reason(answer.fail_reason, answer.log_id)
                return await self.give_up(fault)
            case PublishState.PROCESSING:
                return None
            case _:
                assert_never(answer.state)

    # What every call shares.

    async def authorised(
        self, call: Callable[[Access], Awaitable[Answer]]
    ) -> Answer | Fault:
        """Make a call that may be repeated; once more if only the token was stale."""
        answer, self.access = await with_renewal(self.access, call, self.effects.renew)
        return answer

    async def give_up(self, fault: Fault, *, in_flight: bool = False) -> Outcome:
        """End the attempt; what is wrong with the account is recorded there too."""
        if fault.error_class is ErrorClass.AUTH:
            await self.effects.lost(self.access, fault)
        return outcome_of(fault, in_flight=in_flight)

    def own(self, written: Job | None) -> None:
        """Go on from what was written; raises ClaimLost."""
        if written is None:
            raise ClaimLost
        self.job = written
