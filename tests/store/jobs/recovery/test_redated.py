"""What a clock that was ahead put off goes on once the clock is right or gone."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from app.domain.jobs.redating import Bounds
from app.machine.clock import ClockWatch
from app.store.db.engine import Database
from app.store.db.types import database_time
from app.store.jobs.recovery.redated import RedatingStore
from app.store.jobs.requests.job_store import JobStore
from app.store.webhooks.tables import webhook_events
from tests.support.factories import (
    LEASE,
    NOW,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    handed_on,
    new_job,
    store_job,
    store_row,
    unconfirmed,
)
from tests.support.outbox import happen, listen, told

_events = webhook_events.c
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
BOUNDS = Bounds(
    lease=LEASE, longest=60 * MINUTE, delivery=DAY, slack=timedelta(seconds=11)
)
AHEAD: dict[str, Any] = {
    "updated_at": NOW + DAY,
    "next_attempt_at": NOW + DAY + 2 * MINUTE,
}


@pytest.fixture
def redating(database: Database) -> RedatingStore:
    """Give what is under test."""
    return RedatingStore(database, BOUNDS)


async def test_leases_retries_and_waits_of_a_day_ahead(
    database: Database, jobs: JobStore, redating: RedatingStore
) -> None:
    """Each lasts as long as it was meant to, from now on."""
    claimed = await store_job(database, PROCESSING, **AHEAD, claimed_at=NOW + DAY)
    retrying = await store_job(database, RETRYING, **AHEAD)
    waiting = await store_job(database, SCHEDULED, **AHEAD, waiting_for="quota")
    in_flight = await store_row(database, handed_on(**AHEAD))
    assert await redating.run(now=NOW) == 4
    times = [
        (await jobs.get(job.id)).next_attempt_at
        for job in (claimed, retrying, waiting, in_flight)
    ]
    assert times == [NOW + LEASE, *[NOW + 2 * MINUTE] * 3]
    assert await redating.run(now=NOW) == 0


async def test_what_waits_rightly_is_left_alone(
    database: Database, redating: RedatingStore
) -> None:
    """A claim, a retry, a time to come, a hold, and what a person moved."""
    await store_job(database, PROCESSING)
    await store_job(database, RETRYING, next_attempt_at=NOW + 60 * MINUTE)
    to_come = {"scheduled_for": NOW + DAY, "next_attempt_at": NOW + DAY}
    await store_job(database, SCHEDULED, **to_come, updated_at=NOW + DAY)
    await store_job(database, RETRYING, **to_come, updated_at=NOW + DAY)
    held = {"held_since": NOW, "next_attempt_at": NOW + 9 * DAY}
    await store_job(database, SCHEDULED, **held)
    assert await redating.run(now=NOW) == 0


async def test_a_post_now_of_a_clock_ahead_is_due(
    database: Database, jobs: JobStore, redating: RedatingStore
) -> None:
    """It means at once, whatever time the API that took it had."""
    ahead = {"scheduled_for": NOW + DAY, "next_attempt_at": NOW + DAY}
    job = await store_job(database, SCHEDULED, **ahead, post_now=True)
    assert await redating.run(now=NOW) == 1
    assert (await jobs.get(job.id)).next_attempt_at == NOW


async def test_confirmations_of_a_day_ahead_are_made(
    database: Database, jobs: JobStore, redating: RedatingStore
) -> None:
    """One written tomorrow, and one that is later than any can be; no other."""
    times = [
        {"confirm_at": NOW + 2 * MINUTE, "updated_at": NOW + MINUTE},
        {"confirm_at": NOW + DAY + MINUTE, "updated_at": NOW},
        {"confirm_at": NOW + DAY, "updated_at": NOW},
    ]
    ended = [await store_row(database, unconfirmed(**each)) for each in times]
    assert await redating.run(now=NOW) == 2
    found = [(await jobs.get(job.id)).confirm_at for job in ended]
    assert found == [NOW, NOW, NOW + DAY]
    assert await redating.run(now=NOW) == 0


async def test_events_of_a_day_ahead_are_sent(
    database: Database, redating: RedatingStore
) -> None:
    """Made, tried or claimed tomorrow; one that waits for its next try does so."""
    await listen(database, "https://app.example.com/hook", now=NOW)
    for _ in range(4):
        await happen(database, now=NOW)
    at = _events.position
    states: list[dict[str, Any]] = [
        {"created_at": NOW + DAY, "next_attempt_at": NOW + DAY},
        {"last_attempt_at": NOW + DAY, "next_attempt_at": NOW + DAY},
        {"claim_token": "token_1", "next_attempt_at": NOW + DAY + MINUTE},
        {"last_attempt_at": NOW, "next_attempt_at": NOW + DAY},
    ]
    events = await told(database)
    async with database.write() as connection:
        for event, state in zip(events, states, strict=True):
            changed = (
                update(webhook_events).where(at == event["position"]).values(state)
            )
            await connection.execute(changed)
    assert await redating.run(now=NOW) == 3
    due = [event["next_attempt_at"] for event in await told(database)]
    assert due == [NOW, NOW, NOW, NOW + DAY]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_post_now_is_due_by_the_databases_clock(
    database: Database, jobs: JobStore
) -> None:
    """An API that is ahead makes nobody wait, not even for the next look."""
    async with database.read() as connection:
        theirs = (await connection.execute(select(database_time()))).scalar_one()
    job, _ = await jobs.add(new_job(scheduled_for=None), now=theirs + DAY)
    due = (await jobs.get(job.id)).next_attempt_at
    assert due is not None
    assert due < theirs + 5 * MINUTE
    later, _ = await jobs.add(new_job(scheduled_for=theirs + DAY), now=theirs)
    assert (await jobs.get(later.id)).next_attempt_at == later.scheduled_for


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_worker_whose_own_clock_is_wrong_dates_nothing(
    database: Database,
) -> None:
    """By a clock a day behind, every lease looks as if it lasted too long."""
    job = await store_job(database, PROCESSING)
    watch = ClockWatch(lambda: NOW, tolerance=timedelta(seconds=5))
    redating = RedatingStore(database, BOUNDS, watch=watch)
    assert await redating.run(now=NOW - DAY) == 0
    assert (await JobStore(database).get(job.id)).next_attempt_at == NOW + LEASE
