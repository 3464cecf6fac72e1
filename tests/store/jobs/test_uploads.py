"""Uploads in the table: sealed, fenced by the claim, and never forgotten."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from app.domain.jobs.job import Job, JobStatus, Transfer
from app.domain.jobs.outcome import HandedOn
from app.domain.posts.upload import Upload
from app.store.db.engine import Database
from app.store.db.vault import Vault
from app.store.jobs.claims import ClaimStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.tables import schedule_jobs
from app.store.jobs.uploads import UploadStore
from app.store.retention.tombstones import past_publishes
from tests.store.claiming import claim_one, decided
from tests.support.accounts import VAULT
from tests.support.factories import LEASE, NOW, store_job

LATER = NOW + LEASE
SECRET = "https://upload.example/video/?upload_token=Secret"


def upload(publish_id: str = "v_pub_file~v2-1.1") -> Upload:
    """Return an upload as TikTok gives it."""
    return Upload(
        publish_id=publish_id,
        url=SECRET,
        chunk_size=10,
        content_type="video/mp4",
        subject="s",
    )


@pytest.fixture
def uploads(database: Database) -> UploadStore:
    """Give the store of uploads."""
    return UploadStore(database, VAULT)


async def claimed(database: Database, claims: ClaimStore) -> Job:
    """Claim a job that is to be pushed."""
    await store_job(database, transfer=Transfer.PUSH)
    return await claim_one(claims)


async def saved(
    uploads: UploadStore,
    job: Job,
    publish_id: str = "v_pub_file~v2-1.1",
    *,
    marks: bool = False,
    now: datetime = NOW,
) -> Job | None:
    """Write an upload down."""
    return await uploads.save(
        job, upload(publish_id), size=35, etag='"v1"', marks=marks, now=now
    )


async def row_of(database: Database, job: Job) -> Job:
    """Read a job as it is stored."""
    return await JobStore(database).get(job.id)


async def test_an_upload_survives_its_worker_and_nobody_can_read_it(
    database: Database, claims: ClaimStore, uploads: UploadStore
) -> None:
    """Its URL is a secret: who has it can publish."""
    job = await saved(uploads, await claimed(database, claims))
    assert job is not None
    stored = await row_of(database, job)
    assert stored == job
    assert uploads.opened(stored) == upload()
    assert (stored.source_size, stored.source_etag, stored.uploaded_bytes) == (
        35,
        '"v1"',
        0,
    )
    assert not stored.in_flight
    async with database.read() as connection:
        column = select(schedule_jobs.c.upload_url)
        sealed = (await connection.execute(column)).scalar_one()
    assert "Secret" not in sealed
    assert "upload.example" not in sealed


async def test_an_upload_that_no_key_opens_is_none(
    database: Database, claims: ClaimStore, uploads: UploadStore
) -> None:
    """Nor is another job's, nor that of a publish before the present one."""
    job = await saved(uploads, await claimed(database, claims))
    assert job is not None
    stranger = UploadStore(database, Vault([b"x" * 32]))
    assert stranger.opened(job) is None
    assert uploads.opened(replace(job, id="another")) is None
    assert uploads.opened(replace(job, publish_id="v_pub_url~v2.7")) is None
    assert uploads.opened(replace(job, upload_url=None)) is None


async def test_the_mark_puts_the_publish_in_flight(
    database: Database, claims: ClaimStore, uploads: UploadStore
) -> None:
    """From then on only TikTok's word ends it; before, all is free."""
    job = await saved(uploads, await claimed(database, claims))
    assert job is not None
    marked = await uploads.mark(job, uploaded=20, now=NOW)
    assert marked is not None
    assert marked.in_flight
    assert not marked.ambiguous
    assert (await row_of(database, job)) == marked


async def test_what_tiktok_has_of_a_publish_never_becomes_less(
    database: Database, claims: ClaimStore, uploads: UploadStore
) -> None:
    """Whatever it tells later; a new publish begins with nothing."""
    job = await saved(uploads, await claimed(database, claims))
    assert job is not None
    for write, told, known in (
        (uploads.note, 20, 20),
        (uploads.note, 10, 20),
        (uploads.mark, 10, 20),
        (uploads.note, 5, 20),
    ):
        job = await write(job, uploaded=told, now=NOW)
        assert job is not None
        assert job.uploaded_bytes == (await row_of(database, job)).uploaded_bytes
        assert job.uploaded_bytes == known
    job = await saved(uploads, job, "v_pub_file~v2-1.2")
    assert job is not None
    assert job.uploaded_bytes == 0


async def test_an_upload_of_one_chunk_is_written_with_its_mark(
    database: Database, claims: ClaimStore, uploads: UploadStore
) -> None:
    """One commit says what two would."""
    job = await saved(uploads, await claimed(database, claims), marks=True)
    assert job is not None
    assert job.in_flight
    assert uploads.opened(job) == upload()
    assert await row_of(database, job) == job


async def test_such_an_upload_is_not_written_after_the_lease(
    database: Database, claims: ClaimStore, uploads: UploadStore
) -> None:
    """Without the mark it is: what TikTok gave is a fact."""
    job = await claimed(database, claims)
    assert await saved(uploads, job, marks=True, now=LATER) is None
    assert (await row_of(database, job)).publish_id is None
    assert await saved(uploads, job, now=LATER) is not None


@pytest.mark.parametrize("moment", [LATER, LATER + timedelta(seconds=1)])
async def test_a_mark_after_the_lease_is_refused(
    database: Database, claims: ClaimStore, uploads: UploadStore, moment: datetime
) -> None:
    """Another worker may have judged the upload by then."""
    job = await saved(uploads, await claimed(database, claims))
    assert job is not None
    assert await uploads.mark(job, uploaded=20, now=moment) is None
    assert not (await row_of(database, job)).in_flight


async def test_who_lost_the_claim_writes_nothing(
    database: Database, claims: ClaimStore, uploads: UploadStore
) -> None:
    """Not the upload, not the mark, not its progress."""
    job = await saved(uploads, await claimed(database, claims))
    assert job is not None
    taken = await claim_one(claims, now=LATER)
    assert await saved(uploads, job, "v_pub_file~v2-1.2") is None
    assert await saved(uploads, job, "v_pub_file~v2-1.2", marks=True) is None
    assert await uploads.mark(job, uploaded=20, now=NOW) is None
    assert await uploads.note(job, uploaded=20, now=LATER) is None
    assert await uploads.forget(job, repeats=True, now=LATER) is None
    assert await row_of(database, job) == taken


async def test_progress_never_falls_within_one_publish(
    database: Database, claims: ClaimStore, uploads: UploadStore
) -> None:
    """What TikTok was known to have, it has."""
    job = await saved(uploads, await claimed(database, claims))
    assert job is not None
    for told in (10, 30, 20):
        job = await uploads.note(job, uploaded=told, now=NOW)
        assert job is not None
    assert (await row_of(database, job)).uploaded_bytes == 30


async def test_a_publish_that_was_given_up_is_remembered(
    database: Database, claims: ClaimStore, uploads: UploadStore
) -> None:
    """TikTok may tell that it failed: that is no answer to anybody's lost init."""
    job = await saved(uploads, await claimed(database, claims), "v_pub_file~v2-1.1")
    assert job is not None
    job = await uploads.forget(job, repeats=True, now=NOW)
    assert job is not None
    assert job.upload_repeats == (NOW.timestamp(),)
    assert uploads.opened(job) is None
    job = await saved(uploads, job, "v_pub_file~v2-1.2")
    assert job is not None
    assert (await row_of(database, job)).upload_repeats == (NOW.timestamp(),)
    async with database.read() as connection:
        found = await connection.execute(select(past_publishes.c.publish_id))
    assert found.scalars().all() == ["v_pub_file~v2-1.1"]


async def test_an_upload_is_handed_on_between_chunks(
    database: Database, claims: ClaimStore, uploads: UploadStore
) -> None:
    """Nothing is in flight, so the job waits like any other, with its upload."""
    job = await saved(uploads, await claimed(database, claims))
    assert job is not None
    change = decided(job, HandedOn(resume_at=NOW), now=NOW)
    await claims.apply(job, change, now=NOW)
    waiting = await row_of(database, job)
    assert (waiting.status, waiting.attempts) == (JobStatus.SCHEDULED, 0)
    again = await claim_one(claims)
    assert uploads.opened(again) == upload()
