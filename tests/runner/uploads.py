"""Uploads in an imagined world: TikTok's side of them, the row's, and a worker's."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from app.domain.jobs.job import FailureReason, Job, Transfer
from app.domain.jobs.outcome import Fault
from app.domain.posts.upload import (
    REPEAT_WINDOW,
    URL_LIFETIME,
    ChunkPlan,
    ChunkSizes,
    Span,
    Upload,
    plan_chunks,
)
from app.grants.grants import Access
from app.machine.sink import Sink
from app.outbound.source import SourceFailed, SourceInfo, SourceTrouble
from app.runner.attempts.attempt_state import AttemptState, ClaimLost
from app.runner.attempts.effects import Reader
from app.runner.attempts.ways.push import Push
from app.runner.attempts.ways.way import Way
from app.tiktok.upload_answers import UploadAnswer
from app.tiktok.values import PublishState, PublishStatus, UploadTaken
from tests.runner.imagined import Ending, Row, SecondPost
from tests.runner.lives import Life
from tests.runner.worker import FAULTS, Worker, step

SIZE: Final = 35
IN_THREE: Final = ChunkSizes(whole=10, chunk=10)
IN_ONE: Final = ChunkSizes(whole=SIZE)
LONGEST_PUT: Final = timedelta(minutes=10)
"""TikTok keeps no connection open for longer on which nothing comes."""

INFO: Final = SourceInfo(size=SIZE, etag='"v1"', content_type="video/mp4")


@dataclass
class TikTokUpload:
    """One upload at TikTok's side."""

    publish_id: str
    issued_at: datetime
    ending: Ending
    uploaded: int = 0
    over_since: datetime | None = None  # nothing is begun at its URL any more
    completed_at: datetime | None = None

    def put(self, span: Span, *, began: datetime, now: datetime) -> int:
        """Take a chunk, or not; return the HTTP status.

        A request that began within the hour is taken however late it ends: TikTok does
        not say that it is cut off.
        """
        over = self.over_since is not None and began >= self.over_since
        if over or began - self.issued_at > URL_LIFETIME:
            return 403
        if self.uploaded != span.start:
            return 416
        self.uploaded = span.end
        if self.uploaded < SIZE:
            return 206
        self.completed_at = now
        return 201

    def status(self, now: datetime) -> PublishStatus:
        """Tell how far it is."""
        if self.completed_at is None:
            return PublishStatus(
                state=PublishState.PROCESSING,
                waits_for_upload=True,
                uploaded_bytes=self.uploaded,
            )
        seconds, state, reason = self.ending.value
        if now < self.completed_at + timedelta(seconds=seconds):
            return PublishStatus(state=PublishState.PROCESSING, uploaded_bytes=SIZE)
        return PublishStatus(state=state, fail_reason=reason)


@dataclass
class TikTokUploads:
    """All uploads of one job; raises SecondPost as soon as two may be published."""

    taken: dict[str, TikTokUpload] = field(default_factory=dict)

    def take(self, ending: Ending, now: datetime) -> TikTokUpload:
        """Take an init."""
        upload = TikTokUpload(f"pub-{len(self.taken)}", now, ending)
        self.taken[upload.publish_id] = upload
        return upload

    def possible_posts(self, now: datetime) -> list[TikTokUpload]:
        """List what was published, or may still be: all of whose bytes are there."""
        return [
            each
            for each in self.taken.values()
            if each.completed_at is not None
            and each.status(now).state is not PublishState.FAILED
        ]


class UploadRow(Row):
    """A row of a job whose bytes we send ourselves."""

    def __init__(self, *args: object, **named: object) -> None:
        super().__init__(*args, **named)  # type: ignore[arg-type]
        self.job = replace(self.job, transfer=Transfer.PUSH)

    def save(
        self, job: Job, upload: Upload, now: datetime, *, marks: bool
    ) -> Job | None:
        """Write an upload down, with the mark of its only chunk."""
        if not (self._may_mark(job, now) if marks else self.owned(job)):
            return None
        return self._write(
            init_sent_at=now if marks else None,
            publish_id=upload.publish_id,
            publish_started_at=now,
            upload_url=f"{upload.url} {upload.subject}",
            upload_issued_at=now,
            uploaded_bytes=0,
            source_size=SIZE,
            source_etag=INFO.etag,
        )

    def mark(self, job: Job, uploaded: int, now: datetime) -> Job | None:
        """Write that the last chunk goes out."""
        if not self._may_mark(job, now):
            return None
        return self._write(
            init_sent_at=now, publish_started_at=now, uploaded_bytes=uploaded
        )

    def _may_mark(self, job: Job, now: datetime) -> bool:
        in_time = self.due_at is not None and self.due_at > now
        same = self.job.init_sent_at == job.init_sent_at
        return self.owned(job) and in_time and same

    def note(self, job: Job, uploaded: int, now: datetime) -> Job | None:
        """Write how much TikTok has."""
        if not self.owned(job):
            return None
        return self._write(
            uploaded_bytes=uploaded,
            publish_started_at=now if job.in_flight else job.publish_started_at,
        )

    def forget(self, job: Job, now: datetime, *, repeats: bool) -> Job | None:
        """Write that an upload failed for good."""
        if not self.owned(job):
            return None
        least = now.timestamp() - REPEAT_WINDOW.total_seconds()
        recent = [each for each in job.upload_repeats if each > least]
        return self._write(
            init_sent_at=None,
            upload_url=None,
            upload_repeats=(*recent, now.timestamp()) if repeats else tuple(recent),
        )


class ImaginedSource:
    """The video's server."""

    def __init__(self, worker: "UploadWorker") -> None:
        self._worker = worker

    async def open(self) -> SourceInfo:
        """Begin."""
        await self._ask(0)
        return INFO

    async def go_on(self, known: SourceInfo, *, offset: int) -> None:
        """Go on."""
        assert known.size == SIZE
        assert 0 <= offset < SIZE
        await self._ask(offset)

    async def peek(self, length: int, *, seconds: float) -> bytes:
        """Nothing is looked at either."""
        raise NotImplementedError

    async def pour(self, length: int, sink: Sink) -> None:
        """Nothing is read in an imagined world."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open in an imagined world."""

    async def _ask(self, offset: int) -> None:
        await step("source")
        answer = self._worker.world.fate.answer("source")
        if answer == "no_range" and not offset:
            return
        if answer != "ok":
            raise SourceFailed(SourceTrouble(f"asset_{answer}"), answer)


class UploadWorker(Worker):
    """One claim's attempt at an upload; the imagined effects of the real one."""

    def __init__(self, world: "UploadLife", job: Job) -> None:
        super().__init__(world, job)
        self.world = world

    def way_of(self, state: AttemptState) -> Way:
        """Upload it."""
        return Push(state, self)

    def source(self, job: Job) -> Reader:
        """Return the video's server."""
        return ImaginedSource(self)

    async def measure(self, job: Job, source: Reader, size: int) -> float | None:
        """Tell nothing of it."""
        return None

    def interruption(self) -> AbstractContextManager[None]:
        """Be stopped between steps only."""
        return nullcontext()

    def plan(self, size: int) -> ChunkPlan:
        """Cut a video into chunks."""
        return plan_chunks(size, self.world.sizes)

    def opened(self, job: Job) -> Upload | None:
        """Return the upload that the job has open."""
        if job.upload_url is None or job.publish_id is None:
            return None
        url, _, subject = job.upload_url.partition(" ")
        return Upload(
            publish_id=url,
            url=url,
            chunk_size=self.plan(SIZE).chunk_size,
            content_type="video/mp4",
            subject=subject,
        )

    def problem_with(self, upload_url: str) -> str | None:
        """Find nothing wrong."""
        return None

    async def upload_init(
        self, access: Access, job: Job, plan: ChunkPlan
    ) -> UploadTaken | Fault:
        """Ask for an upload URL, which may be issued without our hearing of it."""
        answer = self.world.fate.answer("init")
        await step("before the init")
        taken = UploadTaken(publish_id="none", upload_url="none")
        if answer in {"ok", "lost_taken", "lost_and_late"}:
            upload = self.world.uploads.take(self.world.fate.ending(), self.now())
            taken = UploadTaken(
                publish_id=upload.publish_id, upload_url=upload.publish_id
            )
        await step("after the init")
        return FAULTS.get(answer, taken)

    async def save(
        self, job: Job, upload: Upload, info: SourceInfo, *, marks: bool
    ) -> Job | None:
        """Write the upload down."""
        now = self.now()
        await step("before the upload is written")
        written = self.world.rows.save(job, upload, now, marks=marks)
        await step("after the upload is written")
        return written

    async def mark(self, job: Job, *, uploaded: int) -> Job | None:
        """Write the mark."""
        now = self.now()
        await step("before the mark")
        written = self.world.rows.mark(job, uploaded, now)
        await step("after the mark")
        return written

    async def note(self, job: Job, *, uploaded: int) -> Job | None:
        """Write how much TikTok has."""
        await step("before the note")
        written = self.world.rows.note(job, uploaded, self.now())
        await step("after the note")
        return written

    async def forget(self, job: Job, *, repeats: bool) -> Job | None:
        """Write that the upload failed for good."""
        await step("before the repeat")
        written = self.world.rows.forget(job, self.now(), repeats=repeats)
        await step("after the repeat")
        return written

    async def put(
        self, job: Job, upload: Upload, span: Span, source: Reader
    ) -> UploadAnswer:
        """Send a chunk, at whose beginning, middle and end anything may happen."""
        if self.now() >= self._lease_until:
            raise ClaimLost
        answer = self.world.fate.answer("put")
        await step("before the chunk")
        began, there = self.now(), self.world.uploads.taken[upload.url]
        await step("in the middle of the chunk")
        if answer == "over":
            there.over_since = there.over_since or began
        cut = self.now() - began > LONGEST_PUT
        if cut or answer in {"cut", "late"}:
            return UploadAnswer(status=None, out_of_time=answer == "late")
        if answer == "busy":
            return UploadAnswer(status=503)
        status = there.put(span, began=began, now=self.now())
        if len(self.world.uploads.possible_posts(self.now())) > 1:
            raise SecondPost(f"{self.world.uploads.taken} at {self.now()}")
        await step("after the chunk")
        if answer == "lost":
            return UploadAnswer(status=None, sent_all=True)
        wrong = "bytes 0-3/35" if answer == "wrong_range" else ""
        return UploadAnswer(status=status, content_range=wrong, sent_all=True)


@dataclass
class UploadLife(Life):
    """One upload from its first claim to its end."""

    sizes: ChunkSizes = IN_THREE

    def __post_init__(self) -> None:
        super().__post_init__()
        assert isinstance(self.row, UploadRow)
        self.rows = self.row
        self.uploads = TikTokUploads()
        self.tiktok = self.uploads  # type: ignore[assignment]

    def _worker(self, job: Job) -> Worker:
        return UploadWorker(self, job)

    def _check(self) -> None:
        super()._check()
        assert self.row.job.failure_reason is not FailureReason.UNCONFIRMED
