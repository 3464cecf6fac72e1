"""The effects that an attempt and its ways may have, as interfaces.

Each awaited effect is a step, and between two steps a process may die. The attempt
itself does no I/O, so a test can stop it at every step.
"""

from collections.abc import Awaitable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from app.domain.accounts.account import CreatorInfo
from app.domain.accounts.quota import QuotaCall
from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault, PutOff
from app.domain.posts.upload import ChunkPlan, Span, Upload
from app.grants.grants import Access
from app.machine.sink import Sink
from app.outbound.source import SourceInfo
from app.tiktok.upload_answers import UploadAnswer
from app.tiktok.values import InitTaken, PublishStatus, UploadTaken


class Effects(Protocol):
    """An attempt's effects; no method raises because of TikTok."""

    def now(self) -> datetime:
        """Return the current time, aware UTC."""
        ...

    async def pause(self, seconds: float) -> None:
        """Wait; ends the attempt if the worker is told to stop meanwhile."""
        ...

    def hurried(self) -> bool:
        """Tell whether no new step should begin: out of time, or told to stop."""
        ...

    def access(self, job: Job) -> Awaitable[Access | Fault]:
        """Return a token that should be valid."""
        ...

    def renew(self, refused: Access) -> Awaitable[Access | Fault]:
        """Return a newer token than the one TikTok refused."""
        ...

    def lost(self, access: Access, fault: Fault) -> Awaitable[None]:
        """Record that the account has to be connected again."""
        ...

    def permit(
        self, access: Access, job: Job, call: QuotaCall
    ) -> Awaitable[PutOff | None]:
        """Take a permit from the account's quota; else return how long to wait."""
        ...

    def in_time(self) -> bool:
        """Tell whether the last permit still covers a call that is sent now."""
        ...

    def creator_info(
        self, access: Access, job: Job
    ) -> Awaitable[CreatorInfo | Fault | PutOff]:
        """Ask what the creator may choose, or reuse an answer of the last minute."""
        ...

    def video_seconds(self, job: Job) -> Awaitable[float | None]:
        """Measure the video, if that is quick."""
        ...

    def clear_init(self, job: Job) -> Awaitable[Job | None]:
        """Write that no post comes of the init; None if the claim is lost."""
        ...

    def status(
        self, access: Access, publish_id: str
    ) -> Awaitable[PublishStatus | Fault]:
        """Ask how far the publish has got."""
        ...


class PullEffects(Protocol):
    """A pull's effects; no method raises because of TikTok."""

    def stamp_init(self, job: Job) -> Awaitable[Job | None]:
        """Write that an init is about to be sent, and its owner; None: it must not.

        A job without an owner is this person's from then on.
        """
        ...

    def init(self, access: Access, job: Job) -> Awaitable[InitTaken | Fault]:
        """Send the init: the one call that must never happen twice."""
        ...

    def save_publish_id(self, job: Job, publish_id: str) -> Awaitable[Job | None]:
        """Write TikTok's id; None if the claim is lost."""
        ...

    def revoke_media(self, job: Job) -> Awaitable[bool]:
        """Revoke the init's pull URLs; True if TikTok never fetched one."""
        ...


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

    def interruption(self) -> AbstractContextManager[None]:
        """Let a stop break off a block that only reads."""
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
