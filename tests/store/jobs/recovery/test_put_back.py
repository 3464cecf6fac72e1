"""What a database forgot is written again by who did it, and nothing newer is lost."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import HandedOn, Outcome, Published, Transient
from app.domain.jobs.witness import Witness
from app.domain.posts.upload import Upload
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.db.vault import Vault
from app.store.jobs.claims import ClaimStore
from app.store.jobs.recovery.put_back import PutBack
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.tables import job_attempts, schedule_jobs
from app.store.jobs.uploads import UploadStore
from tests.runner.scripted import fault
from tests.store.claiming import claim_one, decided
from tests.support.accounts import VAULT
from tests.support.factories import LEASE, NOW, store_job

LATER = NOW + timedelta(seconds=5)
MUCH_LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def witness() -> Witness:
    """Give a worker's memory."""
    return Witness()


@pytest.fixture
def claims(database: Database, witness: Witness) -> ClaimStore:
    """Give the worker's side of the jobs, which it remembers."""
    return ClaimStore(database, lease=LEASE, witness=witness)


async def row_of(database: Database, job: Job) -> dict[str, Any]:
    """Read a row as it is."""
    async with database.read() as connection:
        found = select(schedule_jobs).where(schedule_jobs.c.id == job.id)
        return dict((await connection.execute(found)).mappings().one())


async def lose(database: Database, row: dict[str, Any] | None, job: Job) -> None:
    """Let the database have an earlier row again, or none, and no ledger."""
    async with database.write() as connection:
        ledger = delete(job_attempts).where(job_attempts.c.job_id == job.id)
        await connection.execute(ledger)
        await connection.execute(
            delete(schedule_jobs).where(schedule_jobs.c.id == job.id)
        )
        if row is not None:
            await connection.execute(insert(schedule_jobs).values(row))


async def put_back(database: Database, witness: Witness) -> int:
    """Put back what is lacking."""
    return await PutBack(database, witness, AccountStore(database, VAULT)).write(
        now=LATER
    )


async def sent(claims: ClaimStore) -> Job:
    """Claim a job, and have its init taken."""
    job = await claim_one(claims)
    stamped = await claims.stamp_init(job, now=NOW)
    assert stamped is not None
    named = await claims.save_publish_id(stamped, "pub_1", now=NOW)
    assert named is not None
    return named


async def ended(claims: ClaimStore, job: Job, outcome: Outcome) -> None:
    """Write what an attempt came to."""
    assert await claims.apply(job, decided(job, outcome), now=NOW)


@pytest.mark.parametrize("forgotten", ["the row", "the claim", "the init"])
async def test_an_end_comes_back_with_its_claim_init_and_ledger(
    database: Database,
    claims: ClaimStore,
    jobs: JobStore,
    witness: Witness,
    forgotten: str,
) -> None:
    """However much of it was lost; once is enough."""
    job = await store_job(database)
    before = await row_of(database, job)
    claimed = await claim_one(claims)
    if forgotten == "the init":
        before = await row_of(database, job)
    stamped = await claims.stamp_init(claimed, now=NOW)
    assert stamped is not None
    named = await claims.save_publish_id(stamped, "pub_1", now=NOW)
    assert named is not None
    await ended(claims, named, Published(publish_id="pub_1", post_id="7"))
    lost = None if forgotten == "the row" else before
    was = await row_of(database, job)
    await lose(database, lost, job)
    assert await put_back(database, witness) == 1
    now = await row_of(database, job)
    not_ours = {"updated_at": None, "readiness": None}
    assert now | not_ours == was | not_ours
    assert len(await jobs.attempts(job.id)) == 1
    assert await put_back(database, witness) == 0


async def test_an_attempt_that_goes_on_gets_its_claim_back(
    database: Database, claims: ClaimStore, witness: Witness
) -> None:
    """A running attempt's claim is put back, and its token fits again."""
    job = await store_job(database)
    before = await row_of(database, job)
    named = await sent(claims)
    await lose(database, before, job)
    assert await put_back(database, witness) == 1
    await ended(claims, named, Published(publish_id="pub_1"))


async def test_what_an_attempt_could_not_write_is_followed_at_once(
    database: Database, claims: ClaimStore, jobs: JobStore, witness: Witness
) -> None:
    """Its claim was lost before it could write the id that TikTok had given."""
    job = await store_job(database)
    before = await row_of(database, job)
    claimed = await claim_one(claims)
    stamped = await claims.stamp_init(claimed, now=NOW)
    assert stamped is not None
    await lose(database, before, job)
    assert await claims.save_publish_id(stamped, "pub_1", now=NOW) is None
    witness.note_drop(stamped)
    assert await put_back(database, witness) == 1
    followed = await jobs.get(job.id)
    assert (followed.publish_id, followed.claim_token) == ("pub_1", None)
    assert followed.next_attempt_at == LATER


async def test_two_attempts_come_back_in_their_order(
    database: Database, claims: ClaimStore, jobs: JobStore, witness: Witness
) -> None:
    """The first failed at TikTok, the second was posted."""
    job = await store_job(database)
    before = await row_of(database, job)
    first = await sent(claims)
    await ended(claims, first, Transient(fault=fault()))
    await lose(database, {**await row_of(database, job), "next_attempt_at": NOW}, job)
    second = await sent(claims)
    await ended(claims, second, Published(publish_id="pub_1"))
    await lose(database, before, job)
    assert await put_back(database, witness) == 2
    done = await jobs.get(job.id)
    assert (done.status, done.attempt_number) == ("posted", 2)
    outcomes = [entry.outcome for entry in await jobs.attempts(job.id)]
    assert outcomes == ["transient", "published"]


async def test_an_upload_comes_back(
    database: Database, claims: ClaimStore, jobs: JobStore, witness: Witness
) -> None:
    """An upload is put back with its progress and its mark."""
    uploads = UploadStore(database, Vault([b"x" * 32]), witness=witness)
    job = await store_job(database, transfer="push")
    before = await row_of(database, job)
    upload = Upload(
        publish_id="pub_1",
        url="https://up.example.com/1",
        chunk_size=5,
        content_type="video/mp4",
        subject="s",
    )
    saved = await uploads.save(
        await claim_one(claims), upload, size=9, etag=None, marks=False, now=NOW
    )
    assert saved is not None
    marked = await uploads.mark(saved, uploaded=5, now=NOW)
    assert marked is not None
    await lose(database, before, job)
    assert await put_back(database, witness) == 1
    assert uploads.opened(await jobs.get(job.id)) == upload


@pytest.mark.parametrize(
    "newer",
    [
        {"attempt_number": 1},
        {"status": "posted", "posted_at": LATER, "delivery": "published"}
        | {"next_attempt_at": None},
        {"status": "processing", "claim_token": "t", "claimed_by": "w"}
        | {"claimed_at": LATER},
        {"init_sent_at": LATER, "publish_id": "pub_2", "status": "processing"},
    ],
    ids=["a later attempt", "posted", "a later claim", "a later init"],
)
async def test_nothing_newer_is_overwritten(
    database: Database, claims: ClaimStore, witness: Witness, newer: dict[str, Any]
) -> None:
    """Somebody else came after us, and that was not lost."""
    job = await store_job(database)
    before = await row_of(database, job)
    await sent(claims)
    await lose(database, before | newer, job)
    assert await put_back(database, witness) == 0
    assert await row_of(database, job) == before | newer


async def test_a_person_who_was_told_too_much_is_corrected(
    database: Database, claims: ClaimStore, jobs: JobStore, witness: Witness
) -> None:
    """It was cancelled while the database did not know that it was sent."""
    job = await store_job(database)
    before = await row_of(database, job)
    named = await sent(claims)
    await ended(claims, named, Published(publish_id="pub_1"))
    await lose(database, before, job)
    async with database.write() as connection:
        cancelled = {"status": "failed", "failure_reason": "cancelled"}
        await connection.execute(
            update(schedule_jobs).values(**cancelled, next_attempt_at=None)
        )
    assert await put_back(database, witness) == 1
    assert (await jobs.get(job.id)).status == "posted"


async def test_what_was_handed_on_is_not_taken_back(
    database: Database, claims: ClaimStore, witness: Witness
) -> None:
    """Another worker follows the publish by now."""
    await store_job(database)
    named = await sent(claims)
    await ended(claims, named, HandedOn(resume_at=NOW))
    assert await put_back(database, witness) == 0
