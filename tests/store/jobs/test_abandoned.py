"""A worker went away: its jobs are taken over when their lease is over."""

import pytest
from sqlalchemy.exc import IntegrityError

from app.domain.jobs.backoff import RetryPolicy
from app.domain.jobs.job import AttemptRecord, ErrorClass, FailureReason, Job
from app.store.db.engine import Database
from app.store.jobs import claims as module
from app.store.jobs.claims import ClaimStore
from app.store.jobs.requests.job_store import JobStore
from tests.store.claiming import HOLD, RETRY, claim, claim_one
from tests.support.factories import (
    FAILED,
    LEASE,
    NOW,
    PROCESSING,
    abandoned,
    job_row,
    store_entry,
    store_row,
    store_rows,
)


async def test_an_abandoned_claim_counts_one_attempt(
    database: Database, claims: ClaimStore
) -> None:
    """The next attempt begins under a new claim; the ledger tells of the lost one."""
    before = await store_row(database, abandoned(claimed_by="worker_0"))
    found = await claim(claims)
    (job,) = found.jobs
    assert (len(found.taken_over), found.failed) == (1, 0)
    assert (job.status, job.attempts, job.claimed_by) == (PROCESSING, 1, "worker_1")
    assert job.claim_token not in {None, before.claim_token}
    assert job.attempt_started_at == job.claimed_at == NOW
    assert job.next_attempt_at == NOW + LEASE
    assert job == await JobStore(database).get(job.id)
    assert await JobStore(database).attempts(job.id) == (lost_attempt(before),)


def lost_attempt(job: Job) -> AttemptRecord:
    """Write the ledger row that an abandoned attempt leaves."""
    assert job.last_error is None
    assert job.attempt_started_at is not None
    return AttemptRecord(
        number=1,
        started_at=job.attempt_started_at,
        finished_at=NOW,
        outcome="abandoned",
        decision="processing",
        error_class=ErrorClass.TRANSIENT,
        error_code="claim_abandoned",
        message="the worker that ran this attempt went away",
        worker=job.claimed_by,
    )


async def test_abandoned_twice_counts_twice(
    database: Database, claims: ClaimStore
) -> None:
    """Each lost claim is an attempt of its own in the ledger."""
    await store_row(database, abandoned())
    await claim_one(claims)
    job = await claim_one(claims, now=NOW + LEASE)
    ledger = await JobStore(database).attempts(job.id)
    assert (job.attempts, job.attempt_number) == (2, 2)
    assert [entry.number for entry in ledger] == [1, 2]


async def test_abandoned_at_the_last_attempt_is_over(
    database: Database, claims: ClaimStore
) -> None:
    """A job that kills every worker does not run for ever."""
    row = abandoned(attempts=4, max_attempts=5)
    before = await store_row(database, row)
    found = await claim(claims)
    assert (found.jobs, len(found.taken_over), found.failed) == ((), 1, 1)
    job = await JobStore(database).get(before.id)
    assert (job.status, job.failure_reason) == (FAILED, FailureReason.MAX_ATTEMPTS)
    assert (job.attempts, job.claim_token, job.next_attempt_at) == (5, None, None)
    (entry,) = await JobStore(database).attempts(job.id)
    assert entry.decision == "failed:max_attempts"


async def test_an_init_nobody_knows_about_is_not_sent_again(
    database: Database, claims: ClaimStore
) -> None:
    """Abandoned between init and answer: the job ends and keeps guarding."""
    row = abandoned(init_sent_at=NOW - LEASE)
    before = await store_row(database, row)
    found = await claim(claims, policy=HOLD)
    assert (found.jobs, found.failed) == ((), 1)
    job = await JobStore(database).get(before.id)
    assert (job.status, job.failure_reason) == (FAILED, FailureReason.UNCONFIRMED)
    assert (job.attempts, job.init_sent_at) == (1, before.init_sent_at)


async def test_an_init_nobody_knows_about_goes_on_if_that_was_chosen(
    database: Database, claims: ClaimStore
) -> None:
    """With UNCONFIRMED_INIT=retry the next attempt may send it again."""
    await store_row(database, abandoned(init_sent_at=NOW - LEASE))
    (job,) = (await claim(claims, policy=RETRY)).jobs
    assert (job.status, job.attempts, job.init_sent_at) == (PROCESSING, 1, None)


@pytest.mark.parametrize("policy", [HOLD, RETRY], ids=["hold", "retry"])
async def test_a_known_publish_id_is_resumed(
    database: Database, claims: ClaimStore, policy: RetryPolicy
) -> None:
    """TikTok has the video: the next attempt asks about it and sends nothing."""
    sent = NOW - LEASE
    await store_row(database, abandoned(init_sent_at=sent, publish_id="pub_7"))
    (job,) = (await claim(claims, policy=policy)).jobs
    assert (job.attempts, job.init_sent_at, job.publish_id) == (1, sent, "pub_7")


async def test_a_batch_may_hold_every_kind(
    database: Database, claims: ClaimStore
) -> None:
    """What goes on is handed out, what is over only counted."""
    rows = [
        job_row(asset_id="due"),
        abandoned(asset_id="lost"),
        abandoned(asset_id="last", attempts=4),
        abandoned(asset_id="unknown", init_sent_at=NOW - LEASE),
    ]
    await store_rows(database, rows)
    found = await claim(claims)
    assert {job.asset_id for job in found.jobs} == {"due", "lost"}
    assert (len(found.taken_over), found.failed) == (3, 2)


async def test_a_decision_that_breaks_claims_nothing(
    database: Database, claims: ClaimStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Claim and count commit together or not at all."""
    before = await store_row(database, abandoned())

    def break_down(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(module, "decide", break_down)

    with pytest.raises(RuntimeError):
        await claim(claims)
    assert await JobStore(database).get(before.id) == before


async def test_a_ledger_that_takes_nothing_claims_nothing(
    database: Database, claims: ClaimStore
) -> None:
    """No attempt is counted that the ledger does not tell of."""
    before = await store_row(database, abandoned())
    await store_entry(database, before, number=1)
    with pytest.raises(IntegrityError):
        await claim(claims)
    assert await JobStore(database).get(before.id) == before
