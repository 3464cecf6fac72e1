"""What is old goes in batches; what guards against a second post never does."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.domain.jobs.job import FailureReason
from app.store.accounts.tables import account_quotas, oauth_states
from app.store.db.engine import Database
from app.store.jobs.tables import (
    job_attempts,
    media_links,
    schedule_jobs,
    tiktok_events,
)
from app.store.retention.pruning import FIRST_ID, RetentionStore
from app.store.retention.tombstones import lost_inits
from tests.store.aged import (
    BEFORE,
    LONG_AGO,
    add,
    id_at,
    is_there,
    old,
    over,
    prune,
    size,
    told,
)
from tests.support.factories import (
    FAILED,
    NOW,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    handed_on,
    job_row,
    store_entry,
    store_row,
    unconfirmed,
)


@pytest.fixture
def store(database: Database) -> RetentionStore:
    """Give the store."""
    return RetentionStore(database)


@pytest.mark.parametrize(
    "row",
    [
        over(),
        over(post_now=True),
        old(job_row(FAILED, scheduled_for=LONG_AGO)),
    ],
    ids=["posted", "posted by Post Now", "failed"],
)
async def test_what_is_over_for_good_goes(
    database: Database, store: RetentionStore, row: dict[str, Any]
) -> None:
    """An ended job is deleted with its ledger and its links."""
    job = await store_row(database, row)
    await store_entry(database, job, number=1)
    await add(
        database, media_links, token="t", job_id=job.id, asset_url="u", created_at=NOW
    )
    assert await prune(store) == [1]
    assert not await is_there(database, job)
    assert await size(database, job_attempts) == await size(database, media_links) == 0


@pytest.mark.parametrize(
    "row",
    [
        old(job_row(SCHEDULED, scheduled_for=LONG_AGO)),
        old(job_row(RETRYING, scheduled_for=LONG_AGO)),
        old(job_row(PROCESSING, scheduled_for=LONG_AGO)),
        old(handed_on(scheduled_for=LONG_AGO)),
    ],
    ids=["scheduled", "retrying", "processing", "handed on"],
)
async def test_what_is_not_over_stays(
    database: Database, store: RetentionStore, row: dict[str, Any]
) -> None:
    """However old it is."""
    job = await store_row(database, row)
    assert await prune(store) == [0]
    assert await is_there(database, job)


@pytest.mark.parametrize(
    "row",
    [
        old(unconfirmed(scheduled_for=LONG_AGO)),
        old(unconfirmed(scheduled_for=LONG_AGO, publish_id="pub_1")),
        old(unconfirmed(scheduled_for=LONG_AGO, init_sent_at=None)),
        old(
            job_row(
                FAILED,
                scheduled_for=LONG_AGO,
                failure_reason=FailureReason.AUTH,
                init_sent_at=LONG_AGO,
            )
        ),
        over(confirm_at=NOW),
    ],
    ids=["unanswered", "in flight", "unconfirmed", "auth in flight", "asked about"],
)
async def test_what_is_in_doubt_stays(
    database: Database, store: RetentionStore, row: dict[str, Any]
) -> None:
    """An open init may still become a post, and its row is the guard."""
    job = await store_row(database, row)
    assert await prune(store) == [0]
    assert await is_there(database, job)


@pytest.mark.parametrize(
    "row",
    [
        over() | {"updated_at": BEFORE},
        over() | {"id": id_at(BEFORE)},
        over(scheduled_for=BEFORE),
    ],
    ids=["changed since", "made since", "of a time since"],
)
async def test_what_is_young_in_any_way_stays(
    database: Database, store: RetentionStore, row: dict[str, Any]
) -> None:
    """Made long ago for last week is no old record; nor is an old one that changed."""
    job = await store_row(database, row)
    assert await prune(store) == [0]
    assert await is_there(database, job)


async def test_batches_go_on_where_the_last_one_ended(
    database: Database, store: RetentionStore
) -> None:
    """Rows that stay are passed once, and hide none of those that go."""
    kept = [
        await store_row(database, row)
        for _ in range(3)
        for row in (over(), over(), old(unconfirmed(scheduled_for=LONG_AGO)))
    ]
    assert await prune(store, limit=2) == [2, 2, 2, 0]
    assert [await is_there(database, job) for job in kept] == [False, False, True] * 3


async def test_a_batch_begins_behind_the_last_one(
    database: Database, store: RetentionStore
) -> None:
    """What was passed is not read again, however much of it stays."""
    ids = sorted([(await store_row(database, over())).id for _ in range(3)])
    batch = await store.prune_jobs(before=BEFORE, after_id=ids[0], limit=1)
    assert (batch.count, batch.last_id) == (1, ids[1])


async def test_two_at_once_delete_each_row_once(processes: list[Database]) -> None:
    """Neither waits for the other's rows, and together they leave none."""
    stores = [RetentionStore(each) for each in processes]
    for _ in range(40):
        await store_row(processes[0], over())
    done = await asyncio.gather(*(prune(store, limit=3) for store in stores))
    assert sum(map(sum, done)) == 40


async def test_a_row_that_is_locked_is_passed_over(postgres_url: str) -> None:
    """Somebody works with it just now; the next pass will see."""
    database = Database(postgres_url)
    jobs = [await store_row(database, over()) for _ in range(2)]
    mine = select(schedule_jobs).where(schedule_jobs.c.id == jobs[0].id)
    async with database.write() as connection:
        await connection.execute(mine.with_for_update())
        assert await prune(RetentionStore(database)) == [1]
    assert [await is_there(database, job) for job in jobs] == [True, False]
    await database.close()


@pytest.mark.parametrize("received", [LONG_AGO, BEFORE])
async def test_old_events_go(
    database: Database, store: RetentionStore, received: datetime
) -> None:
    """Old events are deleted by the time they were received."""
    await add(database, tiktok_events, **told("pub_1", received))
    batch = await store.prune_events(before=BEFORE, after_id=FIRST_ID, limit=9)
    assert batch.count == (received < BEFORE)
    assert await size(database, tiktok_events) == (received >= BEFORE)


async def test_connects_that_were_never_finished_go(
    database: Database, store: RetentionStore
) -> None:
    """Unfinished sign-ins are deleted once they can no longer be finished."""
    for name, expires in (("old", LONG_AGO), ("new", BEFORE)):
        await add(
            database,
            oauth_states,
            state_sha256=name,
            project_id="proj_1",
            platform="tiktok",
            expires_at=expires,
        )
    assert await store.prune_leftovers(before=BEFORE) == 1
    assert await size(database, oauth_states) == 1


@pytest.mark.parametrize(
    ("idle_at", "rest_until", "left"),
    [
        (LONG_AGO, None, 0),
        (LONG_AGO, LONG_AGO, 0),
        (BEFORE, None, 1),
        (LONG_AGO, NOW, 1),
    ],
)
async def test_quotas_that_nobody_uses_go(
    database: Database,
    store: RetentionStore,
    idle_at: datetime,
    rest_until: datetime | None,
    left: int,
) -> None:
    """An account that rests, or took a place lately, keeps its row."""
    await add(
        database,
        account_quotas,
        platform="tiktok",
        open_id="open_1",
        version=1,
        uses="{}",
        idle_at=idle_at,
        rest_until=rest_until,
    )
    assert await store.prune_leftovers(before=BEFORE) == 1 - left
    assert await size(database, account_quotas) == left


@pytest.mark.parametrize(("days", "left"), [(6, 1), (8, 0)])
async def test_lost_inits_go_when_tiktok_tells_of_them_no_more(
    database: Database, store: RetentionStore, days: int, left: int
) -> None:
    """A week later: it delivers for 72 hours, and a look may come two days late."""
    await add(
        database,
        lost_inits,
        job_id="job_1",
        project_id="proj_1",
        platform="tiktok",
        left_at=BEFORE - timedelta(days=days),
    )
    assert await store.prune_leftovers(before=BEFORE) == 1 - left
    assert await size(database, lost_inits) == left
