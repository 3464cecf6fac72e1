"""Claiming: what is due, in its order, each job for one worker."""

from datetime import timedelta, timezone

import pytest

from app.domain.jobs.job import Job, JobStatus
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.requests.job_store import JobStore
from tests.store.claiming import claim, claim_one
from tests.support.factories import (
    FAILED,
    LEASE,
    NOW,
    POSTED,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    handed_on,
    job_row,
    store_job,
    store_row,
    store_rows,
)

A_MOMENT = timedelta(milliseconds=1)


async def assets(claims: ClaimStore, *, limit: int) -> list[str]:
    """Claim and tell whose jobs they are."""
    return [job.asset_id for job in (await claim(claims, limit=limit)).jobs]


async def test_a_claim_is_written_whole(database: Database, claims: ClaimStore) -> None:
    """Token, owner, time and lease are stored before the worker begins."""
    waiting = await store_job(database)
    job = await claim_one(claims)
    assert job == await JobStore(database).get(waiting.id)
    assert (job.status, job.claimed_by, job.claimed_at) == (PROCESSING, "worker_1", NOW)
    assert job.claim_token
    assert job.attempt_started_at == NOW
    assert job.next_attempt_at == NOW + LEASE


@pytest.mark.parametrize("status", [SCHEDULED, RETRYING])
async def test_a_job_is_due_at_its_time(
    database: Database, claims: ClaimStore, status: JobStatus
) -> None:
    """Not a millisecond earlier, and then at once."""
    await store_job(database, status, next_attempt_at=NOW)
    assert (await claim(claims, now=NOW - A_MOMENT)).jobs == ()
    assert len((await claim(claims, now=NOW)).jobs) == 1


async def test_a_claimed_job_is_nobody_elses(
    database: Database, claims: ClaimStore
) -> None:
    """While the lease lasts, no other claim finds it; at its end one does."""
    await store_job(database)
    first = await claim_one(claims)
    before_its_end = NOW + LEASE - A_MOMENT
    assert (await claim(claims, now=before_its_end)).jobs == ()
    second = await claim_one(claims, now=NOW + LEASE)
    assert second.claim_token != first.claim_token


@pytest.mark.parametrize("status", [POSTED, FAILED])
async def test_a_job_that_is_over_is_never_claimed(
    database: Database, claims: ClaimStore, status: JobStatus
) -> None:
    """Terminal rows stay as they are, whatever the time."""
    over = await store_job(database, status)
    found = await claim(claims, now=NOW + timedelta(days=3650))
    assert (found.jobs, len(found.taken_over)) == ((), 0)
    assert await JobStore(database).get(over.id) == over


async def test_a_retry_keeps_what_is_known(
    database: Database, claims: ClaimStore
) -> None:
    """A claim counts nothing; it only ends the wait."""
    before = await store_job(database, RETRYING, attempts=2, publish_id="pub_0")
    job = await claim_one(claims)
    assert (job.attempts, job.last_error) == (2, before.last_error)
    assert (job.publish_id, job.init_sent_at) == ("pub_0", None)


async def test_the_first_due_are_claimed_first(
    database: Database, claims: ClaimStore
) -> None:
    """A worker with few free slots takes what has waited longest."""
    minutes = (3, 1, 4, 2)
    await store_rows(
        database,
        [
            job_row(asset_id=f"{ago} ago", scheduled_for=at, next_attempt_at=at)
            for ago in minutes
            for at in [NOW - timedelta(minutes=ago)]
        ],
    )
    assert await assets(claims, limit=3) == ["4 ago", "3 ago", "2 ago"]
    assert await assets(claims, limit=3) == ["1 ago"]


async def test_due_by_leaves_out_what_falls_due_later(
    database: Database, claims: ClaimStore
) -> None:
    """A tick can keep to what was due when it began."""
    await store_job(database, asset_id="early", next_attempt_at=NOW - A_MOMENT)
    await store_job(database, asset_id="late", next_attempt_at=NOW)
    found = await claim(claims, due_by=NOW - A_MOMENT)
    assert [job.asset_id for job in found.jobs] == ["early"]
    assert found.jobs[0].claimed_at == NOW


async def test_a_job_handed_on_is_resumed_at_no_cost(
    database: Database, claims: ClaimStore
) -> None:
    """In flight without an owner: the same attempt goes on, on another worker."""
    began = NOW - timedelta(seconds=40)
    before = await store_row(database, handed_on(attempts=1, attempt_started_at=began))
    found = await claim(claims)
    (job,) = found.jobs
    assert (len(found.taken_over), job.attempts) == (0, 1)
    assert job.attempt_started_at == began
    assert (job.init_sent_at, job.publish_id) == (before.init_sent_at, "pub_1")
    assert await JobStore(database).attempts(job.id) == ()


async def test_each_claim_has_a_token_of_its_own(
    database: Database, claims: ClaimStore
) -> None:
    """One worker's two claims are two owners, too."""
    await store_rows(database, [job_row(), job_row()])
    one, two = await claim(claims, limit=1), await claim(claims, limit=1)
    assert one.jobs[0].claim_token != two.jobs[0].claim_token


@pytest.mark.parametrize("status", [SCHEDULED, PROCESSING])
async def test_now_may_have_any_offset(
    database: Database, claims: ClaimStore, status: JobStatus
) -> None:
    """A clock in another zone claims the same jobs and writes the same times."""
    row = job_row() if status is SCHEDULED else handed_on()
    await store_row(database, row)
    job = await claim_one(claims, now=NOW.astimezone(timezone(timedelta(hours=5))))
    assert times_of(job) == (NOW, NOW, NOW + LEASE, NOW)


def times_of(job: Job) -> tuple[object, ...]:
    """Name the times that a claim writes."""
    return (
        job.claimed_at,
        job.attempt_started_at,
        job.next_attempt_at,
        job.updated_at,
    )


async def test_next_due_is_the_earliest_time_of_all(
    database: Database, claims: ClaimStore
) -> None:
    """Waiting, retrying, in flight or under a lease: a runner wakes up for each."""
    await store_job(database, POSTED)
    await store_job(database, FAILED)
    assert await claims.next_due() is None
    await store_job(database, PROCESSING)
    assert await claims.next_due() == NOW + LEASE
    for seconds, status in ((30, RETRYING), (20, SCHEDULED)):
        at = NOW + timedelta(seconds=seconds)
        await store_job(database, status, next_attempt_at=at)
        assert await claims.next_due() == at
    await store_row(database, handed_on(next_attempt_at=NOW))
    assert await claims.next_due() == NOW
