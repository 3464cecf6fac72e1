"""Holds: due jobs are put off, what is in flight is not, and all go on afterwards."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.domain.errors import NotFound
from app.domain.jobs.history import HistoryKind
from app.domain.jobs.hold import WITHOUT_END, Hold
from app.domain.jobs.job import Job, JobStatus
from app.store.db.engine import Database
from app.store.jobs.claims import Claimed, ClaimStore
from app.store.jobs.history import read_history
from app.store.jobs.holds import HoldStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.tables import job_attempts
from tests.store.claiming import claim
from tests.support.factories import (
    FAILED,
    NOW,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    abandoned,
    job_row,
    store_row,
)

LATER = NOW + timedelta(hours=2)


def hold(project_id: str | None = "proj_1", until: datetime | None = None) -> Hold:
    """Make a hold."""
    return Hold(project_id=project_id, reason="a recall", until=until)


@pytest.fixture
def holds(database: Database) -> HoldStore:
    """Give the holds."""
    return HoldStore(database)


async def due(database: Database, **values: Any) -> Job:  # noqa: ANN401
    """Store a job that is due."""
    row = job_row(values.pop("status", SCHEDULED), next_attempt_at=NOW, **values)
    return await store_row(database, row)


async def claimed(claims: ClaimStore, *, now: datetime = NOW) -> Claimed:
    """Claim all that is due."""
    return await claim(claims, now=now)


@pytest.mark.parametrize("of", ["proj_1", None], ids=["one project", "every project"])
@pytest.mark.parametrize("until", [LATER, None], ids=["until a time", "without end"])
async def test_a_due_job_is_put_off_at_no_attempt(
    database: Database,
    holds: HoldStore,
    claims: ClaimStore,
    jobs: JobStore,
    of: str | None,
    until: datetime | None,
) -> None:
    """It stays what it was, unclaimed, and no attempt is written."""
    job = await due(database)
    await holds.put(hold(of, until), now=NOW)
    found = await claimed(claims)
    assert (found.jobs, found.held) == ((), 1)
    held = await jobs.get(job.id)
    assert (held.status, held.attempts) == (JobStatus.SCHEDULED, 0)
    assert (held.claim_token, held.held_since) == (None, NOW)
    assert held.next_attempt_at == (until or WITHOUT_END)
    async with database.read() as connection:
        assert (await connection.execute(select(job_attempts))).all() == []


async def test_another_projects_jobs_go_out(
    database: Database, holds: HoldStore, claims: ClaimStore
) -> None:
    """A hold is nobody else's."""
    await due(database)
    other = await due(database, project_id="proj_2")
    await holds.put(hold(), now=NOW)
    assert [job.id for job in (await claimed(claims)).jobs] == [other.id]


async def test_a_job_between_attempts_stays_so(
    database: Database, holds: HoldStore, claims: ClaimStore, jobs: JobStore
) -> None:
    """What it has tried is not forgotten."""
    job = await due(database, status=RETRYING, attempts=2)
    await holds.put(hold(), now=NOW)
    await claimed(claims)
    held = await jobs.get(job.id)
    assert (held.status, held.attempts) == (JobStatus.RETRYING, 2)


async def test_what_is_in_flight_is_followed(
    database: Database, holds: HoldStore, claims: ClaimStore
) -> None:
    """TikTok has it: its end is found out, hold or not."""
    flying = {"init_sent_at": NOW, "publish_id": "p_1", "publish_started_at": NOW}
    job = await due(database, status=PROCESSING, **flying)
    await holds.put(hold(), now=NOW)
    assert [each.id for each in (await claimed(claims)).jobs] == [job.id]


async def test_an_abandoned_claim_counts_and_is_put_off(
    database: Database, holds: HoldStore, claims: ClaimStore, jobs: JobStore
) -> None:
    """Its worker went away before an init: nothing is sent anew during a hold."""
    job = await store_row(database, abandoned())
    await holds.put(hold(), now=NOW)
    found = await claimed(claims)
    assert (found.jobs, len(found.taken_over), found.held) == ((), 1, 1)
    held = await jobs.get(job.id)
    assert (held.attempts, held.claim_token) == (job.attempts + 1, None)


async def test_a_hold_that_is_taken_away_lets_all_go_in_their_order(
    database: Database, holds: HoldStore, claims: ClaimStore
) -> None:
    """A released hold lets all go at once, the longest scheduled first."""
    later = await due(database, scheduled_for=NOW)
    sooner = await due(database, scheduled_for=NOW - timedelta(minutes=1))
    await holds.put(hold(), now=NOW)
    await claimed(claims)
    await holds.delete("proj_1", now=NOW)
    found = (await claimed(claims)).jobs
    assert [job.id for job in found] == [sooner.id, later.id]
    assert all(job.held_since is None for job in found)


async def test_a_held_job_that_a_person_cancelled_keeps_no_hold(
    database: Database, holds: HoldStore, claims: ClaimStore, jobs: JobStore
) -> None:
    """An ended job is held no more, and the hold can be changed and released."""
    job, other = await due(database), await due(database)
    await holds.put(hold(), now=NOW)
    await claimed(claims)
    await jobs.cancel(job.id, now=NOW)
    assert (await jobs.get(job.id)).held_since is None
    await holds.put(hold(until=LATER), now=NOW)
    await claimed(claims)
    await holds.delete("proj_1", now=NOW)
    assert [each.id for each in (await claimed(claims)).jobs] == [other.id]


async def test_an_ended_job_with_an_older_versions_mark_stays_over(
    database: Database, holds: HoldStore
) -> None:
    """A job that was cancelled while it was held stops no release."""
    job = await store_row(database, job_row(FAILED, held_since=NOW))
    await holds.put(hold(), now=NOW)
    await holds.delete("proj_1", now=NOW)
    assert await holds.let_go(now=NOW) == 0
    assert (await JobStore(database).get(job.id)).status is JobStatus.FAILED


async def test_after_its_time_a_hold_is_none(
    database: Database, holds: HoldStore, claims: ClaimStore
) -> None:
    """Jobs go on by themselves."""
    job = await due(database)
    await holds.put(hold(until=LATER), now=NOW)
    await claimed(claims)
    assert (await claimed(claims, now=LATER - timedelta(seconds=1))).jobs == ()
    assert [each.id for each in (await claimed(claims, now=LATER)).jobs] == [job.id]
    with pytest.raises(NotFound):
        await holds.get("proj_1", now=LATER)


async def test_a_new_time_counts_for_what_is_held_already(
    database: Database, holds: HoldStore, claims: ClaimStore, jobs: JobStore
) -> None:
    """A second PUT replaces the first."""
    job = await due(database)
    await holds.put(hold(), now=NOW)
    await claimed(claims)
    assert not await holds.put(hold(until=LATER), now=NOW)
    await claimed(claims)
    assert (await jobs.get(job.id)).next_attempt_at == LATER
    assert await holds.get("proj_1", now=NOW) == hold(until=LATER)


async def test_a_project_that_is_held_by_itself_stays_so(
    database: Database, holds: HoldStore, claims: ClaimStore
) -> None:
    """Taking the hold of all away frees the others alone."""
    await due(database)
    other = await due(database, project_id="proj_2")
    await holds.put(hold(), now=NOW)
    await holds.put(hold(None), now=NOW)
    assert (await claimed(claims)).held == 2
    await holds.delete(None, now=NOW)
    found = await claimed(claims)
    assert [job.id for job in found.jobs] == [other.id]
    assert found.held == 1


async def test_what_was_put_off_too_late_is_let_go(
    database: Database, holds: HoldStore, claims: ClaimStore
) -> None:
    """Jobs put off by a claim that began before the release are let go, too."""
    free, _ = [
        await store_row(
            database,
            job_row(project_id=name, held_since=NOW, next_attempt_at=WITHOUT_END),
        )
        for name in ("proj_1", "proj_2")
    ]
    await holds.put(hold("proj_2"), now=NOW)
    assert await holds.let_go(now=NOW) == 1
    async with database.read() as connection:
        (told,) = await read_history(connection, free.id)
    assert told.kind is HistoryKind.RELEASED
    assert [job.id for job in (await claimed(claims)).jobs] == [free.id]


async def test_a_hold_that_is_not_there_is_not_found(holds: HoldStore) -> None:
    """A hold that does not exist can be neither shown nor released."""
    with pytest.raises(NotFound):
        await holds.get(None, now=NOW)
    with pytest.raises(NotFound):
        await holds.delete("proj_1", now=NOW)
