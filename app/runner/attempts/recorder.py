"""Record attempts in the log, the metrics and the traces."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Outcome
from app.domain.jobs.transition import Transition
from app.metrics import Metrics, Prevented
from app.runner.tick_report import Tally
from app.tracing import Tracing

log = structlog.get_logger(__name__)


class Recorder:
    """Counts attempts in a run's tally and the process's metrics, and logs them.

    ``on_news`` is called after attempts that may have made an event.
    """

    def __init__(
        self,
        tally: Tally,
        metrics: Metrics,
        tracing: Tracing,
        *,
        on_news: Callable[[], None],
    ) -> None:
        self._tracing = tracing
        self._tally = tally
        self._metrics = metrics
        self._on_news = on_news
        self._log = log.bind()  # bound once, not for each line

    @contextmanager
    def attempt(self, job: Job) -> Iterator[None]:
        """Add the job's id to every log line of the attempt."""
        self._metrics.duplicates.begin(job)
        # Not bound_contextvars, which first reads everything that is bound.
        names = structlog.contextvars.bind_contextvars(
            job_id=job.id, project_id=job.project_id, attempt=job.attempt_number + 1
        )
        try:
            with self._tracing.attempt(job):
                yield
        finally:
            structlog.contextvars.reset_contextvars(**names)

    def ended(self, job: Job, outcome: Outcome, change: Transition) -> None:
        """Count and log an attempt's outcome."""
        self._tally.end(outcome, change)
        self._metrics.end(job, change)
        if change.entry is not None:  # being put off is not logged
            self._on_news()
        error = change.last_error if change.entry is not None else None
        self._tracing.ended(type(outcome).__name__, error.code if error else None)
        self._log.info(
            "attempt over",
            outcome=type(outcome).__name__,
            status=str(job.status),
            publish_id=job.publish_id,
            next_attempt_at=job.next_attempt_at and job.next_attempt_at.isoformat(),
            **({"code": error.code, "log_id": error.log_id} if error else {}),
        )

    def lost(self) -> None:
        """Count an attempt whose job another worker has taken over."""
        self._metrics.duplicates.prevent(Prevented.LOST_CLAIM)
        log.warning("claim lost; the outcome is dropped")
