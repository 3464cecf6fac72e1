"""What an attempt came to: its row and its ledger entry commit together."""

from datetime import timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy.exc import IntegrityError

from app.domain.jobs.job import ErrorClass, Job, LastError, WaitingFor
from app.domain.jobs.outcome import (
    AuthLost,
    Fault,
    HandedOn,
    InInbox,
    Outcome,
    Processing,
    Published,
    PutOff,
    RateLimited,
    Rejected,
    Transient,
    Unconfirmed,
)
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.requests.job_store import JobStore
from tests.store.claiming import claim, claim_one, decided
from tests.support.factories import NOW, SCHEDULED, store_entry, store_job

FAULT = Fault(
    error_class=ErrorClass.TRANSIENT,
    code="internal_error",
    message="TikTok says “später” 🙈",
    http_status=500,
    log_id="20260409",
)
LIMIT = replace(FAULT, error_class=ErrorClass.RATE_LIMIT, retry_after=17.5)
SOON = NOW + timedelta(seconds=5)

ENDS: list[Outcome] = [
    Published(
        publish_id="pub_1", post_id="7602997517160123666", post_url="https://t.k"
    ),
    InInbox(publish_id="pub_1"),
    Processing(publish_id="pub_1"),
    RateLimited(fault=LIMIT),
    Transient(fault=FAULT, in_flight=True),
    Rejected(fault=replace(FAULT, error_class=ErrorClass.PERMANENT)),
    AuthLost(fault=replace(FAULT, error_class=ErrorClass.AUTH)),
    Unconfirmed(fault=FAULT),
]
PAUSES: list[Outcome] = [
    PutOff(until=SOON, waiting_for=WaitingFor.QUOTA),
    HandedOn(resume_at=SOON),
]


async def in_flight(database: Database, claims: ClaimStore) -> Job:
    """Claim a job and send its init."""
    await store_job(database)
    sent = await claims.stamp_init(await claim_one(claims), now=NOW)
    assert sent is not None
    job = await claims.save_publish_id(sent, "pub_1", now=NOW)
    assert job is not None
    return job


def named(outcome: Outcome) -> str:
    """Name a parameter."""
    return type(outcome).__name__


@pytest.mark.parametrize("outcome", ENDS, ids=named)
async def test_an_attempt_is_written_as_decided(
    database: Database, claims: ClaimStore, outcome: Outcome
) -> None:
    """Every field of the decision is stored, and one entry in the ledger."""
    job = await in_flight(database, claims)
    change = decided(job, outcome)
    after = await claims.apply(job, change, now=SOON)
    assert after is not None
    assert after == await JobStore(database).get(job.id)
    for name in ("attempts", "next_attempt_at", "init_sent_at", "publish_id"):
        assert getattr(after, name) == getattr(change, name)
    for name in ("failure_reason", "last_error", "waiting_for", "delivery"):
        assert getattr(after, name) == getattr(change, name)
    for name in ("post_id", "post_url", "posted_at", "attempt_started_at"):
        assert getattr(after, name) == getattr(change, name)
    assert (after.status, after.updated_at) == (change.to, SOON)
    assert (after.claim_token, after.claimed_by, after.claimed_at) == (None,) * 3
    assert await JobStore(database).attempts(job.id) == (change.entry,)
    assert after.attempt_number == 1


@pytest.mark.parametrize("outcome", PAUSES, ids=named)
async def test_a_pause_leaves_no_entry(
    database: Database, claims: ClaimStore, outcome: Outcome
) -> None:
    """Put off or handed on is no attempt; the job can be claimed at its time."""
    job = await in_flight(database, claims)
    after = await claims.apply(job, decided(job, outcome), now=NOW)
    assert after is not None
    assert (after.attempts, after.attempt_number) == (0, 0)
    assert await JobStore(database).attempts(job.id) == ()
    assert (await claim(claims, now=NOW)).jobs == ()
    again = await claim_one(claims, now=SOON)
    assert (again.publish_id, again.attempts) == ("pub_1", 0)


async def test_a_job_put_off_before_its_init_is_scheduled_again(
    database: Database, claims: ClaimStore
) -> None:
    """Nothing is in flight, so it is shown as waiting, with the reason."""
    await store_job(database)
    job = await claim_one(claims)
    change = decided(job, PutOff(until=SOON, waiting_for=WaitingFor.ACCOUNT_CAP))
    after = await claims.apply(job, change, now=NOW)
    assert after is not None
    assert (after.status, after.next_attempt_at) == (SCHEDULED, SOON)
    assert after.waiting_for is WaitingFor.ACCOUNT_CAP


async def test_the_error_is_kept_as_it_was(
    database: Database, claims: ClaimStore
) -> None:
    """Class, code, TikTok's words and log id, to the microsecond."""
    job = await in_flight(database, claims)
    at = NOW + timedelta(microseconds=1)
    await claims.apply(job, decided(job, Transient(fault=FAULT), now=at), now=at)
    assert (await JobStore(database).get(job.id)).last_error == LastError(
        error_class=ErrorClass.TRANSIENT,
        code="internal_error",
        message="TikTok says “später” 🙈",
        log_id="20260409",
        at=at,
    )


async def test_the_row_is_not_written_without_its_entry(
    database: Database, claims: ClaimStore
) -> None:
    """If the ledger refuses the entry, the job is as it was and still owned."""
    job = await in_flight(database, claims)
    await store_entry(database, job, number=1)
    with pytest.raises(IntegrityError):
        await claims.apply(job, decided(job, Published(publish_id="pub_1")), now=NOW)
    assert await JobStore(database).get(job.id) == job


async def test_the_ledger_goes_on_over_attempts(
    database: Database, claims: ClaimStore
) -> None:
    """Oldest first, numbered without gaps, the successful attempt last."""
    await store_job(database)
    at = NOW
    for _ in range(2):
        job = await claim_one(claims, now=at)
        at += timedelta(hours=2)
        await claims.apply(job, decided(job, Transient(fault=FAULT), now=at), now=at)
        at += timedelta(hours=2)
    job = await claim_one(claims, now=at)
    await claims.apply(job, decided(job, Published(publish_id="p"), now=at), now=at)
    ledger = await JobStore(database).attempts(job.id)
    assert [(entry.number, entry.outcome) for entry in ledger] == [
        (1, "transient"),
        (2, "transient"),
        (3, "published"),
    ]
    assert (await JobStore(database).get(job.id)).attempts == 2
