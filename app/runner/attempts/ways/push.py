"""Push: we fetch the video and upload it; the upload URL is the fence.

Only the answer to an init names the URL, and TikTok starts the post after the last
byte. So before the last chunk all is free to be given up; ahead of it a mark is
written, and from then on only TikTok's word ends the publish.
https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, Protocol, TypeVar, assert_never

from app.domain.accounts.quota import QuotaCall
from app.domain.codes import OUT_OF_RESOURCES
from app.domain.jobs.job import ErrorClass, Job
from app.domain.jobs.outcome import (
    Fault,
    HandedOn,
    Missed,
    Outcome,
    PutOff,
    Rejected,
    Transient,
    Verdict,
)
from app.domain.posts.upload import (
    URL_LIFETIME,
    ChunkPlan,
    Span,
    Upload,
    is_over_for_certain,
    may_repeat,
    plan_of,
    subject_of,
)
from app.grants.grants import Access
from app.grants.renewal import is_refused, renewed
from app.machine.shortage import is_shortage
from app.outbound import SourceFailed, SourceInfo, SourceTrouble
from app.runner.attempts.effects import Effects
from app.runner.attempts.ways.push_effects import PushEffects, Reader
from app.tiktok import (
    ChunkVerdict,
    PublishState,
    PublishStatus,
    UploadAnswer,
    UploadTaken,
    upload_type,
    verdict_on,
)

MOST_TRIES: Final = 3
"""How often one chunk is sent before the attempt is over."""

SECONDS_BETWEEN_TRIES: Final = 1.0

UPLOAD_FAILED: Final = "upload_failed"
UPLOAD_REFUSED: Final = "upload_refused"
UPLOAD_TOO_SLOW: Final = "upload_too_slow"
UPLOAD_URL_OVER: Final = "upload_url_over"
UPLOAD_HOST_REFUSED: Final = "upload_host_refused"

Answer = TypeVar("Answer")


class Ground(Protocol):
    """What a way shares with its attempt."""

    job: Job
    access: Access
    effects: Effects

    def own(self, written: Job | None) -> None:
        """Go on from what was written; raises ClaimLost."""
        ...

    def authorised(
        self, call: Callable[[Access], Awaitable[Answer]]
    ) -> Awaitable[Answer | Fault]:
        """Make a call that may be repeated; once more if only the token was stale."""
        ...

    def missed(self) -> Missed | None:
        """Tell whether the job's last moment is over; nothing is begun after it."""
        ...

    def give_up(self, fault: Fault, *, in_flight: bool = False) -> Awaitable[Outcome]:
        """End the attempt."""
        ...

    def ending(
        self, answer: PublishStatus | Fault, publish_id: str
    ) -> Awaitable[Outcome | None]:
        """Return what a status answer ends the attempt with."""
        ...


@dataclass(frozen=True, slots=True)
class Void:
    """Nothing can come of the upload any more: another may be asked for."""

    fault: Fault


class Sent(Enum):
    """Every byte was sent, or TikTok has to be asked how many it has."""

    FOLLOW = "follow"


class Push:
    """One attempt's upload."""

    def __init__(self, ground: Ground, effects: PushEffects) -> None:
        self._ground = ground
        self._effects = effects
        self._marked_here = False  # nobody else can be about to send the last chunk
        self._progressed = False
        self._trouble = _fault(UPLOAD_FAILED, "nothing was sent")

    async def begin(self, void: Void | None = None) -> Outcome | None:
        """Get every byte to TikTok, from wherever it stands; None: follow it.

        ``void`` is why the former upload came to nothing, if it did.
        """
        async with self._effects.source(self._job) as source:
            opened: int | Outcome | Void = void or await self._open(source)
            while True:
                sent: Outcome | Void | Sent
                if isinstance(opened, int):
                    sent = await self._send(source, opened)
                else:
                    sent = opened
                if isinstance(sent, Sent):
                    return None
                if not isinstance(sent, Void):
                    return sent
                if not may_repeat(self._job.upload_repeats, now=self._now()):
                    return Transient(fault=sent.fault)
                self._ground.own(await self._effects.note_repeat(self._job))
                opened = await self._init(source)

    def is_under_way(self) -> bool:
        """Tell whether TikTok waits for the rest of an upload that was begun."""
        issued_at = self._job.upload_issued_at
        if issued_at is None or self._effects.opened(self._job) is None:
            return False
        return self._now() - issued_at <= URL_LIFETIME

    async def fill_up(self, status: PublishStatus) -> Outcome | Void | None:
        """Send again what is missing though the last chunk went out; None: ask on.

        Void only if the URL is over for certain: whoever wrote the mark may still be
        about to send.
        """
        offset = self._offset(status)
        if not status.waits_for_upload or offset >= self._size:
            return None
        if is_over_for_certain(self._issued_at, now=self._now()):
            return Void(_fault(UPLOAD_URL_OVER, "the upload was not ended in its hour"))
        if self._effects.opened(self._job) is None:
            return None
        async with self._effects.source(self._job) as source:
            step = await self._go_on(source, offset)
            if not isinstance(step, int):
                return None  # what is missing cannot be had: hold
            sent = await self._send(source, offset)
        return None if isinstance(sent, Sent) else sent

    # Opening an upload, or going on with one that another worker began.

    async def _open(self, source: Reader) -> int | Outcome | Void:
        upload = self._effects.opened(self._job)
        if upload is None or upload.subject != subject_of(self._job):
            return await self._init(source)
        if self._now() - self._issued_at > URL_LIFETIME:
            return Void(_fault(UPLOAD_URL_OVER, "the upload was not ended in its hour"))
        status = await self._ask()
        if isinstance(status, PublishStatus):
            if status.state is PublishState.FAILED:
                return Void(_fault(UPLOAD_FAILED, "TikTok gave the upload up"))
            ended = await self._ground.ending(status, self._publish_id)
            if ended is not None:
                return ended
            offset = self._offset(status)
        elif isinstance(status, Fault) and status.error_class is ErrorClass.AUTH:
            return await self._ground.give_up(status)
        elif isinstance(status, Fault):
            offset = self._job.uploaded_bytes or 0  # the host says if it is wrong
        else:
            return status
        return await self._go_on(source, min(offset, self._size - 1))

    async def _go_on(self, source: Reader, offset: int) -> int | Outcome | Void:
        try:
            await source.go_on(self._known, offset=offset)
        except SourceFailed as failed:
            return self._without_source(failed)
        return offset

    def _without_source(self, failed: SourceFailed) -> Outcome | Void:
        """Judge an upload whose next bytes cannot be had; not for the last chunk."""
        fault = fault_of_source(failed)
        if failed.trouble in {SourceTrouble.CHANGED, SourceTrouble.NO_RANGE}:
            return Void(fault)
        return _by_class(fault)

    async def _init(self, source: Reader) -> int | Outcome | Void:
        try:
            info = await source.open()
        except SourceFailed as failed:
            return _by_class(fault_of_source(failed))
        plan = self._effects.plan(info.size)
        answer = await self._send_init(plan)
        if is_refused(answer):
            ground = self._ground
            newer = await renewed(answer, ground.access, ground.effects.renew)
            if isinstance(newer, Fault):
                return await ground.give_up(newer)
            ground.access = newer
            answer = await self._send_init(plan)
        match answer:
            case UploadTaken():
                return await self._save(answer, plan, info)
            case Fault(verdict=Verdict.UNKNOWN):
                return Void(answer)  # nobody knows the URL: nothing can come of it
            case Fault():
                return await self._ground.give_up(answer)
            case _:
                return answer

    async def _send_init(
        self, plan: ChunkPlan
    ) -> UploadTaken | Fault | PutOff | HandedOn | Missed:
        ground = self._ground
        wait = await ground.effects.turn(ground.access, self._job, QuotaCall.INIT)
        if wait is not None:
            return wait
        if ground.effects.hurried():
            return HandedOn(resume_at=self._now())
        if (missed := ground.missed()) is not None:
            return missed
        return await self._effects.upload_init(ground.access, self._job, plan)

    async def _save(
        self, taken: UploadTaken, plan: ChunkPlan, info: SourceInfo
    ) -> int | Outcome:
        problem = self._effects.problem_with(taken.upload_url)
        if problem is not None:
            fault = _fault(
                UPLOAD_HOST_REFUSED,
                f"the upload URL {problem}",
                error_class=ErrorClass.PERMANENT,
            )
            return Rejected(fault=fault)
        upload = Upload(
            publish_id=taken.publish_id,
            url=taken.upload_url,
            chunk_size=plan.chunk_size,
            content_type=upload_type(info.content_type, self._job.asset_url),
            subject=subject_of(self._job),
        )
        self._marked_here = False
        self._ground.own(await self._effects.save(self._job, upload, info))
        return 0

    # Sending, one chunk at a time and strictly in order.

    async def _send(self, source: Reader, offset: int) -> Outcome | Void | Sent:
        upload = self._effects.opened(self._job)
        if upload is None:
            raise AssertionError("bytes are sent only once their upload is written")
        plan, tries = plan_of(self._size, upload.chunk_size), 0
        while True:
            span = plan.span_from(offset)
            step = await self._send_one(source, upload, span, plan)
            if not isinstance(step, int):
                return step
            if step == span.end:
                offset, tries, self._progressed = step, 0, True
                continue
            tries += 1
            if tries >= MOST_TRIES:
                return self._held() or Transient(fault=self._trouble)
            await self._ground.effects.pause(SECONDS_BETWEEN_TRIES * tries)
            offset = step
            back = await self._go_on(source, offset)
            if not isinstance(back, int):
                return self._held() or back

    async def _send_one(
        self, source: Reader, upload: Upload, span: Span, plan: ChunkPlan
    ) -> int | Outcome | Void | Sent:
        """Send one chunk, and return where to go on, or what ends the sending."""
        if self._ground.effects.hurried():
            return HandedOn(resume_at=self._now())
        if plan.ends_with(span):
            await self._mark(span.start)
        try:
            answer = await self._effects.put(self._job, upload, span, source)
        except SourceFailed as failed:
            return self._held() or self._without_source(failed)
        self._trouble = _trouble(answer)
        if answer.out_of_time:
            return self._out_of_time()
        return await self._judge(answer, span)

    def _out_of_time(self) -> Outcome:
        """Let another worker go on; with no chunk at all that would never end."""
        if self._progressed:
            return HandedOn(resume_at=self._now())
        fault = _fault(UPLOAD_TOO_SLOW, "no chunk could be sent in the time there is")
        return Transient(fault=fault, in_flight=self._job.in_flight)

    async def _mark(self, offset: int) -> None:
        """Write ahead that the post may begin from now on."""
        if not self._job.in_flight:
            self._ground.own(await self._effects.mark(self._job, uploaded=offset))
            self._marked_here = True

    async def _judge(
        self, answer: UploadAnswer, span: Span
    ) -> int | Outcome | Void | Sent:
        """Return where to go on, or what ends the sending."""
        verdict = verdict_on(answer, span, size=self._size)
        match verdict:
            case ChunkVerdict.NEXT:
                await self._note(span.end)
                return span.end
            case ChunkVerdict.DONE if span.end == self._size:
                await self._note(span.end)
                return Sent.FOLLOW
            case ChunkVerdict.AGAIN:
                return span.start
            case ChunkVerdict.ASK | ChunkVerdict.DONE:
                return await self._resynchronised(span)
            case ChunkVerdict.URL_OVER | ChunkVerdict.REFUSED:
                return await self._turned_away(verdict, answer)
            case _:
                assert_never(verdict)

    async def _note(self, uploaded: int) -> None:
        self._ground.own(await self._effects.note(self._job, uploaded=uploaded))

    async def _resynchronised(self, span: Span) -> int | Outcome | Void | Sent:
        """Ask how much TikTok has."""
        status = await self._ask()
        if not isinstance(status, PublishStatus):
            if self._job.in_flight:
                return Sent.FOLLOW
            return span.start if isinstance(status, Fault) else status
        if status.state is not PublishState.PROCESSING:
            if self._job.in_flight:
                return Sent.FOLLOW
            return Void(_fault(UPLOAD_FAILED, "TikTok gave the upload up"))
        offset = self._offset(status)
        if self._job.in_flight and (
            offset >= self._size or not status.waits_for_upload
        ):
            return Sent.FOLLOW
        return min(offset, self._size - 1)

    async def _turned_away(
        self, verdict: ChunkVerdict, answer: UploadAnswer
    ) -> Outcome | Void | Sent:
        """Judge an answer that ends the upload, if it is certain that it does."""
        over = verdict is ChunkVerdict.URL_OVER
        fault = _fault(
            UPLOAD_URL_OVER if over else UPLOAD_REFUSED,
            f"TikTok's upload host answered HTTP {answer.status}",
            error_class=ErrorClass.TRANSIENT if over else ErrorClass.PERMANENT,
            http_status=answer.status,
        )
        if self._job.in_flight:
            status = await self._ask()
            missing = (
                isinstance(status, PublishStatus)
                and status.waits_for_upload
                and self._offset(status) < self._size
            )
            if not (missing and self._marked_here):
                return Sent.FOLLOW
        return Void(fault) if over else Rejected(fault=fault)

    def _held(self) -> Sent | None:
        """After the mark no trouble of ours ends the publish: ask TikTok."""
        return Sent.FOLLOW if self._job.in_flight else None

    # What is known.

    async def _ask(self) -> PublishStatus | Fault | PutOff:
        ground = self._ground
        wait = await ground.effects.turn(ground.access, self._job, QuotaCall.STATUS)
        if wait is not None:
            return wait
        publish_id = self._publish_id
        return await ground.authorised(
            lambda access: ground.effects.status(access, publish_id)
        )

    def _offset(self, status: PublishStatus) -> int:
        if status.uploaded_bytes is not None:
            return status.uploaded_bytes
        return self._job.uploaded_bytes or 0

    def _now(self) -> datetime:
        return self._ground.effects.now()

    @property
    def _job(self) -> Job:
        return self._ground.job

    @property
    def _publish_id(self) -> str:
        if self._job.publish_id is None:
            raise AssertionError("an upload has an id")
        return self._job.publish_id

    @property
    def _size(self) -> int:
        if self._job.source_size is None:
            raise AssertionError("an upload has a size")
        return self._job.source_size

    @property
    def _issued_at(self) -> datetime:
        if self._job.upload_issued_at is None:
            raise AssertionError("an upload has a time")
        return self._job.upload_issued_at

    @property
    def _known(self) -> SourceInfo:
        return SourceInfo(size=self._size, etag=self._job.source_etag)


_WORDS: Final = {
    SourceTrouble.UNREACHABLE: "the video cannot be read from its address",
    SourceTrouble.NO_LENGTH: "the video's server does not tell how long it is",
    SourceTrouble.NO_RANGE: "the video's server cannot go on in the middle of it",
    SourceTrouble.CHANGED: "the video changed while it was being sent",
    SourceTrouble.TOO_LARGE: "the video is larger than TikTok takes",
    SourceTrouble.REFUSED: "the video's address is not one that is called",
}
_FOR_GOOD: Final = frozenset(
    {SourceTrouble.NO_LENGTH, SourceTrouble.TOO_LARGE, SourceTrouble.REFUSED}
)


def fault_of_source(failed: SourceFailed) -> Fault:
    """Return the fault of a video that cannot be read; nothing of it was sent."""
    if is_shortage(failed):
        return _fault(OUT_OF_RESOURCES, "this process lacks what a connection takes")
    for_good = failed.trouble in _FOR_GOOD
    return Fault(
        error_class=ErrorClass.PERMANENT if for_good else ErrorClass.TRANSIENT,
        code=failed.trouble.value,
        message=f"{_WORDS[failed.trouble]}: {failed}",
    )


def _by_class(fault: Fault) -> Outcome:
    if fault.error_class is ErrorClass.PERMANENT:
        return Rejected(fault=fault)
    return Transient(fault=fault)


def _trouble(answer: UploadAnswer) -> Fault:
    if answer.lacks_resources:
        return _fault(OUT_OF_RESOURCES, "this process lacks what a connection takes")
    said = answer.trouble or f"the upload host answered HTTP {answer.status}"
    return _fault(UPLOAD_FAILED, said, http_status=answer.status, log_id=answer.log_id)


def _fault(
    code: str,
    message: str,
    *,
    error_class: ErrorClass = ErrorClass.TRANSIENT,
    http_status: int | None = None,
    log_id: str | None = None,
) -> Fault:
    return Fault(
        error_class=error_class,
        code=code,
        message=message,
        http_status=http_status,
        log_id=log_id,
    )
