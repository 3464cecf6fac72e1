"""Count the second posts that were prevented."""

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter

from app.domain.jobs.job import FailureReason, Job, NewJob
from app.domain.jobs.transition import Transition


class Prevented(StrEnum):
    """What prevented a repetition."""

    REPEATED_REQUEST = "repeated_request"  # the same job was requested again
    DOUBLE_CLICK = "double_click"  # Post Now, while the first one runs
    RESUMED_PUBLISH = "resumed_publish"  # a known publish_id instead of a new init
    WITHHELD_INIT = "withheld_init"  # the fate of the previous init is unknown
    LOST_CLAIM = "lost_claim"  # another worker had taken over the job
    REPEATED_WEBHOOK = "repeated_webhook"  # TikTok sent the same event again


class DuplicateMetrics:
    """Counts preventions by mechanism."""

    def __init__(self, registry: CollectorRegistry) -> None:
        prevented = Counter(
            "scheduler_duplicates_prevented",
            "What would have been done twice without the mechanism named",
            ("mechanism",),
            registry=registry,
        )
        self._prevented = {each: prevented.labels(each) for each in Prevented}

    def prevent(self, mechanism: Prevented) -> None:
        """Count one."""
        self._prevented[mechanism].inc()

    def repeat(self, new: NewJob) -> None:
        """Count a request for a job that exists already."""
        post_now = new.scheduled_for is None
        self.prevent(Prevented.DOUBLE_CLICK if post_now else Prevented.REPEATED_REQUEST)

    def begin(self, job: Job) -> None:
        """Count an attempt that resumes a known publish."""
        if job.in_flight and job.publish_id is not None:
            self.prevent(Prevented.RESUMED_PUBLISH)

    def end(self, change: Transition) -> None:
        """Count an attempt that ended in doubt instead of sending another init."""
        if change.failure_reason is FailureReason.UNCONFIRMED:
            self.prevent(Prevented.WITHHELD_INIT)
