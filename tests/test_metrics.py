"""What a runner counts."""

from dataclasses import replace
from datetime import timedelta

from app.domain.job import JobStatus
from app.domain.outcome import Published, Transient
from app.metrics import Metrics
from app.store.claims import Claimed
from tests.domain.jobs import A_FAULT, NOW, a_job, applied, decided


def test_a_posted_job_tells_how_late_it_was() -> None:
    """From its time to TikTok taking it, and to TikTok having posted it."""
    metrics = Metrics()
    late = a_job(
        scheduled_for=NOW - timedelta(seconds=20),
        publish_started_at=NOW - timedelta(seconds=5),
    )
    change = decided(late, Published(publish_id="pub-1"))
    metrics.posts.end(applied(late, change), change)
    sample = metrics.registry.get_sample_value
    assert sample("scheduler_posted_lateness_seconds_sum") == 20
    assert sample("scheduler_init_lateness_seconds_sum") == 15
    ended = {"outcome": "published", "decision": "posted"}
    assert sample("scheduler_attempts_total", ended) == 1


def test_a_failed_attempt_is_counted_and_not_taken_for_a_late_post() -> None:
    """Lateness is of posts that went out."""
    metrics, job = Metrics(), a_job()
    change = decided(job, Transient(fault=A_FAULT))
    metrics.posts.end(applied(job, change), change)
    sample = metrics.registry.get_sample_value
    assert change.to is JobStatus.RETRYING
    ended = {"outcome": "transient", "decision": "retrying"}
    assert sample("scheduler_attempts_total", ended) == 1
    assert sample("scheduler_posted_lateness_seconds_count") == 0


def test_claims_are_counted_with_those_that_workers_left_behind() -> None:
    """An abandoned claim is a worker that died."""
    metrics = Metrics()
    metrics.posts.claim(
        Claimed(jobs=(a_job(), replace(a_job(), id="job-2")), reclaimed=1)
    )
    sample = metrics.registry.get_sample_value
    assert sample("scheduler_claims_total") == 2
    assert sample("scheduler_claims_abandoned_total") == 1
