"""Whether posts are late, what became of them, and which were not made twice."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.domain.jobs.job import Delivery, FailureReason, Job, JobStatus, NewJob
from app.domain.jobs.transition import Transition
from app.metrics.tiktok import code_label
from app.store.jobs.claims import Claimed

LATENESS_BUCKETS: Final = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 21_600)
"""Seconds; a cron trigger alone adds up to 60."""


class PostMetrics:
    """Counts the work of this process's runner."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._init_lateness = _lateness(
            "init", "From a post's time to TikTok taking it", registry
        )
        self._posted_lateness = _lateness(
            "posted", "From a post's time to TikTok having posted it", registry
        )
        attempts = Counter(
            "scheduler_attempts",
            "Attempts that ended, by what they came to and what was decided",
            ("outcome", "decision"),
            registry=registry,
        )
        # Cached, since labels() takes a lock each time and the values are few.
        self._attempts = cache(attempts.labels)
        self._failures = Counter(
            "scheduler_attempt_failures",
            "Attempts that failed, by the class and the code of the error",
            ("error_class", "code"),
            registry=registry,
        )
        self._ends = cache(_ends(registry).labels)
        self._corrected = Counter(
            "scheduler_jobs_corrected",
            "Jobs whose end a late word from TikTok changed, by their new status",
            ("status",),
            registry=registry,
        )
        self._count_claims(registry)
        self._running = Gauge(
            "scheduler_attempts_running",
            "Attempts that this process has going",
            registry=registry,
        )
        for status in (JobStatus.POSTED, JobStatus.FAILED):
            self._corrected.labels(status)  # zeros, before anything happened

    def _count_claims(self, registry: CollectorRegistry) -> None:
        self._claims = Counter("scheduler_claims", "Jobs claimed", registry=registry)
        self._abandoned = Counter(
            "scheduler_claims_abandoned",
            "Claims taken over from workers that went away",
            registry=registry,
        )
        self._unreadable = Counter(
            "scheduler_jobs_unreadable",
            "Due jobs put off because this version cannot read them",
            registry=registry,
        )

    def count_running(self, running: Callable[[], int]) -> None:
        """Take the function that tells how many attempts are under way."""
        self._running.set_function(running)

    def claim(self, claimed: Claimed) -> None:
        """Count a claim, and the abandoned attempts that it ended."""
        self._claims.inc(len(claimed.jobs) + claimed.failed)
        self._abandoned.inc(len(claimed.taken_over))
        self._unreadable.inc(len(claimed.unreadable))
        for each in claimed.taken_over:
            self._count(each.change)

    def end(self, job: Job, change: Transition) -> None:
        """Count an attempt that was written, and how late its post was."""
        self._count(change)
        if job.posted_at is not None and not _started_again(job):
            self._posted_lateness.observe(_late(job, job.posted_at))
            if job.publish_started_at is not None:
                self._init_lateness.observe(_late(job, job.publish_started_at))

    def correct(self, status: JobStatus) -> None:
        """Count a job whose end TikTok corrected later."""
        self._corrected.labels(status).inc()

    def _count(self, change: Transition) -> None:
        entry = change.entry
        if entry is None:  # put off or handed on: no attempt ended
            return
        self._attempts(entry.outcome, entry.decision).inc()
        if entry.error_class is not None:
            code = code_label(entry.error_code)
            self._failures.labels(entry.error_class, code).inc()
        reason = change.delivery or change.failure_reason
        if reason is not None:
            self._ends(change.to, reason).inc()


def _ends(registry: CollectorRegistry) -> Counter:
    """Make the counter of ends, each exported as zero at the start."""
    ends = Counter(
        "scheduler_jobs_ended",
        "Jobs that ended posted or failed, by how they were delivered or why not",
        ("status", "reason"),
        registry=registry,
    )
    for delivery in Delivery:
        ends.labels(JobStatus.POSTED, delivery)
    for reason in FailureReason:
        ends.labels(JobStatus.FAILED, reason)
    return ends


def _lateness(name: str, text: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(
        f"scheduler_{name}_lateness_seconds",
        text,
        buckets=LATENESS_BUCKETS,
        registry=registry,
    )


def _started_again(job: Job) -> bool:
    """Tell whether a person retried the job: they know that it is late."""
    return job.attempt_number > job.attempts + 1


def _late(job: Job, moment: datetime) -> float:
    due = max(job.scheduled_for, job.created_at)  # a past time means now
    return max(timedelta(0), moment - due).total_seconds()


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
