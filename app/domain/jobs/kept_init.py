"""TikTok's answer to an init that the database could not take."""

from datetime import datetime
from typing import Self

from msgspec import Struct

from app.domain.jobs.job import Job


class KeptInit(Struct, frozen=True, kw_only=True):
    """The publish_id of one init, which ``init_sent_at`` identifies."""

    job_id: str
    init_sent_at: datetime
    publish_id: str
    at: datetime  # when TikTok had answered

    @classmethod
    def of(cls, job: Job, publish_id: str, *, at: datetime) -> Self:
        """Record the publish_id that a job's init got."""
        if job.init_sent_at is None:
            raise AssertionError("an id answers an init")
        return cls(
            job_id=job.id, init_sent_at=job.init_sent_at, publish_id=publish_id, at=at
        )
