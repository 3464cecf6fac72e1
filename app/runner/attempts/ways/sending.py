"""Send an upload's chunks, one at a time and in order.

Before the last chunk the upload can be given up freely. A mark is written before the
last chunk (an only one's with its upload); from then on no error of ours ends the
publish, and TikTok is asked.
https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

from typing import Final, TypeGuard, TypeVar, assert_never

from app.domain.accounts.quota import QuotaCall
from app.domain.codes import is_about_the_post
from app.domain.jobs.outcome import (
    Fault,
    HandedOn,
    Outcome,
    PutOff,
    Rejected,
    Transient,
)
from app.domain.posts.upload import ChunkPlan, Span, Upload, plan_of
from app.outbound.source import SourceFailed, SourceInfo, SourceTrouble
from app.runner.attempts.attempt_state import AttemptState
from app.runner.attempts.effects import PushEffects, Reader
from app.runner.attempts.verdicts import outcome_of
from app.runner.attempts.ways.upload_faults import (
    UPLOAD_FAILED,
    UPLOAD_TOO_SLOW,
    fault_of_chunk,
    fault_of_refusal,
    fault_of_source,
    upload_fault,
)
from app.runner.attempts.ways.way import Step, Void
from app.tiktok.decode import fault_of_fail_reason
from app.tiktok.upload_answers import ChunkVerdict, UploadAnswer, verdict_on
from app.tiktok.values import PublishState, PublishStatus

MOST_TRIES: Final = 3
"""How often one chunk is sent before the attempt ends."""

SECONDS_BETWEEN_TRIES: Final = 1.0

NOTES: Final = 20
"""How often the progress of an upload is written, at most."""

Value = TypeVar("Value")
Sent = int | Step
"""The next offset, or what ends the sending; None: all is sent, or ask TikTok."""


class Sending:
    """Sends one attempt's chunks, from the upload's current offset."""

    def __init__(
        self, state: AttemptState, effects: PushEffects, source: Reader
    ) -> None:
        self._state = state
        self._effects = effects
        self._source = source
        self._marked_here = False  # then nobody else can be sending the last chunk
        self._progressed = False
        self._read_all = False  # an early answer leaves the source within the chunk
        self._trouble = upload_fault(UPLOAD_FAILED, "nothing was sent")

    def begin_anew(self, *, marked: bool) -> None:
        """Forget the previous upload; ``marked``: this one's mark is written."""
        self._marked_here = marked

    async def run(self, upload: Upload, offset: int) -> Step:
        """Send everything from ``offset`` on, where the source is."""
        plan, tries = plan_of(self.size, upload.chunk_size), 0
        while True:
            span = plan.span_from(offset)
            step = await self._send(upload, span, plan)
            if not isinstance(step, int):
                return step
            offset = step
            if offset == span.end:
                tries, self._progressed = 0, True
                if self._read_all:
                    continue
            else:
                tries += 1
                if tries >= MOST_TRIES:
                    return self._unless_marked(Transient(fault=self._trouble))
                await self._state.effects.pause(SECONDS_BETWEEN_TRIES * tries)
            back = await self.go_on(offset)
            if not isinstance(back, int):
                return self._unless_marked(back)

    async def go_on(self, offset: int) -> int | Void | Outcome:
        """Move the source to ``offset``, and return it."""
        effects = self._state.effects
        try:
            with self._effects.interruption():
                await self._source.go_on(self._file, offset=offset)
        except SourceFailed as failed:
            if failed.trouble is SourceTrouble.UNREACHABLE and effects.hurried():
                return HandedOn(resume_at=effects.now())  # it had little time
            return _without_source(failed)
        return offset

    async def _send(self, upload: Upload, span: Span, plan: ChunkPlan) -> Sent:
        """Send one chunk."""
        if self._state.effects.hurried():
            return HandedOn(resume_at=self._state.effects.now())
        if plan.ends_with(span):
            await self._mark(span.start)
        try:
            answer = await self._effects.put(
                self._state.job, upload, span, self._source
            )
        except SourceFailed as failed:
            return self._unless_marked(_without_source(failed))
        self._trouble, self._read_all = fault_of_chunk(answer), answer.sent_all
        if answer.out_of_time:
            return self._out_of_time()
        return await self._judge(answer, span)

    async def _mark(self, offset: int) -> None:
        """Write that TikTok may begin the post from now on."""
        state = self._state
        if not state.job.in_flight:
            state.own(await self._effects.mark(state.job, uploaded=offset))
            self._marked_here = True

    def _out_of_time(self) -> Outcome:
        """Hand the upload on, unless no chunk was sent, which would never end."""
        if self._progressed:
            return HandedOn(resume_at=self._state.effects.now())
        fault = upload_fault(
            UPLOAD_TOO_SLOW, "no chunk could be sent in the time there is"
        )
        return Transient(fault=fault, in_flight=self._state.job.in_flight)

    async def _judge(self, answer: UploadAnswer, span: Span) -> Sent:
        verdict = verdict_on(answer, span, size=self.size)
        match verdict:
            case ChunkVerdict.NEXT:
                noted = self._state.job.uploaded_bytes or 0
                if span.end - noted >= self.size / NOTES:
                    await self._note(span.end)
                return span.end
            case ChunkVerdict.DONE if span.end == self.size:
                await self._note(span.end)
                return None
            case ChunkVerdict.AGAIN:
                return span.start
            case ChunkVerdict.ASK | ChunkVerdict.DONE:
                return await self._resynchronised(span)
            case ChunkVerdict.URL_OVER | ChunkVerdict.REFUSED:
                return await self._turned_away(verdict, answer)
            case _:
                assert_never(verdict)

    async def _note(self, uploaded: int) -> None:
        state = self._state
        state.own(await self._effects.note(state.job, uploaded=uploaded))

    async def _resynchronised(self, span: Span) -> Sent:
        """Ask how much TikTok has."""
        status, marked = await self.ask(), self._state.job.in_flight
        if isinstance(status, PutOff):
            return self._unless_marked(status)
        if isinstance(status, Fault):
            return None if marked else span.start
        if status.state is not PublishState.PROCESSING:
            return None if marked else await self.given_up(status)
        if marked and not self.is_missing(status):
            return None
        return min(self.offset(status), self.size - 1)

    async def _turned_away(self, verdict: ChunkVerdict, answer: UploadAnswer) -> Step:
        """Judge an answer that may end the upload."""
        is_over = verdict is ChunkVerdict.URL_OVER
        if self._state.job.in_flight:
            status = await self.ask()
            missing = isinstance(status, PublishStatus) and self.is_missing(status)
            if not (missing and self._marked_here):
                return None
        elif is_over and _has_failed(status := await self.ask()):
            return await self.given_up(status)
        fault = fault_of_refusal(answer, is_over=is_over)
        return Void(fault) if is_over else Rejected(fault=fault)

    async def given_up(self, status: PublishStatus) -> Void | Outcome:
        """Judge an upload that TikTok failed before its last chunk.

        Void for a reason that says nothing about the post, or that ended an attempt.
        """
        state = self._state
        fault = fault_of_fail_reason(status.fail_reason, status.log_id)
        if not is_about_the_post(fault.code) or self._was_told(fault):
            return Void(upload_fault(UPLOAD_FAILED, "TikTok gave the upload up"))
        return await state.ended_by(fault)

    def _was_told(self, fault: Fault) -> bool:
        """Tell whether this upload's failure has ended an earlier attempt."""
        told, issued_at = self._state.job.last_error, self._state.job.upload_issued_at
        if told is None or told.code != fault.code:
            return False
        return told.at >= written(issued_at)

    def _unless_marked(self, end: Void | Outcome) -> Step:
        """Ask TikTok instead, once the last chunk may have been sent."""
        return None if self._state.job.in_flight else end

    # What TikTok has.

    async def ask(self) -> PublishStatus | Fault | PutOff:
        """Ask for the upload's status, if there is a permit."""
        state, publish_id = self._state, self.publish_id
        wait = await state.effects.permit(state.access, state.job, QuotaCall.STATUS)
        if wait is not None:
            return wait
        return await state.authorised(
            lambda access: state.effects.status(access, publish_id)
        )

    def offset(self, status: PublishStatus) -> int:
        """Return how many bytes TikTok has, as far as it says."""
        if status.uploaded_bytes is not None:
            return status.uploaded_bytes
        return self._state.job.uploaded_bytes or 0

    def is_missing(self, status: PublishStatus) -> bool:
        """Tell whether TikTok waits for bytes that it does not have."""
        return status.waits_for_upload and self.offset(status) < self.size

    @property
    def publish_id(self) -> str:
        """Return the upload's id."""
        return written(self._state.job.publish_id)

    @property
    def size(self) -> int:
        """Return how many bytes the video has."""
        return written(self._state.job.source_size)

    @property
    def _file(self) -> SourceInfo:
        return SourceInfo(size=self.size, etag=self._state.job.source_etag)


def written(value: Value | None) -> Value:
    """Return a value that every job with an open upload has."""
    if value is None:
        raise AssertionError("bytes are sent only once their upload is written")
    return value


def _has_failed(status: PublishStatus | Fault | PutOff) -> TypeGuard[PublishStatus]:
    if not isinstance(status, PublishStatus):
        return False
    return status.state is PublishState.FAILED


def _without_source(failed: SourceFailed) -> Void | Outcome:
    """Judge an upload whose source cannot be read."""
    fault = fault_of_source(failed)
    if failed.trouble in {SourceTrouble.CHANGED, SourceTrouble.NO_RANGE}:
        return Void(fault)
    return outcome_of(fault)
