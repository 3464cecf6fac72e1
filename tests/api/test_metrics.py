"""Figures for Prometheus."""

from datetime import timedelta

from app.domain.job import JobStatus
from tests.api.serving import Api
from tests.support.factories import NOW, store_job


async def test_metrics_tell_what_is_due_and_for_how_long(api: Api) -> None:
    """The first question of whoever runs the service: are posts late?"""
    due_at = NOW - timedelta(seconds=90)
    await store_job(api.database, JobStatus.SCHEDULED, next_attempt_at=due_at)
    answer = await api.stranger().get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "scheduler_jobs_due 1.0" in answer.text.splitlines()
    assert "scheduler_oldest_due_seconds 90.0" in answer.text.splitlines()


async def test_metrics_are_there_before_anything_happened(edge: Api) -> None:
    """A dashboard shows zeros, not gaps."""
    lines = (await edge.stranger().get("/metrics")).text.splitlines()
    assert "scheduler_jobs_due 0.0" in lines
    assert "scheduler_claims_total 0.0" in lines
    assert "scheduler_posted_lateness_seconds_count 0.0" in lines
