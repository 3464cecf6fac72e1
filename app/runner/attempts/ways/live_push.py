"""The real effects of an upload: the video's server, TikTok's hosts, the database."""

from functools import partial
from typing import Final

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault
from app.domain.jobs.readiness import MAX_VIDEO_BYTES
from app.domain.posts.upload import (
    ChunkPlan,
    Span,
    Upload,
    plan_chunks,
    problem_with_upload_url,
)
from app.grants.grants import Access
from app.outbound.media.at_once import QUICK_SECONDS
from app.outbound.source import HEAD_SECONDS, Source, SourceInfo
from app.runner.attempts.dependencies import PushParts
from app.runner.attempts.effects import Reader
from app.runner.attempts.live_effects import SHORTEST_CALL_SECONDS, LiveEffects
from app.tiktok.client import Calls
from app.tiktok.upload_answers import ChunkRequest, UploadAnswer
from app.tiktok.values import UploadTaken

HEAD_BYTES: Final = 64 * 1024
"""How many bytes of a video are measured before its init."""

RESERVE_SECONDS: Final = 1.0
"""The time kept at an attempt's end to write how far an upload got."""


class LivePush:
    """One attempt's real effects of an upload."""

    def __init__(self, live: LiveEffects, parts: PushParts) -> None:
        self._live = live
        self._parts = parts
        self.interruption = live.interruption

    def source(self, job: Job) -> Source:
        """Return the job's video; no request is sent yet."""
        return Source(
            self._parts.outbound,
            job.asset_url,
            most_bytes=MAX_VIDEO_BYTES,
            seconds=self._head_seconds,
        )

    def _head_seconds(self) -> float:
        """Return how long a server may take to answer, within the attempt's time."""
        left = max(SHORTEST_CALL_SECONDS, self._live.seconds_left() - RESERVE_SECONDS)
        return min(HEAD_SECONDS, self._live.look_seconds, left)

    async def measure(self, job: Job, source: Reader, size: int) -> float | None:
        """Return the video's seconds from its first bytes, None if not stated.

        Raises SourceFailed.
        """
        at_once = self._parts.measure
        seconds = min(QUICK_SECONDS, self._live.look_seconds)
        with self._live.interruption():
            head = await source.peek(min(HEAD_BYTES, size), seconds=seconds)
            return await at_once.seconds_by(head, size, job.asset_url)

    def plan(self, size: int) -> ChunkPlan:
        """Cut a video into chunks."""
        return plan_chunks(size, self._parts.sizes)

    def opened(self, job: Job) -> Upload | None:
        """Return the job's open upload, None if it cannot be continued."""
        return self._parts.uploads.opened(job)

    def problem_with(self, upload_url: str) -> str | None:
        """Return why no byte may be sent to a URL, None if it may."""
        return problem_with_upload_url(
            upload_url, self._parts.hosts, allow_http=self._parts.allow_http
        )

    async def upload_init(
        self, access: Access, job: Job, plan: ChunkPlan
    ) -> UploadTaken | Fault:
        """Request an upload URL; nothing can be posted without it."""
        return await self._calls.upload_init(
            access.token, job.post, plan, timeout=self._live.call_seconds()
        )

    async def save(
        self, job: Job, upload: Upload, info: SourceInfo, *, marks: bool
    ) -> Job | None:
        """Write the upload before its first byte."""
        stamp = self._live.now()
        return await self._live.persist(
            lambda: self._parts.uploads.save(
                job,
                upload,
                size=info.size,
                etag=info.etag,
                marks=marks,
                now=stamp,
            ),
            even_late=True,
        )

    async def mark(self, job: Job, *, uploaded: int) -> Job | None:
        """Write that the last chunk is about to be sent."""
        stamp = self._live.now()
        return await self._live.persist(
            lambda: self._parts.uploads.mark(job, uploaded=uploaded, now=stamp)
        )

    async def note(self, job: Job, *, uploaded: int) -> Job | None:
        """Write how many bytes TikTok has."""
        return await self._live.persist(
            lambda: self._parts.uploads.note(
                job, uploaded=uploaded, now=self._live.now()
            )
        )

    async def forget(self, job: Job, *, repeats: bool) -> Job | None:
        """Write that the upload failed for good."""
        if repeats:
            self._parts.watch.repeat()
        return await self._live.persist(
            lambda: self._parts.uploads.forget(
                job, repeats=repeats, now=self._live.now()
            )
        )

    async def put(
        self, job: Job, upload: Upload, span: Span, source: Reader
    ) -> UploadAnswer:
        """Send the source's next bytes as one chunk.

        Raises ClaimLost if the lease ran out: another worker may have taken over. A
        stop breaks it off; TikTok takes a chunk completely or not at all.
        """
        self._live.check_lease()
        began = self._parts.monotonic()
        with self._live.interruption():
            answer = await self._calls.upload(
                ChunkRequest(
                    url=upload.url,
                    span=span,
                    size=job.source_size or span.end,
                    content_type=upload.content_type,
                ),
                partial(source.pour, span.length),
                seconds=max(0.0, self._live.seconds_left() - RESERVE_SECONDS),
                silence=self._parts.silence,
            )
        seconds = self._parts.monotonic() - began
        self._parts.watch.chunk(answer, length=span.length, seconds=seconds)
        return answer

    @property
    def _calls(self) -> Calls:
        return self._live.calls
