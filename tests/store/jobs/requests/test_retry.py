"""A person starts a failed job again."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.domain.errors import DuplicateJob, JobNotRetryable, OutcomeUnknown
from app.domain.jobs.job import FailureReason, Job, JobStatus, WaitingFor
from app.store.db.engine import Database
from app.store.jobs.requests.job_store import JobStore
from app.store.retention.tombstones import past_publishes
from tests.support.factories import (
    FAILED,
    NOW,
    POSTED,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    job_row,
    store_entry,
    store_job,
    store_row,
    unconfirmed,
)

LATER = NOW + timedelta(days=1)
CLICKS = 10


@pytest.mark.parametrize(
    "reason", [FailureReason.AUTH, FailureReason.PERMANENT, FailureReason.MAX_ATTEMPTS]
)
async def test_a_failed_job_starts_afresh(
    database: Database, jobs: JobStore, reason: FailureReason
) -> None:
    """Due at once with all its attempts; its error is over, its ledger stays."""
    row = job_row(FAILED, attempts=5, attempt_number=5, failure_reason=reason)
    job = await store_row(database, row | {"publish_id": "pub_that_failed"})
    await store_entry(database, job, number=5)
    again = await jobs.retry(job.id, now=LATER)
    assert again == await jobs.get(job.id)
    assert (again.status, again.attempts, again.next_attempt_at) == (
        SCHEDULED,
        0,
        LATER,
    )
    assert (again.failure_reason, again.last_error) == (None, None)
    assert (again.init_sent_at, again.publish_id) == (None, None)
    assert (again.scheduled_for, again.idempotency_key) == (
        job.scheduled_for,
        job.idempotency_key,
    )
    assert again.attempt_number == 5
    assert len(await jobs.attempts(job.id)) == 1


async def test_an_open_publish_id_is_resumed(
    database: Database, jobs: JobStore
) -> None:
    """TikTok has the video: the retry asks about it and sends nothing."""
    job = await store_job(
        database,
        FAILED,
        failure_reason=FailureReason.MAX_ATTEMPTS,
        init_sent_at=NOW,
        publish_id="pub_1",
    )
    again = await jobs.retry(job.id, now=LATER)
    assert (again.init_sent_at, again.publish_id) == (NOW, "pub_1")
    assert again.waiting_for is WaitingFor.TIKTOK


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"publish_id": "pub_1"},
        # Whatever ended the job: an init without an answer may have been taken.
        {"failure_reason": FailureReason.MAX_ATTEMPTS},
    ],
    ids=str,
)
async def test_an_unknown_outcome_needs_the_risk_accepted(
    database: Database, jobs: JobStore, columns: dict[str, Any]
) -> None:
    """Without it the job stays as it is."""
    job = await store_row(database, unconfirmed(**columns))
    with pytest.raises(OutcomeUnknown):
        await jobs.retry(job.id, now=LATER)
    assert await jobs.get(job.id) == job


async def test_with_the_risk_accepted_an_unknown_init_is_given_up(
    database: Database, jobs: JobStore
) -> None:
    """The next attempt may send another, as the person chose."""
    job = await store_row(database, unconfirmed())
    again = await jobs.retry(job.id, now=LATER, accept_duplicate_risk=True)
    assert (again.status, again.init_sent_at) == (SCHEDULED, None)
    assert again == await jobs.get(job.id)


async def test_with_the_risk_accepted_a_known_id_is_given_up(
    database: Database, jobs: JobStore
) -> None:
    """A way out of a publish that never ends; its id is nobody else's for ever."""
    job = await store_row(database, unconfirmed(publish_id="pub_1"))
    again = await jobs.retry(job.id, now=LATER, accept_duplicate_risk=True)
    assert (again.init_sent_at, again.publish_id) == (None, None)
    async with database.read() as connection:
        known = await connection.execute(select(past_publishes.c.publish_id))
        assert known.scalars().all() == ["pub_1"]


@pytest.mark.parametrize("status", [SCHEDULED, PROCESSING, RETRYING, POSTED])
async def test_only_a_failed_job_is_retried(
    database: Database, jobs: JobStore, status: JobStatus
) -> None:
    """Everything else goes on by itself or is done."""
    job = await store_job(database, status)
    with pytest.raises(JobNotRetryable):
        await jobs.retry(job.id, now=LATER, accept_duplicate_risk=True)
    assert await jobs.get(job.id) == job


async def test_a_newer_post_now_goes_before_an_old_one(
    database: Database, jobs: JobStore
) -> None:
    """While the newer job runs, retrying the old one would be a second post."""
    old = await store_job(database, FAILED, asset_id="asset_9", post_now=True)
    await store_job(
        database, PROCESSING, asset_id="asset_9", post_now=True, scheduled_for=LATER
    )
    with pytest.raises(DuplicateJob):
        await jobs.retry(old.id, now=LATER)
    assert await jobs.get(old.id) == old


async def test_retried_twice_at_once_starts_once(processes: list[Database]) -> None:
    """A double click on retry: one gets the job, the others learn that it runs."""
    for _ in range(CLICKS):
        job = await store_job(processes[0], FAILED)
        answers = await asyncio.gather(
            *(JobStore(process).retry(job.id, now=LATER) for process in processes),
            return_exceptions=True,
        )
        refused = [answer for answer in answers if not isinstance(answer, Job)]
        assert len(refused) == len(processes) - 1
        assert {type(answer) for answer in refused} == {JobNotRetryable}
