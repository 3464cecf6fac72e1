"""Doubtful jobs are claimed once, and no publish is given to the wrong one."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace
from sqlalchemy import insert

from app.domain.jobs.job import Delivery, ErrorClass, FailureReason, Job, Transfer
from app.domain.jobs.outcome import Fault, RateLimited
from app.domain.jobs.transition import confirmed_late, still_unknown
from app.domain.posts.post import MediaType, Post
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.confirmations import LEASE, ConfirmationStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.tables import job_attempts, tiktok_events
from app.store.retention.tombstones import past_publishes
from tests.store.claiming import claim_one, decided
from tests.support.accounts import VAULT, new_account
from tests.support.factories import (
    FAILED,
    NOW,
    POSTED,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    handed_on,
    job_row,
    store_job,
    store_row,
    unconfirmed,
)

OPEN_ID: Final = "open_1"
MINUTE: Final = timedelta(minutes=1)
UNANSWERED: Final = "unconfirmed"
P: Final = "pub_9"


@pytest.fixture
def store(database: Database) -> ConfirmationStore:
    """Give the store."""
    return ConfirmationStore(database)


@pytest.fixture
async def doubtful(database: Database) -> Job:
    """Give a failed job of a connected account, whose init was never answered."""
    accounts = AccountStore(database, VAULT)
    for project_id in ("proj_1", "proj_2"):
        await accounts.put(new_account(project_id=project_id), now=NOW)
    return await store_row(
        database, unconfirmed(attempt_number=1, confirm_at=NOW, updated_at=NOW)
    )


async def tell(
    database: Database, publish_id: str, *, after: timedelta = MINUTE, **changes: object
) -> None:
    """Keep an event that TikTok sent so long after the init."""
    received = NOW + after
    values: dict[str, Any] = {
        "id": f"{publish_id} {after} {changes}",
        "dedup_key": f"{publish_id} {after} {changes}",
        "event": "post.publish.complete",
        "open_id": OPEN_ID,
        "publish_id": publish_id,
        "created_at": received,
        "received_at": received,
        "body": "{}",
    }
    async with database.write() as connection:
        await connection.execute(insert(tiktok_events).values(values | changes))


async def attempted(database: Database, job: Job, number: int, **more: object) -> None:
    """Write a row of the ledger."""
    values: dict[str, Any] = {
        "job_id": job.id,
        "number": number,
        "started_at": NOW - MINUTE,
        "finished_at": NOW - MINUTE,
        "outcome": "transient",
        "decision": "retrying",
    }
    async with database.write() as connection:
        await connection.execute(insert(job_attempts).values(values | more))


async def orphan(store: ConfirmationStore, job: Job) -> str | None:
    """Ask for the publish that can only be this job's."""
    return await store.orphan(job, OPEN_ID, since=NOW - MINUTE)


# Whose publish it is


async def test_the_one_publish_that_is_nobodys_is_the_jobs(
    database: Database, store: ConfirmationStore, doubtful: Job
) -> None:
    """However often TikTok told of it."""
    assert await orphan(store, doubtful) is None
    for minutes in (1, 2, 3):
        await tell(database, "pub_9", after=minutes * MINUTE)
    await attempted(database, doubtful, 1, outcome=UNANSWERED, finished_at=NOW)
    assert await orphan(store, doubtful) == "pub_9"


async def test_two_publishes_of_nobodys_are_one_too_many(
    database: Database, store: ConfirmationStore, doubtful: Job
) -> None:
    """Better unknown than wrong."""
    await tell(database, "pub_8")
    await tell(database, "pub_9")
    assert await orphan(store, doubtful) is None


async def test_a_publish_that_was_told_of_before_the_init_is_not_its_own(
    database: Database, store: ConfirmationStore, doubtful: Job
) -> None:
    """A publish that was told of before the init is never the job's."""
    await tell(database, "pub_8", after=-5 * MINUTE)
    await tell(database, "pub_8")
    assert await orphan(store, doubtful) is None


async def test_another_accounts_publish_is_not_its_own(
    database: Database, store: ConfirmationStore, doubtful: Job
) -> None:
    """TikTok says whose it is."""
    await tell(database, "pub_8", open_id="open_2")
    assert await orphan(store, doubtful) is None


@pytest.mark.parametrize("project_id", ["proj_1", "proj_3"])
async def test_a_publish_that_a_job_has_is_that_jobs(
    database: Database, store: ConfirmationStore, doubtful: Job, project_id: str
) -> None:
    """A publish that any job has, in any project, is that job's."""
    await store_job(database, POSTED, publish_id="pub_9", project_id=project_id)
    await tell(database, "pub_9")
    assert await orphan(store, doubtful) is None


@pytest.mark.parametrize(
    ("decision", "days"), [("retrying", 0), ("retrying", 30), ("posted", 3)]
)
async def test_a_publish_that_a_job_had_once_is_that_jobs(
    database: Database,
    store: ConfirmationStore,
    doubtful: Job,
    decision: str,
    days: int,
) -> None:
    """Its row forgot it at the next init; the ledger did not. Others are nobody's."""
    written = NOW - timedelta(days=days)
    other = await store_job(
        database, POSTED, publish_id="pub_7", attempt_number=2, updated_at=written
    )
    await attempted(database, other, 1, publish_id="pub_9", decision=decision)
    await tell(database, "pub_9")
    assert await orphan(store, doubtful) is None
    await tell(database, "pub_8")
    assert await orphan(store, doubtful) == "pub_8"


async def test_a_publish_that_a_daily_cap_ended_is_that_jobs(
    database: Database, store: ConfirmationStore, doubtful: Job
) -> None:
    """It was put off at no attempt, so that the ledger has no row of it."""
    claims = ClaimStore(database, lease=LEASE)
    await store_job(database, publish_by=NOW + 9 * MINUTE)
    ended = await published(claims, "pub_9")
    cap = Fault(
        error_class=ErrorClass.RATE_LIMIT, code="spam_risk_too_many_posts", message=""
    )
    await claims.apply(ended, decided(ended, RateLimited(fault=cap)), now=NOW)
    assert (await published(claims, "pub_7", now=NOW + 9 * MINUTE)).id == ended.id
    await tell(database, "pub_9")
    assert await orphan(store, doubtful) is None


async def test_a_publish_that_a_person_cancelled_is_that_jobs(
    database: Database, store: ConfirmationStore, doubtful: Job
) -> None:
    """TikTok tells of its end, perhaps when the job was started again."""
    jobs = JobStore(database)
    flying = await store_row(database, handed_on(publish_id="pub_9"))
    await jobs.cancel(flying.id, now=NOW, cancelled_publish="pub_9")
    await jobs.retry(flying.id, now=NOW)
    await published(ClaimStore(database, lease=LEASE), "pub_7")
    await tell(database, "pub_9")
    assert await orphan(store, doubtful) is None


async def published(claims: ClaimStore, publish_id: str, *, now: datetime = NOW) -> Job:
    """Send the init of the job that is due."""
    stamped = await claims.stamp_init(await claim_one(claims, now=now), now=now)
    assert stamped is not None
    named = await claims.save_publish_id(stamped, publish_id, now=now)
    assert named is not None
    return named


@pytest.mark.parametrize(
    "rival",
    [
        unconfirmed(),
        unconfirmed(project_id="proj_2"),
        job_row(PROCESSING, init_sent_at=NOW + MINUTE),
        handed_on(publish_id=None),
        # Found by its video: its publish_id was never told.
        job_row(POSTED, publish_id=None, post_id="7602"),
    ],
)
async def test_with_a_rival_nothing_is_given_to_either(
    database: Database, store: ConfirmationStore, doubtful: Job, rival: dict[str, Any]
) -> None:
    """Any other init of the account whose publish_id is not known."""
    await tell(database, "pub_9")
    await store_row(database, rival)
    assert await orphan(store, doubtful) is None


@pytest.mark.parametrize(
    "other",
    [
        unconfirmed(init_sent_at=NOW - timedelta(days=30)),
        unconfirmed(project_id="proj_3"),
        unconfirmed(publish_id="pub_7"),
        job_row(FAILED),
        job_row(PROCESSING),
    ],
)
async def test_what_cannot_be_meant_is_no_rival(
    database: Database, store: ConfirmationStore, doubtful: Job, other: dict[str, Any]
) -> None:
    """Long ago, of another account, answered, closed, or never sent."""
    await tell(database, "pub_9")
    await store_row(database, other)
    assert await orphan(store, doubtful) == "pub_9"


@pytest.mark.parametrize(
    "other",
    [
        job_row(POSTED, attempt_number=2),
        job_row(FAILED, attempt_number=2),
        job_row(RETRYING, attempt_number=1),
    ],
)
async def test_an_init_that_was_given_up_is_a_rival_too(
    database: Database, store: ConfirmationStore, doubtful: Job, other: dict[str, Any]
) -> None:
    """Another one was sent, or will be, in spite of the risk; both may be told of."""
    stored = await store_row(database, other)
    await attempted(database, stored, 1, outcome=UNANSWERED)
    await tell(database, "pub_9")
    assert await orphan(store, doubtful) is None


async def test_the_jobs_own_former_init_is_a_rival_too(
    database: Database, store: ConfirmationStore, doubtful: Job
) -> None:
    """What became of that one says nothing of the present one."""
    await attempted(database, doubtful, 1, outcome=UNANSWERED)
    await tell(database, "pub_9")
    assert await orphan(store, doubtful) is None


# What a person removed


@pytest.mark.parametrize("kept_by", ["job", "ledger"])
async def test_a_publish_of_a_removed_job_is_nobody_elses(
    database: Database, store: ConfirmationStore, doubtful: Job, kept_by: str
) -> None:
    """TikTok may tell of it when its job is long gone."""
    own = "pub_9" if kept_by == "job" else "pub_7"
    other = await store_job(database, FAILED, publish_id=own, attempt_number=2)
    if kept_by == "ledger":
        await attempted(database, other, 1, publish_id="pub_9")
    await JobStore(database).delete(other.id)
    await tell(database, "pub_9")
    assert await orphan(store, doubtful) is None


@pytest.mark.parametrize(
    ("project_id", "days", "found"),
    [("proj_1", 0, None), ("proj_2", 3, None), ("proj_1", 5, P), ("proj_3", 0, P)],
)
async def test_a_removed_jobs_lost_init_is_a_rival_still(
    database: Database,
    store: ConfirmationStore,
    doubtful: Job,
    project_id: str,
    days: int,
    found: str | None,
) -> None:
    """Of this account, and for as long as TikTok may tell of it."""
    other = await store_job(
        database, SCHEDULED, attempt_number=1, project_id=project_id
    )
    left_at = NOW - MINUTE - timedelta(days=days)
    await attempted(database, other, 1, outcome=UNANSWERED, finished_at=left_at)
    await JobStore(database).delete(other.id)
    await tell(database, P)
    assert await orphan(store, doubtful) == found


async def test_a_removed_job_that_sent_nothing_is_no_rival(
    database: Database, store: ConfirmationStore, doubtful: Job
) -> None:
    """Most that are removed never began."""
    other = await store_job(database, FAILED, attempt_number=1)
    await attempted(database, other, 1, outcome="rejected")
    await JobStore(database).delete(other.id)
    await tell(database, P)
    assert await orphan(store, doubtful) == P


# Claiming and writing


async def test_each_doubtful_job_is_looked_at_by_one_worker(
    processes: list[Database], doubtful: Job
) -> None:
    """Until its lease is over."""
    stores = [ConfirmationStore(each) for each in processes]
    taken = await asyncio.gather(
        *(store.claim_due(now=NOW, limit=9) for store in stores)
    )
    assert [job.id for jobs in taken for job in jobs] == [doubtful.id]
    assert await stores[0].claim_due(now=NOW + LEASE - MINUTE, limit=9) == ()
    (again,) = await stores[1].claim_due(now=NOW + LEASE, limit=9)
    assert again.id == doubtful.id


async def test_a_job_that_was_retried_meanwhile_is_not_corrected(
    database: Database, store: ConfirmationStore, doubtful: Job
) -> None:
    """What TikTok said is about the former init."""
    (claimed,) = await store.claim_due(now=NOW + MINUTE, limit=9)
    jobs = JobStore(database)
    retried = await jobs.retry(
        doubtful.id, now=NOW + 2 * MINUTE, accept_duplicate_risk=True
    )
    later = NOW + 3 * MINUTE
    posted = confirmed_late(
        claimed, delivery=Delivery.PUBLISHED, publish_id="p", now=later
    )
    assert await store.apply(claimed, posted, now=later) is None
    assert await jobs.get(doubtful.id) == retried


async def test_a_look_that_a_hint_overtook_changes_nothing(
    database: Database, store: ConfirmationStore, doubtful: Job
) -> None:
    """The event may be newer than what was seen, so the next look stays as it is."""
    (slow,) = await store.claim_due(now=NOW + MINUTE, limit=9)
    (quick,) = await store.claim_due(now=NOW + MINUTE + LEASE, limit=9)
    later = NOW + MINUTE + LEASE
    assert await store.apply(slow, still_unknown(slow, confirm_at=None), now=later) is (
        None
    )
    after = await JobStore(database).get(doubtful.id)
    assert after.confirm_at == quick.confirm_at
    assert after.failure_reason is FailureReason.UNCONFIRMED


@pytest.mark.parametrize(
    "publish_id", ["v_pub_file~v2-1.1", "v_inbox_file~v2.1", "p_pub_url~v2.1"]
)
async def test_an_uploads_or_photos_publish_is_no_videos_that_was_pulled(
    database: Database, store: ConfirmationStore, doubtful: Job, publish_id: str
) -> None:
    """Its shape rules it out: an upload that was given up fails later, by itself."""
    await tell(database, publish_id)
    assert await orphan(store, doubtful) is None
    await tell(database, "v_pub_url~v2.1")
    assert await orphan(store, doubtful) == "v_pub_url~v2.1"


@pytest.mark.parametrize(
    ("publish_id", "found"), [(P, None), ("v_pub_url~v2.1", "v_pub_url~v2.1")]
)
async def test_an_upload_is_a_rival_for_ids_of_no_known_shape(
    database: Database,
    store: ConfirmationStore,
    doubtful: Job,
    publish_id: str,
    found: str | None,
) -> None:
    """Its inits without an answer leave nothing behind that could be looked for."""
    await store_job(
        database, POSTED, transfer=Transfer.PUSH, open_id=OPEN_ID, updated_at=NOW
    )
    await tell(database, publish_id)
    assert await orphan(store, doubtful) == found


async def test_a_photos_init_finds_its_own(
    database: Database, store: ConfirmationStore, doubtful: Job
) -> None:
    """Photos' inits are matched with photos' publishes alone."""
    photos = replace(doubtful, post=Post(media_type=MediaType.PHOTO))
    await tell(database, "v_pub_url~v2.1")
    assert await orphan(store, photos) is None
    await tell(database, "p_pub_url~v2.1")
    assert await orphan(store, photos) == "p_pub_url~v2.1"


async def test_an_upload_that_was_given_up_is_nobodys_answer(
    database: Database, store: ConfirmationStore, doubtful: Job
) -> None:
    """Its id was remembered when the next one took its place."""
    async with database.write() as connection:
        await connection.execute(insert(past_publishes).values(publish_id=P))
    await tell(database, P)
    assert await orphan(store, doubtful) is None
