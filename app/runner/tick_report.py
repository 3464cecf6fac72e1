"""The figures of a tick."""

from datetime import timedelta

from msgspec import Struct, field

from app.domain.jobs.job import JobStatus
from app.domain.jobs.outcome import HandedOn, Outcome
from app.domain.jobs.transition import Transition
from app.store.jobs.claims import Claimed


class TickReport(Struct, frozen=True, kw_only=True):
    """How many jobs a tick claimed, and their results."""

    claimed: int
    posted: int
    retrying: int
    failed: int
    in_flight: int  # started and handed on to the next tick
    reclaimed: int  # taken over from workers that went away
    duration_ms: int


class Tally(Struct):
    """Counts while jobs run."""

    claimed: int = 0
    reclaimed: int = 0
    handed_on: int = 0
    by_status: dict[JobStatus, int] = field(default_factory=dict)

    def claim(self, claimed: Claimed) -> None:
        """Count a claim, and the jobs that ended in it."""
        self.claimed += len(claimed.jobs) + claimed.failed
        self.reclaimed += len(claimed.taken_over)
        self._count(JobStatus.FAILED, claimed.failed)

    def end(self, outcome: Outcome, change: Transition) -> None:
        """Count an attempt that was written."""
        if isinstance(outcome, HandedOn):
            self.handed_on += 1
        elif change.entry is not None:  # being put off is no result
            self._count(change.to, 1)

    def report(self, duration: timedelta) -> TickReport:
        """Return the numbers so far."""
        return TickReport(
            claimed=self.claimed,
            posted=self.by_status.get(JobStatus.POSTED, 0),
            retrying=self.by_status.get(JobStatus.RETRYING, 0),
            failed=self.by_status.get(JobStatus.FAILED, 0),
            in_flight=self.handed_on,
            reclaimed=self.reclaimed,
            duration_ms=round(duration / timedelta(milliseconds=1)),
        )

    def _count(self, status: JobStatus, number: int) -> None:
        self.by_status[status] = self.by_status.get(status, 0) + number
