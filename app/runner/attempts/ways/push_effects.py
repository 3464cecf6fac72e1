"""The effects that an upload may have, as an interface."""

from collections.abc import Awaitable
from typing import Protocol

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault
from app.domain.posts.upload import ChunkPlan, Span, Upload
from app.grants.grants import Access
from app.machine.sink import Sink
from app.outbound.source import SourceInfo
from app.tiktok.upload_answers import UploadAnswer
from app.tiktok.values import UploadTaken


class Reader(Protocol):
    """A video at its source; every method raises SourceFailed."""

    def open(self) -> Awaitable[SourceInfo]:
        """Begin with the first byte, whatever the file is now."""
        ...

    def go_on(self, known: SourceInfo, *, offset: int) -> Awaitable[None]:
        """Continue in the middle of a partly read file."""
        ...

    def peek(self, length: int, *, seconds: float) -> Awaitable[bytes]:
        """Return the next bytes, which ``pour`` passes on; empty if too slow."""
        ...

    def pour(self, length: int, sink: Sink) -> Awaitable[None]:
        """Write exactly the next ``length`` bytes into a sink."""
        ...

    def close(self) -> None:
        """Close it; it may be opened again."""
        ...


class PushEffects(Protocol):
    """An upload's effects."""

    def source(self, job: Job) -> Reader:
        """Return the job's video; no request is sent yet."""
        ...

    def measure(self, job: Job, source: Reader, size: int) -> Awaitable[float | None]:
        """Return the video's seconds from its first bytes, None if not stated.

        Raises SourceFailed.
        """
        ...

    def plan(self, size: int) -> ChunkPlan:
        """Cut a video into chunks."""
        ...

    def opened(self, job: Job) -> Upload | None:
        """Return the job's open upload, None if it cannot be continued."""
        ...

    def upload_init(
        self, access: Access, job: Job, plan: ChunkPlan
    ) -> Awaitable[UploadTaken | Fault]:
        """Request an upload URL; nothing can be posted without it."""
        ...

    def problem_with(self, upload_url: str) -> str | None:
        """Return why no byte may be sent to a URL, None if it may."""
        ...

    def save(
        self, job: Job, upload: Upload, info: SourceInfo, *, marks: bool
    ) -> Awaitable[Job | None]:
        """Write the upload before its first byte; None if it must not be sent.

        ``marks``: its only chunk is about to be sent, so this is its ``mark``, too.
        """
        ...

    def mark(self, job: Job, *, uploaded: int) -> Awaitable[Job | None]:
        """Write that the last chunk is about to be sent; None if it must not."""
        ...

    def note(self, job: Job, *, uploaded: int) -> Awaitable[Job | None]:
        """Write how many bytes TikTok has, now and then; None if the claim is lost."""
        ...

    def forget(self, job: Job, *, repeats: bool) -> Awaitable[Job | None]:
        """Write that the upload failed for good; None if the claim is lost.

        ``repeats``: another one is requested at once.
        """
        ...

    def put(
        self, job: Job, upload: Upload, span: Span, source: Reader
    ) -> Awaitable[UploadAnswer]:
        """Send the source's next bytes as one chunk.

        Raises SourceFailed, and ClaimLost if the lease is over.
        """
        ...
