"""One row that cannot be read stops nobody else."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from app.domain.posts.post import MediaType, Post
from app.store.db.engine import Database
from app.store.jobs.claims import LOOK_AGAIN, ClaimStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.rows import post_from_json, post_to_json
from app.store.jobs.tables import schedule_jobs
from tests.store.claiming import claim, claim_one
from tests.support.factories import (
    NOW,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    job_row,
    store_job,
    store_row,
)

_jobs = schedule_jobs.c


async def spoil(database: Database, job_id: str, **values: Any) -> None:  # noqa: ANN401
    """Write what this version does not know."""
    async with database.write() as connection:
        which = update(schedule_jobs).where(_jobs.id == job_id)
        await connection.execute(which.values(**values))


@pytest.mark.parametrize(
    "values",
    [
        {"waiting_for": "a newer reason"},
        {"post": {"mode": "telepathy", "privacy_level": None}},
        {"post": {}},
        {"last_error": {"error_class": "none of ours"}},
    ],
)
async def test_an_unreadable_row_is_set_aside(
    database: Database, claims: ClaimStore, values: dict[str, Any]
) -> None:
    """It is put off and free again, and the job beside it is claimed."""
    bad, good = await store_job(database), await store_job(database)
    await spoil(database, bad.id, **values)
    claimed = await claim(claims)
    assert [job.id for job in claimed.jobs] == [good.id]
    assert claimed.unreadable == (bad.id,)
    again = await claim(claims, now=NOW + LOOK_AGAIN - timedelta(seconds=1))
    assert again.unreadable == ()
    assert bad.id not in [job.id for job in again.jobs]
    later = await claim(claims, now=NOW + LOOK_AGAIN)
    assert later.unreadable == (bad.id,)


@pytest.mark.parametrize("status", [SCHEDULED, RETRYING, PROCESSING])
async def test_once_it_can_be_read_it_is_as_before(
    database: Database,
    claims: ClaimStore,
    status: Any,  # noqa: ANN401
) -> None:
    """Nothing of it is lost: a newer program goes on with it."""
    row = job_row(status, next_attempt_at=NOW - timedelta(seconds=1))
    before = await store_row(database, row)
    await spoil(database, before.id, waiting_for="a newer reason")
    await claim(claims)
    await spoil(database, before.id, waiting_for=None)
    job = await JobStore(database).get(before.id)
    assert (job.claim_token, job.attempts, job.init_sent_at) == (
        None,
        before.attempts,
        before.init_sent_at,
    )
    later = NOW + LOOK_AGAIN
    assert [each.id for each in (await claim(claims, now=later)).jobs] == [job.id]


async def test_unknown_fields_of_a_post_are_passed_over(
    database: Database, claims: ClaimStore
) -> None:
    """They stay in the row, for the program that knows them."""
    job = await store_job(database)
    post = {**post_to_json(job.post), "sparkles": True}
    await spoil(database, job.id, post=post)
    assert (await claim_one(claims)).post == job.post
    async with database.read() as connection:
        stored = (await connection.execute(select(_jobs.post))).scalar_one()
    assert stored == post


def test_a_video_is_written_as_before_there_were_photos() -> None:
    """A worker of that time refuses a post with a field that it does not know."""
    written = post_to_json(Post(title="a"))
    assert not written.keys() & {
        "media_type",
        "description",
        "photo_cover_index",
        "auto_add_music",
    }
    photos = Post(media_type=MediaType.PHOTO, description="two")
    assert post_from_json(post_to_json(photos)) == photos
    assert post_from_json(written) == Post(title="a")
