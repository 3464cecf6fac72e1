"""What was pruned once is never posted again, and its publish is nobody else's."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, text

from app.domain.errors import TooLongAgo
from app.domain.jobs.edit import JobChange
from app.domain.jobs.retention import CLOCKS_APART, LEAST_KEPT
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.jobs.confirmations import ConfirmationStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.tables import job_attempts, schedule_jobs, tiktok_events
from app.store.retention.pruning import FIRST_ID, Pruned, RetentionStore
from app.store.retention.tombstones import past_publishes
from tests.store.aged import (
    BEFORE,
    DAY,
    LONG_AGO,
    STEP,
    add,
    is_there,
    over,
    prune,
    size,
    told,
)
from tests.support.accounts import VAULT, new_account
from tests.support.factories import NOW, count_jobs, new_job, store_row, unconfirmed


@pytest.fixture
def store(database: Database) -> RetentionStore:
    """Give the store."""
    return RetentionStore(database)


async def test_a_request_for_a_pruned_job_is_refused(
    database: Database, store: RetentionStore, jobs: JobStore
) -> None:
    """It would be due at once: a second post."""
    asked = new_job(scheduled_for=LONG_AGO)
    job = await store_row(database, over(asset_id=asked.asset_id))
    await prune(store)
    assert not await is_there(database, job)
    with pytest.raises(TooLongAgo):
        await jobs.add(asked, now=NOW)
    assert await count_jobs(database) == 0


async def test_a_request_for_a_job_that_stayed_finds_it(
    database: Database, store: RetentionStore, jobs: JobStore
) -> None:
    """What has its row is known."""
    asked = new_job(scheduled_for=LONG_AGO)
    job, _ = await jobs.add(asked, now=NOW)
    await prune(store)
    assert await jobs.add(asked, now=NOW) == (job, False)


@pytest.mark.parametrize(
    ("scheduled_for", "refused"),
    [(BEFORE - DAY, True), (BEFORE, False), (None, False), (NOW + DAY, False)],
)
async def test_only_what_may_have_been_pruned_is_refused(
    store: RetentionStore, jobs: JobStore, scheduled_for: datetime, *, refused: bool
) -> None:
    """Past times go on being due at once, as far back as records are kept."""
    await prune(store)
    asked = new_job(scheduled_for=scheduled_for)
    if refused:
        with pytest.raises(TooLongAgo):
            await jobs.add(asked, now=NOW)
    else:
        assert (await jobs.add(asked, now=NOW))[1]


async def test_nothing_is_refused_where_nothing_was_pruned(jobs: JobStore) -> None:
    """However long ago its time was."""
    assert (await jobs.add(new_job(scheduled_for=NOW - 1000 * DAY), now=NOW))[1]


async def test_a_job_is_not_moved_to_where_a_pruned_one_may_have_been(
    store: RetentionStore, jobs: JobStore
) -> None:
    """The same post for the same time, by another door."""
    await prune(store)
    job, _ = await jobs.add(new_job(scheduled_for=NOW + DAY), now=NOW)
    with pytest.raises(TooLongAgo):
        await jobs.edit(job.id, JobChange(scheduled_for=LONG_AGO), now=NOW)
    assert await jobs.get(job.id) == job


async def test_an_old_job_that_waits_may_still_be_changed(
    store: RetentionStore, jobs: JobStore
) -> None:
    """Its time is its own: nothing is sent for it that its row does not know of."""
    job, _ = await jobs.add(new_job(scheduled_for=LONG_AGO), now=NOW)
    await prune(store)
    changed = await jobs.edit(job.id, JobChange(asset_url="https://b.c/d"), now=NOW)
    assert changed.asset_url == "https://b.c/d"


async def test_a_request_that_waits_for_the_pruning_is_refused_too(
    postgres_url: str,
) -> None:
    """It was let in by the very deletion that it must not profit from."""
    database = Database(postgres_url)
    asked = new_job(scheduled_for=LONG_AGO)
    job = await store_row(database, over(asset_id=asked.asset_id))
    await RetentionStore(database).begin(Pruned.RECORDS, before=BEFORE, step=STEP)
    async with database.write() as connection:
        await connection.execute(
            delete(schedule_jobs).where(schedule_jobs.c.id == job.id)
        )
        asking = asyncio.create_task(JobStore(database).add(asked, now=NOW))
        await until_somebody_waits(database)
    with pytest.raises(TooLongAgo):
        await asking
    assert await count_jobs(database) == 0
    await database.close()


async def until_somebody_waits(database: Database) -> None:
    """Return once a statement stands before a lock."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    found = 0
    while not found:
        async with database.read() as connection:
            found = (await connection.execute(waiting)).scalar_one()


@pytest.mark.parametrize("keep", [LEAST_KEPT, 30 * DAY])
async def test_no_time_escapes_the_look_at_how_far_the_pruning_went(
    store: RetentionStore, jobs: JobStore, keep: timedelta
) -> None:
    """Not even where the pruning worker's clock is hours ahead of the API's."""
    preflights = NOW + CLOCKS_APART - timedelta(minutes=1)
    before = preflights - keep
    await store.begin(Pruned.RECORDS, before=before, step=STEP)
    with pytest.raises(TooLongAgo):
        await jobs.add(new_job(scheduled_for=before - timedelta(seconds=1)), now=NOW)


async def test_how_far_it_went_never_goes_back(
    store: RetentionStore, jobs: JobStore
) -> None:
    """Keeping records for longer brings none of them back."""
    await prune(store)
    assert not await store.begin(Pruned.RECORDS, before=BEFORE - 300 * DAY, step=STEP)
    with pytest.raises(TooLongAgo):
        await jobs.add(new_job(scheduled_for=LONG_AGO), now=NOW)


async def test_one_worker_at_a_time_begins_a_pass(processes: list[Database]) -> None:
    """Until a step later; each kind of records for itself."""
    stores = [RetentionStore(each) for each in processes]

    async def begun(before: datetime, what: Pruned = Pruned.RECORDS) -> int:
        tries = (each.begin(what, before=before, step=STEP) for each in stores)
        return sum(await asyncio.gather(*tries))

    assert await begun(BEFORE) == 1
    assert await begun(BEFORE + STEP - timedelta(seconds=1)) == 0
    assert await begun(BEFORE + STEP) == 1
    assert await begun(BEFORE, Pruned.LEFTOVERS) == 1


@pytest.mark.parametrize("kept_by", ["job", "ledger", "event"])
async def test_a_pruned_publish_is_never_taken_for_another_jobs(
    database: Database, store: RetentionStore, kept_by: str
) -> None:
    """TikTok may tell of a draft months later; some other init may just be in doubt."""
    await AccountStore(database, VAULT).put(new_account(), now=NOW)
    await known(database, "pub_old", kept_by)
    await prune(store)
    await store.prune_events(before=BEFORE, after_id=FIRST_ID, limit=9)
    doubtful = await store_row(database, unconfirmed(attempt_number=1))
    await add(database, tiktok_events, **told("pub_old", NOW))
    assert await size(database, tiktok_events) == 1
    looking = ConfirmationStore(database)
    assert await looking.orphan(doubtful, "open_1", since=NOW) is None
    await add(database, tiktok_events, **told("pub_new", NOW))
    assert await looking.orphan(doubtful, "open_1", since=NOW) == "pub_new"


async def known(database: Database, publish_id: str, kept_by: str) -> None:
    """Let a publish be known from one old record."""
    if kept_by == "event":
        await add(database, tiktok_events, **told(publish_id, LONG_AGO))
        return
    own = publish_id if kept_by == "job" else "pub_other"
    job = await store_row(database, over(publish_id=own, attempt_number=1))
    if kept_by == "ledger":
        await add(
            database,
            job_attempts,
            job_id=job.id,
            number=1,
            started_at=LONG_AGO,
            finished_at=LONG_AGO,
            outcome="transient",
            decision="retrying",
            publish_id=publish_id,
        )


async def test_a_publish_is_remembered_once(
    database: Database, store: RetentionStore
) -> None:
    """Two records of one publish are no reason to stumble."""
    await known(database, "pub_1", "job")
    await known(database, "pub_1", "event")
    await prune(store)
    await store.prune_events(before=BEFORE, after_id=FIRST_ID, limit=9)
    assert await size(database, past_publishes) == 1
