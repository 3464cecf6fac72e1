"""The effects that an attempt may have, as an interface.

Each awaited effect is a step, and between two steps a process may die. The attempt
itself does no I/O, so a test can stop it at every step.
"""

from collections.abc import Awaitable
from datetime import datetime
from typing import Protocol

from app.domain.accounts.account import CreatorInfo
from app.domain.accounts.quota import QuotaCall
from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault, PutOff
from app.grants.grants import Access
from app.tiktok.values import PublishStatus


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

    def turn(
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
