"""Push: we fetch the video and upload it; the upload URL is the fence.

Only the answer to an init names the URL, and TikTok starts the post after the last
byte. So an init without an answer is void, and what is begun may be begun again until
the mark stands that is written ahead of the last chunk.
https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

from datetime import timedelta

from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import (
    Fault,
    Outcome,
    PutOff,
    Rejected,
    Transient,
    Verdict,
)
from app.domain.posts.upload import (
    URL_LIFETIME,
    ChunkPlan,
    Upload,
    is_over_for_certain,
    may_repeat,
    subject_of,
)
from app.grants.renewal import is_refused
from app.outbound import SourceFailed, SourceInfo
from app.runner.attempts.attempt_state import AttemptState
from app.runner.attempts.verdicts import outcome_of
from app.runner.attempts.ways.push_effects import PushEffects
from app.runner.attempts.ways.sending import Sending, written
from app.runner.attempts.ways.upload_faults import (
    UPLOAD_FAILED,
    UPLOAD_HOST_REFUSED,
    UPLOAD_URL_OVER,
    fault_of_source,
    upload_fault,
)
from app.runner.attempts.ways.way import Step, Void
from app.tiktok import PublishState, PublishStatus, UploadTaken, upload_type

Opened = int | Void | Outcome
"""The byte to go on from, or why there is none."""


class Push:
    """One attempt's upload."""

    def __init__(self, state: AttemptState, effects: PushEffects) -> None:
        self._state = state
        self._effects = effects
        self._source = effects.source(state.job)
        self._sending = Sending(state, effects, self._source)

    def is_under_way(self) -> bool:
        """Tell whether TikTok waits for the rest of an upload that was begun."""
        return self._opened() is not None and not self._is_old()

    async def measure(self) -> float | None:
        """Look at the first bytes, which are kept for the upload that follows.

        A video that has begun to be sent was measured then.
        """
        if self.is_under_way():
            return None
        try:
            info = await self._source.open()
            return await self._effects.measure(self._state.job, self._source, info.size)
        except SourceFailed:
            return None  # whoever begins says why

    async def begin(self, void: Void | None = None) -> Step:
        """Get every byte to TikTok, from wherever the upload stands."""
        if void is None:
            return await self._send_from(await self._open())
        state = self._state
        if not may_repeat(state.job.upload_repeats, now=state.effects.now()):
            return Transient(fault=void.fault)
        state.own(await self._effects.note_repeat(state.job))
        return await self._send_from(await self._init())

    async def follow(self, status: PublishStatus) -> Step:
        """Send again what is missing though the last chunk went out.

        Void only if the URL is over for certain: whoever wrote the mark may still be
        about to send.
        """
        if not self._sending.is_missing(status):
            return None
        issued_at = written(self._state.job.upload_issued_at)
        if is_over_for_certain(issued_at, now=self._state.effects.now()):
            return Void(_over())
        if self._opened() is None:
            return None
        step = await self._sending.go_on(self._sending.offset(status))
        if not isinstance(step, int):
            return None  # what is missing cannot be had: hold
        return await self._send_from(step)

    def goes_on(self, *, within: timedelta) -> bool:  # noqa: ARG002
        """Tell that time is a failure: all that took long was ours to send."""
        return False

    async def give_up(self, fault: Fault) -> Void:
        """Let it be: nobody knows the URL, so nothing can come of it."""
        return Void(fault)

    async def close(self) -> None:
        """Hang up on the video's server."""
        await self._source.aclose()

    # Opening an upload, or going on with one that another worker began.

    async def _open(self) -> Opened:
        upload = self._opened()
        if upload is None or upload.subject != subject_of(self._state.job):
            return await self._init()
        if self._is_old():
            return Void(_over())
        sending, status = self._sending, await self._sending.ask()
        if isinstance(status, PutOff):
            return status
        if isinstance(status, Fault):
            if status.error_class is ErrorClass.AUTH:
                return await self._state.ended_by(status)
            offset = self._state.job.uploaded_bytes or 0  # the host says if it is wrong
        else:
            if status.state is PublishState.FAILED:
                return Void(upload_fault(UPLOAD_FAILED, "TikTok gave the upload up"))
            ended = await self._state.end_of(status, sending.publish_id)
            if ended is not None:
                return ended
            offset = sending.offset(status)
        return await sending.go_on(min(offset, sending.size - 1))

    async def _init(self) -> Opened:
        try:
            info = await self._source.open()
        except SourceFailed as failed:
            return outcome_of(fault_of_source(failed))
        plan = self._effects.plan(info.size)
        answer = await self._send_init(plan)
        if is_refused(answer):
            ended = await self._state.renew(answer)
            answer = ended or await self._send_init(plan)
        match answer:
            case UploadTaken():
                return await self._save(answer, plan, info)
            case Fault(verdict=Verdict.UNKNOWN):
                return await self.give_up(answer)
            case Fault():
                return await self._state.ended_by(answer)
            case _:
                return answer

    async def _send_init(self, plan: ChunkPlan) -> UploadTaken | Fault | Outcome:
        state = self._state
        ended = await state.permit_to_begin()
        if ended is not None:
            return ended
        return await self._effects.upload_init(state.access, state.job, plan)

    async def _save(
        self, taken: UploadTaken, plan: ChunkPlan, info: SourceInfo
    ) -> Opened:
        """Write the upload down before its first byte."""
        problem = self._effects.problem_with(taken.upload_url)
        if problem is not None:
            text = f"the upload URL {problem}"
            fault = upload_fault(
                UPLOAD_HOST_REFUSED, text, error_class=ErrorClass.PERMANENT
            )
            return Rejected(fault=fault)
        state = self._state
        upload = Upload(
            publish_id=taken.publish_id,
            url=taken.upload_url,
            chunk_size=plan.chunk_size,
            content_type=upload_type(info.content_type, state.job.asset_url),
            subject=subject_of(state.job),
        )
        self._sending.begin_anew()
        state.own(await self._effects.save(state.job, upload, info))
        return 0

    async def _send_from(self, opened: Opened) -> Step:
        """Send what TikTok lacks; the video's server is not kept while it works."""
        if not isinstance(opened, int):
            return opened
        ended = await self._sending.run(written(self._opened()), opened)
        await self._source.aclose()
        return ended

    def _opened(self) -> Upload | None:
        return self._effects.opened(self._state.job)

    def _is_old(self) -> bool:
        issued_at = written(self._state.job.upload_issued_at)
        return self._state.effects.now() - issued_at > URL_LIFETIME


def _over() -> Fault:
    return upload_fault(UPLOAD_URL_OVER, "the upload was not ended in its hour")
