"""The claim token: a worker that lost its claim can write nothing."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import HandedOn, Published
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.requests.job_store import JobStore
from tests.store.claiming import claim_one, decided
from tests.support.factories import LEASE, NOW, abandoned, store_job, store_row

Write = Callable[[ClaimStore, Job], Awaitable[Job | None]]

LATER = NOW + LEASE
A_MOMENT = timedelta(milliseconds=1)


async def stamp_init(claims: ClaimStore, job: Job) -> Job | None:
    """Say that an init is about to go out."""
    return await claims.stamp_init(job, now=LATER)


async def clear_init(claims: ClaimStore, job: Job) -> Job | None:
    """Say that the init was not taken."""
    return await claims.clear_init(job, now=LATER)


async def save_publish_id(claims: ClaimStore, job: Job) -> Job | None:
    """Say under which id TikTok took the init."""
    return await claims.save_publish_id(job, "pub_late", now=LATER)


async def apply(claims: ClaimStore, job: Job) -> Job | None:
    """Say what the attempt came to."""
    change = decided(job, Published(publish_id="pub_late"), now=LATER)
    return await claims.apply(job, change, now=LATER)


each_write = pytest.mark.parametrize(
    "write", [stamp_init, clear_init, save_publish_id, apply]
)


async def taken_over(claims: ClaimStore, job: Job) -> None:
    """Let another worker find the lease over."""
    await claim_one(claims, now=LATER)


async def finished(claims: ClaimStore, job: Job) -> None:
    """Let the same claim end well before."""
    await claims.apply(job, decided(job, Published(publish_id="pub_1")), now=NOW)


async def given_back(claims: ClaimStore, job: Job) -> None:
    """Let the same claim be handed back before."""
    await claims.apply(job, decided(job, HandedOn(resume_at=NOW)), now=NOW)


@each_write
@pytest.mark.parametrize("lose", [taken_over, finished, given_back])
async def test_a_lost_claim_writes_nothing(
    database: Database,
    claims: ClaimStore,
    write: Write,
    lose: Callable[[ClaimStore, Job], Awaitable[None]],
) -> None:
    """The row and the ledger stay as the job's owner left them."""
    await store_job(database)
    stale = await claim_one(claims)
    await lose(claims, stale)
    before = await everything(database, stale.id)
    assert await write(claims, stale) is None
    assert await everything(database, stale.id) == before


@each_write
async def test_what_was_never_claimed_is_not_written(
    database: Database, claims: ClaimStore, write: Write
) -> None:
    """A job handed on belongs to nobody, so nobody may write it."""
    await store_job(database)
    mine = await claim_one(claims)
    await claims.stamp_init(mine, now=NOW)
    sent = await claims.save_publish_id(mine, "pub_1", now=NOW)
    assert sent is not None
    resume = NOW + timedelta(hours=1)
    change = decided(sent, HandedOn(resume_at=resume))
    nobodys = await claims.apply(sent, change, now=NOW)
    assert nobodys is not None
    assert nobodys.claim_token is None
    assert await write(claims, nobodys) is None
    assert await JobStore(database).get(nobodys.id) == nobodys


async def everything(database: Database, job_id: str) -> tuple[object, object]:
    """Read a job and its ledger."""
    store = JobStore(database)
    return await store.get(job_id), await store.attempts(job_id)


async def test_an_init_is_stamped_before_it_goes_out(
    database: Database, claims: ClaimStore
) -> None:
    """From here on the job is in flight, and ambiguous until its id is known."""
    await store_job(database, publish_id="pub_of_a_failed_init")
    job = await claims.stamp_init(await claim_one(claims), now=NOW)
    assert job is not None
    assert job == await JobStore(database).get(job.id)
    assert (job.init_sent_at, job.publish_id) == (NOW, None)
    assert job.ambiguous


async def test_no_init_goes_out_after_the_lease(
    database: Database, claims: ClaimStore
) -> None:
    """Any moment now another worker may take the job over and send one itself."""
    await store_job(database)
    job = await claim_one(claims)
    assert await claims.stamp_init(job, now=NOW + LEASE) is None
    assert not (await JobStore(database).get(job.id)).in_flight
    assert await claims.stamp_init(job, now=NOW + LEASE - A_MOMENT) is not None


async def test_an_init_is_stamped_once(database: Database, claims: ClaimStore) -> None:
    """Two tasks that hold the same claim by mistake do not both send."""
    await store_job(database)
    job = await claim_one(claims)
    first = await claims.stamp_init(job, now=NOW)
    assert first is not None
    assert await claims.stamp_init(job, now=NOW + A_MOMENT) is None
    again = await claims.stamp_init(first, now=NOW + A_MOMENT)
    assert again is not None
    assert again.init_sent_at == NOW + A_MOMENT


async def test_a_stamp_whose_answer_was_lost_can_be_repeated(
    database: Database, claims: ClaimStore
) -> None:
    """The database took it and the connection broke: the same stamp fits again."""
    await store_job(database)
    job = await claim_one(claims)
    first = await claims.stamp_init(job, now=NOW)
    assert first is not None
    assert await claims.stamp_init(job, now=NOW) == first


async def test_an_init_that_was_not_taken_is_closed(
    database: Database, claims: ClaimStore
) -> None:
    """What TikTok refused is no longer in flight, and may be sent again."""
    await store_job(database)
    sent = await claims.stamp_init(await claim_one(claims), now=NOW)
    assert sent is not None
    job = await claims.clear_init(sent, now=NOW)
    assert job is not None
    assert job == await JobStore(database).get(job.id)
    assert not job.in_flight
    assert job.claim_token == sent.claim_token


async def test_the_publish_id_is_kept_even_after_the_lease(
    database: Database, claims: ClaimStore
) -> None:
    """While nobody else took the job, losing TikTok's id would only do harm."""
    await store_job(database)
    sent = await claims.stamp_init(await claim_one(claims), now=NOW)
    assert sent is not None
    job = await claims.save_publish_id(sent, "pub_1", now=LATER)
    assert job is not None
    assert job == await JobStore(database).get(job.id)
    assert (job.publish_id, job.publish_started_at) == ("pub_1", LATER)
    assert (job.in_flight, job.ambiguous) == (True, False)


async def test_a_taken_over_claim_fences_its_former_worker_at_once(
    database: Database, claims: ClaimStore
) -> None:
    """The new owner's attempt is the only one that can be written."""
    old = await store_row(database, abandoned())
    new = await claim_one(claims)
    assert await apply(claims, old) is None
    assert await apply(claims, new) is not None
