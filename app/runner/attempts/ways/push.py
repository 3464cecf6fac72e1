"""Push: we fetch the video and upload it; nothing is posted without the upload URL.

Only the answer to an init names the URL, and TikTok starts the post after the last
byte. So an init without an answer is void, and an upload may be begun again until the
mark is written, which is done before the last chunk.
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
from app.outbound.source import SourceFailed, SourceInfo
from app.runner.attempts.attempt_state import AttemptState
from app.runner.attempts.effects import PushEffects
from app.runner.attempts.verdicts import outcome_of
from app.runner.attempts.ways.sending import Sending, written
from app.runner.attempts.ways.upload_faults import (
    UPLOAD_HOST_REFUSED,
    UPLOAD_URL_OVER,
    fault_of_source,
    upload_fault,
)
from app.runner.attempts.ways.way import Step, Void
from app.tiktok.upload_answers import upload_type
from app.tiktok.values import PublishState, PublishStatus, UploadTaken

Opened = int | Void | Outcome
"""The offset to continue from, or why there is none."""


class Push:
    """One attempt's upload."""

    def __init__(self, state: AttemptState, effects: PushEffects) -> None:
        self._state = state
        self._effects = effects
        self._source = effects.source(state.job)
        self._sending = Sending(state, effects, self._source)

    def is_under_way(self) -> bool:
        """Tell whether TikTok waits for the rest of a running upload."""
        return self._opened() is not None and not self._is_old()

    async def measure(self) -> float | None:
        """Measure by the first bytes, which are kept for the upload that follows.

        A running upload's video was measured at its beginning.
        """
        if self.is_under_way():
            return None
        try:
            info = await self._look()
            return await self._effects.measure(self._state.job, self._source, info.size)
        except SourceFailed:
            return None  # ``begin`` will report why

    async def begin(self, void: Void | None = None) -> Step:
        """Send every byte to TikTok, from the upload's current offset."""
        if void is None:
            return await self._send_from(await self._open())
        state = self._state
        repeats = may_repeat(state.job.upload_repeats, now=state.effects.now())
        # Otherwise the next attempt would try to go on with it.
        state.own(await self._effects.forget(state.job, repeats=repeats))
        if not repeats:
            return Transient(fault=void.fault)
        return await self._send_from(await self._init())

    async def follow(self, status: PublishStatus) -> Step:
        """Send missing bytes again, although the last chunk was sent.

        Void only if the URL has certainly expired: the worker that wrote the mark may
        still send.
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
            return None  # the missing bytes cannot be read: keep polling
        return await self._send_from(step)

    def goes_on(self, *, within: timedelta) -> bool:  # noqa: ARG002  as every way
        """Return False: the sending is ours, so TikTok makes no progress of its own."""
        return False

    async def give_up(self, fault: Fault) -> Void:
        """Return Void: nobody knows the URL, so no post can come of it."""
        return Void(fault)

    async def close(self) -> None:
        """Close the connection to the video's server."""
        self._source.close()

    # Open an upload, or continue one that another worker began.

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
            offset = self._state.job.uploaded_bytes or 0  # the host corrects it
        else:
            if status.state is PublishState.FAILED:
                return await sending.given_up(status)
            ended = await self._state.end_of(status, sending.publish_id)
            if ended is not None:
                return ended
            offset = sending.offset(status)
        return await sending.go_on(min(offset, sending.size - 1))

    async def _init(self) -> Opened:
        try:
            info = await self._look()
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

    async def _look(self) -> SourceInfo:
        """Ask for the video; raises SourceFailed."""
        with self._effects.interruption():
            return await self._source.open()

    async def _send_init(self, plan: ChunkPlan) -> UploadTaken | Fault | Outcome:
        state = self._state
        ended = await state.permit_to_begin()
        if ended is not None:
            return ended
        return await self._effects.upload_init(state.access, state.job, plan)

    async def _save(
        self, taken: UploadTaken, plan: ChunkPlan, info: SourceInfo
    ) -> Opened:
        """Write the upload before its first byte."""
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
        marks = plan.count == 1
        state.own(await self._effects.save(state.job, upload, info, marks=marks))
        self._sending.begin_anew(marked=marks)
        return 0

    async def _send_from(self, opened: Opened) -> Step:
        """Send what TikTok lacks, then close the video's server while TikTok works."""
        if not isinstance(opened, int):
            return opened
        ended = await self._sending.run(written(self._opened()), opened)
        self._source.close()
        return ended

    def _opened(self) -> Upload | None:
        return self._effects.opened(self._state.job)

    def _is_old(self) -> bool:
        issued_at = written(self._state.job.upload_issued_at)
        return self._state.effects.now() - issued_at > URL_LIFETIME


def _over() -> Fault:
    return upload_fault(UPLOAD_URL_OVER, "the upload was not ended in its hour")
