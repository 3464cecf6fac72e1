"""What an upload may do to the world, handed in as all of an attempt's effects."""

from collections.abc import AsyncIterator, Awaitable
from typing import Protocol

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault
from app.domain.posts.upload import ChunkPlan, Span, Upload
from app.grants.grants import Access
from app.outbound import SourceInfo
from app.tiktok import UploadAnswer, UploadTaken


class Reader(Protocol):
    """A video at its source; every method raises SourceFailed."""

    def open(self) -> Awaitable[SourceInfo]:
        """Begin with the first byte, whatever the file is by now."""
        ...

    def go_on(self, known: SourceInfo, *, offset: int) -> Awaitable[None]:
        """Begin in the middle of the file that was read before."""
        ...

    def peek(self, length: int, *, seconds: float) -> Awaitable[bytes]:
        """Return the next bytes, which stay to be read; none if not in time."""
        ...

    def read(self, length: int) -> AsyncIterator[bytes]:
        """Yield exactly the next so many bytes."""
        ...

    def aclose(self) -> Awaitable[None]:
        """Hang up; it may be begun again."""
        ...


class PushEffects(Protocol):
    """The world as one upload sees it."""

    def source(self, job: Job) -> Reader:
        """Return the job's video; nothing is asked of its server yet."""
        ...

    def measure(self, job: Job, source: Reader, size: int) -> Awaitable[float | None]:
        """Return the video's seconds by its first bytes; None if they do not tell.

        Raises SourceFailed.
        """
        ...

    def plan(self, size: int) -> ChunkPlan:
        """Cut a video into chunks."""
        ...

    def opened(self, job: Job) -> Upload | None:
        """Return the upload that the job has open, None if it cannot go on."""
        ...

    def upload_init(
        self, access: Access, job: Job, plan: ChunkPlan
    ) -> Awaitable[UploadTaken | Fault]:
        """Ask for an upload URL; nothing can be published without it."""
        ...

    def problem_with(self, upload_url: str) -> str | None:
        """Say why no byte may be sent to a URL, None if it may."""
        ...

    def save(self, job: Job, upload: Upload, info: SourceInfo) -> Awaitable[Job | None]:
        """Write the upload down before its first byte; None if the claim is lost."""
        ...

    def mark(self, job: Job, *, uploaded: int) -> Awaitable[Job | None]:
        """Write ahead that the last chunk goes out; None if it must not."""
        ...

    def note(self, job: Job, *, uploaded: int) -> Awaitable[Job | None]:
        """Write how much TikTok has, now and then; None if the claim is lost."""
        ...

    def note_repeat(self, job: Job) -> Awaitable[Job | None]:
        """Write that another URL is asked for; None if the claim is lost."""
        ...

    def put(
        self, job: Job, upload: Upload, span: Span, source: Reader
    ) -> Awaitable[UploadAnswer]:
        """Send the source's next bytes as one chunk.

        Raises SourceFailed, and ClaimLost if the lease is over.
        """
        ...
