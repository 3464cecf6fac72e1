"""Changing and removing jobs: only while nothing can be at TikTok."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from app.domain.errors import (
    DuplicateJob,
    InvalidInput,
    JobNotDeletable,
    JobNotEditable,
    NotFound,
    SchedulerError,
)
from app.domain.jobs.edit import JobChange
from app.domain.jobs.idempotency_keys import RequestKey, idempotency_key
from app.domain.jobs.job import JobStatus, WaitingFor
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.requests.job_store import JobStore
from tests.store.claiming import claim
from tests.support.factories import (
    A_POST,
    FAILED,
    LEASE,
    NOW,
    POSTED,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    handed_on,
    new_job,
    store_entry,
    store_job,
    store_row,
    unconfirmed,
)

LATER = NOW + timedelta(days=1)


@pytest.mark.parametrize("status", [SCHEDULED, RETRYING])
async def test_a_waiting_job_can_be_changed(
    database: Database, jobs: JobStore, status: JobStatus
) -> None:
    """What was changed is stored, and nothing else."""
    job = await store_job(database, status)
    change = JobChange(
        asset_url="https://cdn.example.com/2.mp4", post={"title": "New"}, max_attempts=9
    )
    after = await jobs.edit(job.id, change, now=LATER)
    assert after == await jobs.get(job.id)
    assert (after.asset_url, after.max_attempts) == (change.asset_url, 9)
    assert (after.post.title, after.post.mode) == ("New", A_POST.mode)
    assert after.post.privacy_level is A_POST.privacy_level
    assert (after.status, after.scheduled_for) == (status, job.scheduled_for)
    assert (after.idempotency_key, after.updated_at) == (job.idempotency_key, LATER)


async def test_a_moved_job_has_a_new_time_and_key(
    database: Database, jobs: JobStore
) -> None:
    """It is due at its new time, to the millisecond, and waits for nothing else."""
    job = await store_job(database, RETRYING, waiting_for=WaitingFor.QUOTA)
    at = LATER + timedelta(microseconds=1999)
    after = await jobs.edit(job.id, JobChange(scheduled_for=at), now=NOW)
    assert after == await jobs.get(job.id)
    assert after.scheduled_for == LATER + timedelta(milliseconds=1)
    assert after.next_attempt_at == after.scheduled_for
    assert after.waiting_for is None
    assert after.idempotency_key == idempotency_key(
        project_id=job.project_id,
        platform=job.platform,
        asset_id=job.asset_id,
        scheduled_for=at,
    )


@pytest.mark.parametrize("has_key", [False, True])
async def test_a_moved_job_is_found_by_each_of_its_times(
    jobs: JobStore, has_key: bool
) -> None:
    """A client that repeats its first request gets its job, not a second one."""
    times = [NOW + timedelta(hours=n) for n in range(3)]
    asked = [new_job(asset_id="asset_9", scheduled_for=at) for at in times]
    first, _ = await jobs.add(asked[0], now=NOW)
    for at in times[1:]:
        await jobs.edit(first.id, JobChange(scheduled_for=at), now=NOW)
    for n, one in enumerate(asked):
        key = RequestKey(f"key_{n}", "digest") if has_key else None
        for _ in range(2):
            again, created = await jobs.add(one, now=NOW, key=key)
            assert (again.id, created) == (first.id, False)
    found = await jobs.find_twin(asked[0], now=NOW)
    assert found is not None
    assert found.id == first.id


async def test_a_former_time_is_free_for_other_projects_and_once_it_is_removed(
    jobs: JobStore,
) -> None:
    """Only the job's own request is a repeat, and only while there is the job."""
    asked = new_job(asset_id="asset_9")
    first, _ = await jobs.add(asked, now=NOW)
    await jobs.edit(first.id, JobChange(scheduled_for=LATER), now=NOW)
    other = structs.replace(asked, project_id="proj_2")
    assert (await jobs.add(other, now=NOW))[1]
    await jobs.delete(first.id)
    assert (await jobs.add(asked, now=NOW))[1]


async def test_a_job_that_took_over_a_former_time_goes_first(jobs: JobStore) -> None:
    """The request for that time finds the job that is due then."""
    asked = new_job(asset_id="asset_9")
    first, _ = await jobs.add(asked, now=NOW)
    await jobs.edit(first.id, JobChange(scheduled_for=LATER), now=NOW)
    later = new_job(asset_id="asset_9", scheduled_for=LATER + timedelta(hours=1))
    second, _ = await jobs.add(later, now=NOW)
    await jobs.edit(second.id, JobChange(scheduled_for=NOW), now=NOW)
    found, created = await jobs.add(asked, now=NOW)
    assert (found.id, created) == (second.id, False)


async def test_a_repeat_beside_the_edit_makes_no_second_job(jobs: JobStore) -> None:
    """Whoever comes first of a PATCH and thirty repeats of the POST."""
    for n in range(10):
        asked = new_job(asset_id=f"raced_{n}")
        first, _ = await jobs.add(asked, now=NOW)
        change = JobChange(scheduled_for=LATER)
        found = await asyncio.gather(
            *(jobs.add(asked, now=NOW) for _ in range(15)),
            jobs.edit(first.id, change, now=NOW),
            *(jobs.add(asked, now=NOW) for _ in range(15)),
        )
        ids = {each[0].id for each in found if isinstance(each, tuple)}
        assert ids == {first.id}


async def test_a_job_made_post_now_guards_like_one(
    database: Database, jobs: JobStore
) -> None:
    """No time means now: due at once, and a click on Post Now finds it."""
    job = await store_job(database, scheduled_for=LATER, next_attempt_at=LATER)
    after = await jobs.edit(job.id, JobChange(scheduled_for=None), now=NOW)
    assert (after.post_now, after.next_attempt_at) == (True, NOW)
    asked = new_job(asset_id=job.asset_id, scheduled_for=None)
    found, created = await jobs.add(asked, now=NOW + timedelta(seconds=1))
    assert (found.id, created) == (job.id, False)


async def test_a_job_cannot_take_anothers_time(
    database: Database, jobs: JobStore
) -> None:
    """Two jobs never share a key; the one that was to move stays as it was."""
    await store_job(database, asset_id="asset_9", scheduled_for=LATER)
    job = await store_job(database, asset_id="asset_9")
    with pytest.raises(DuplicateJob):
        await jobs.edit(job.id, JobChange(scheduled_for=LATER), now=NOW)
    assert await jobs.get(job.id) == job


async def test_a_job_cannot_become_a_second_post_now(
    database: Database, jobs: JobStore
) -> None:
    """While one guards its asset, no other job becomes Post Now."""
    await store_job(database, PROCESSING, asset_id="asset_9", post_now=True)
    job = await store_job(database, asset_id="asset_9", scheduled_for=LATER)
    with pytest.raises(DuplicateJob):
        await jobs.edit(job.id, JobChange(scheduled_for=None), now=NOW)
    assert await jobs.get(job.id) == job


BEGUN: list[dict[str, Any]] = [
    {"status": PROCESSING},
    {"status": POSTED},
    {"status": SCHEDULED, "init_sent_at": NOW},
    {"status": RETRYING, "init_sent_at": NOW},
    {"status": RETRYING, "init_sent_at": NOW, "publish_id": "pub_1"},
]


@pytest.mark.parametrize(
    "columns", [*BEGUN, {"status": FAILED, "init_sent_at": NOW}], ids=str
)
async def test_what_has_begun_is_not_changed(
    database: Database, jobs: JobStore, columns: dict[str, Any]
) -> None:
    """Running, over or in flight at TikTok: the row stays as it is."""
    job = await store_job(database, **columns)
    with pytest.raises(JobNotEditable):
        await jobs.edit(job.id, JobChange(scheduled_for=LATER), now=NOW)
    assert await jobs.get(job.id) == job


@pytest.mark.parametrize(
    "columns", [*BEGUN, {"status": FAILED, "init_sent_at": NOW}], ids=str
)
async def test_a_row_that_guards_is_not_removed(
    database: Database, jobs: JobStore, columns: dict[str, Any]
) -> None:
    """Without the row a repeated request would be a second post."""
    job = await store_job(database, **columns)
    with pytest.raises(JobNotDeletable):
        await jobs.delete(job.id)
    assert await jobs.get(job.id) == job


async def test_what_is_handed_on_or_unknown_is_not_removed(
    database: Database, jobs: JobStore
) -> None:
    """No worker owns it, and still it may become a post."""
    for row in (handed_on(), unconfirmed()):
        job = await store_row(database, row)
        with pytest.raises(JobNotDeletable):
            await jobs.delete(job.id)


@pytest.mark.parametrize("status", [SCHEDULED, RETRYING, FAILED])
async def test_a_removed_job_is_gone_with_its_ledger(
    database: Database, jobs: JobStore, status: JobStatus
) -> None:
    """Nothing of it is left, and the same request makes a new job."""
    job = await store_job(database, status)
    await store_entry(database, job, number=1)
    await jobs.delete(job.id)
    with pytest.raises(NotFound):
        await jobs.get(job.id)
    again = await store_job(database, id=job.id, asset_id=job.asset_id)
    assert await jobs.attempts(again.id) == ()


async def test_max_attempts_stays_above_what_was_used(
    database: Database, jobs: JobStore
) -> None:
    """A job cannot be given fewer attempts than it has had."""
    job = await store_job(database, RETRYING, attempts=3)
    with pytest.raises(InvalidInput):
        await jobs.edit(job.id, JobChange(max_attempts=3), now=NOW)
    assert (await jobs.edit(job.id, JobChange(max_attempts=4), now=NOW)).attempts == 3


async def test_another_projects_job_cannot_be_touched(
    database: Database, jobs: JobStore
) -> None:
    """It is not there, for whatever one wants to do with it."""
    job = await store_job(database, FAILED, project_id="theirs")
    with pytest.raises(NotFound):
        await jobs.edit(job.id, JobChange(max_attempts=9), now=NOW, project_id="mine")
    with pytest.raises(NotFound):
        await jobs.delete(job.id, project_id="mine")
    with pytest.raises(NotFound):
        await jobs.retry(job.id, now=NOW, project_id="mine")
    assert await jobs.get(job.id) == job


async def test_an_edit_and_a_claim_do_not_cross(processes: list[Database]) -> None:
    """The worker posts what was changed, or the person learns that it is too late."""
    for n in range(20):
        job = await store_job(processes[0], asset_id=f"asset_{n}")
        change = JobChange(post={"title": "New"})
        claims = ClaimStore(processes[1], lease=LEASE)
        edit = JobStore(processes[0]).edit(job.id, change, now=NOW)
        answer, claimed = await asyncio.gather(
            edit, claim(claims), return_exceptions=True
        )
        assert not isinstance(claimed, BaseException)
        late = isinstance(answer, SchedulerError)
        mine = [each.post.title for each in claimed.jobs if each.id == job.id]
        assert mine in ([], ["" if late else "New"])
