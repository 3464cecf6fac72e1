"""What many attempts write at one time: few statements, and each row on its own."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import HandedOn, Published
from app.domain.jobs.transition import applied
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.tables import media_links
from tests.store.claiming import claim, decided
from tests.support.factories import LEASE, NOW, POSTED, store_entry, store_job

MANY = 25
LATER = NOW + timedelta(seconds=3)


@pytest.fixture
async def owned(database: Database, claims: ClaimStore) -> tuple[Job, ...]:
    """Give jobs that one worker claimed together."""
    for _ in range(MANY):
        await store_job(database)
    return (await claim(claims)).jobs


@pytest.fixture
def updates(database: Database) -> Iterator[list[str]]:
    """Collect the statements that change jobs."""
    sent: list[str] = []

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        if "UPDATE schedule_jobs" in call[2]:
            sent.append(call[2])

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def end(claims: ClaimStore, job: Job) -> Job | None:
    """Write that a job was posted."""
    change = decided(job, Published(publish_id=f"pub of {job.id}"), now=LATER)
    return await claims.apply(job, change, now=LATER)


async def end_all(
    claims: ClaimStore, jobs: tuple[Job, ...]
) -> list[Job | BaseException | None]:
    """Write all ends at one time."""
    writes = (end(claims, job) for job in jobs)
    return await asyncio.gather(*writes, return_exceptions=True)


async def test_ends_share_a_statement_and_each_row_says_its_own(
    database: Database,
    claims: ClaimStore,
    owned: tuple[Job, ...],
    updates: list[str],
) -> None:
    """One statement; every row, answer and ledger entry is that job's."""
    written = await end_all(claims, owned)
    assert len(updates) == 1
    jobs = JobStore(database)
    for before, after in zip(owned, written, strict=True):
        assert isinstance(after, Job)
        assert after == await jobs.get(before.id)
        assert (after.status, after.publish_id) == (POSTED, f"pub of {before.id}")
        (entry,) = await jobs.attempts(before.id)
        assert entry.publish_id == after.publish_id


async def test_all_kinds_of_marks_share_a_statement(
    database: Database,
    claims: ClaimStore,
    owned: tuple[Job, ...],
    updates: list[str],
) -> None:
    """Stamps, ids and stamps taken back, each written as if it were alone."""
    stamped = [await claims.stamp_init(job, now=NOW) for job in owned[:2]]
    sent, refused = (job for job in stamped if job is not None)
    updates.clear()
    written = await asyncio.gather(
        claims.save_publish_id(sent, "pub_1", now=LATER),
        claims.clear_init(refused, now=LATER),
        *(claims.stamp_init(job, now=LATER) for job in owned[2:]),
    )
    assert len(updates) == 1
    for after in written:
        assert after is not None
        assert after == await JobStore(database).get(after.id)
    named, cleared, *others = written
    assert named is not None
    assert cleared is not None
    assert (named.publish_id, named.init_sent_at) == ("pub_1", NOW)
    assert cleared.init_sent_at is None
    assert {job.init_sent_at for job in others if job is not None} == {LATER}


async def test_a_lost_claim_among_others_is_lost_alone(
    database: Database, claims: ClaimStore, owned: tuple[Job, ...]
) -> None:
    """Each row is guarded by its own token."""
    zombie = replace(owned[3], claim_token="token of another")
    jobs = (*owned[:3], zombie, *owned[4:])
    written = await end_all(claims, jobs)
    assert [index for index, job in enumerate(written) if job is None] == [3]
    assert await JobStore(database).get(zombie.id) == owned[3]
    assert await JobStore(database).attempts(zombie.id) == ()


async def test_tokens_of_two_rows_are_not_exchanged(
    database: Database, claims: ClaimStore, owned: tuple[Job, ...]
) -> None:
    """A token that is good for one row is good for no other in the same statement."""
    other = await claim_of(database, claims)
    first = replace(owned[0], claim_token=other.claim_token)
    second = replace(other, claim_token=owned[0].claim_token)
    assert await end_all(claims, (first, second, *owned[1:3])) != []
    for job in (owned[0], other):
        assert await JobStore(database).get(job.id) == job


async def claim_of(database: Database, claims: ClaimStore) -> Job:
    """Claim one more job, under a token of its own."""
    await store_job(database)
    (job,) = (await claim(claims)).jobs
    return job


async def test_a_row_that_is_refused_is_refused_alone(
    database: Database, claims: ClaimStore, owned: tuple[Job, ...]
) -> None:
    """The mistake is its own asker's, and the others are written all the same."""
    await store_entry(database, owned[3], number=1)
    written = await end_all(claims, owned)
    assert isinstance(written[3], IntegrityError)
    assert await JobStore(database).get(owned[3].id) == owned[3]
    others = [*written[:3], *written[4:]]
    assert {job.status for job in others if isinstance(job, Job)} == {POSTED}
    assert len(others) == MANY - 1


async def test_a_stamp_too_late_holds_no_other_back(
    database: Database, claims: ClaimStore
) -> None:
    """The lease counts for each job by itself."""
    await store_job(database)
    (old,) = (await claim(claims)).jobs
    await store_job(database)
    (fresh,) = (await claim(claims, now=LATER)).jobs
    at = NOW + LEASE
    late, good = await asyncio.gather(
        claims.stamp_init(old, now=at), claims.stamp_init(fresh, now=at)
    )
    assert late is None
    assert good is not None


async def test_stamps_with_links_are_written_with_them(
    database: Database, claims: ClaimStore, owned: tuple[Job, ...]
) -> None:
    """A link is there if and only if its stamp is; who has none gets none."""
    zombie = replace(owned[1], claim_token="token of another")
    await asyncio.gather(
        claims.stamp_init(owned[0], now=NOW, media_token="secret_0"),
        claims.stamp_init(zombie, now=NOW, media_token="secret_1"),
        claims.stamp_init(owned[2], now=NOW),
    )
    async with database.read() as connection:
        found = await connection.execute(select(media_links.c.token))
    assert found.scalars().all() == ["secret_0"]


async def test_who_leaves_breaks_nothing_off(
    database: Database, claims: ClaimStore, owned: tuple[Job, ...]
) -> None:
    """A cancelled attempt's write is done, and nobody else's is lost."""
    tasks = [asyncio.create_task(end(claims, job)) for job in owned]
    await asyncio.sleep(0)
    tasks[0].cancel()
    written = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(written[0], asyncio.CancelledError)
    for job in owned:
        assert (await JobStore(database).get(job.id)).status is POSTED


async def test_a_close_waits_for_what_is_being_written(
    database: Database, claims: ClaimStore, owned: tuple[Job, ...]
) -> None:
    """Nobody waits for it any more, and a statement that is cut off may lock SQLite."""
    task = asyncio.create_task(end(claims, owned[0]))
    await asyncio.sleep(0)
    task.cancel()
    await database.close()
    assert (await JobStore(database).get(owned[0].id)).status is POSTED


async def test_pauses_and_ends_go_together(
    database: Database, claims: ClaimStore, owned: tuple[Job, ...]
) -> None:
    """What has no ledger entry gets none because another one has."""
    pause = decided(owned[0], HandedOn(resume_at=LATER))
    paused, ended = await asyncio.gather(
        claims.apply(owned[0], pause, now=LATER), end(claims, owned[1])
    )
    assert paused == applied(owned[0], pause, now=LATER)
    assert paused == await JobStore(database).get(owned[0].id)
    assert await JobStore(database).attempts(owned[0].id) == ()
    assert ended is not None
