"""What a worker knows of its inits that the database could not take, or forgot."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Self

from msgspec import Struct

from app.domain.jobs.job import Job
from app.domain.jobs.transition import Transition

KEPT: Final = timedelta(minutes=15)
"""A replica that lags further behind is none that anybody fails over to."""

MOST: Final = 10_000
"""Some 30 MB, and half a minute of all that TikTok takes from one app."""


class Testimony(Struct, gc=False):
    """One claim under which an init went out, or was followed."""

    job: Job  # as last written, or about to be, under this claim
    ended: Transition | None = None
    is_dropped: bool = False  # the attempt is over, and wrote no end


class Witness:
    """Remembers claims with an init, the latest quarter of an hour of them.

    A claim without one is not remembered: if it is forgotten, nothing was sent.
    """

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._claims: dict[tuple[str, str | None], Testimony] = {}

    def note(self, job: Job) -> None:
        """Remember what stands of an init, or forget one that TikTok did not take."""
        key = job.id, job.claim_token
        if job.init_sent_at is None:
            self._claims.pop(key, None)
        elif (known := self._claims.get(key)) is not None:
            known.job = job
        else:
            self._make_room(job)
            self._claims[key] = Testimony(job)

    def note_claimed(self, jobs: Iterable[Job]) -> None:
        """Remember the claims whose init an earlier one sent."""
        for job in jobs:
            if job.in_flight:
                self.note(job)

    def note_end(self, job: Job, change: Transition) -> None:
        """Remember what an attempt came to, whether it can be written or not."""
        self.note(job)
        if (known := self._claims.get((job.id, job.claim_token))) is not None:
            known.ended = change

    def note_drop(self, job: Job) -> None:
        """Remember that nobody goes on with a claim."""
        if (known := self._claims.get((job.id, job.claim_token))) is not None:
            known.is_dropped = True

    def told(self) -> Sequence[Testimony]:
        """Return all that is remembered, in the order in which the inits went out."""
        return tuple(self._claims.values())

    def _make_room(self, job: Job) -> None:
        """Forget what is too old or too much; those noted first are the oldest."""
        while self._claims:
            key = next(iter(self._claims))
            is_old = self._claims[key].job.updated_at < job.updated_at - KEPT
            if not is_old and len(self._claims) < self._most:
                return
            del self._claims[key]


class KeptInit(Struct, frozen=True, kw_only=True):
    """The publish_id of one init, which the database could not take."""

    job_id: str
    init_sent_at: datetime  # identifies the init
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
