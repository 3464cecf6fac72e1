"""A project's failed jobs start again together."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from msgspec.structs import replace

from app.domain.errors import DuplicateJob
from app.domain.jobs.job import FailureReason
from app.store.db.engine import Database
from app.store.jobs.requests import bulk_actions
from app.store.jobs.requests.bulk_actions import RetryFilter, RetryResult, retry_failed
from app.store.jobs.requests.job_store import JobStore
from tests.support.factories import (
    FAILED,
    NOW,
    POSTED,
    SCHEDULED,
    job_row,
    store_job,
    store_row,
    store_rows,
    unconfirmed,
)

LATER = NOW + timedelta(hours=1)
AUTH = RetryFilter(project_id="proj_1", reason=FailureReason.AUTH)
LOST: dict[str, Any] = {"failure_reason": FailureReason.AUTH}
PUBLISHED: dict[str, Any] = {"init_sent_at": NOW, "publish_id": "pub_1"}


@pytest.mark.parametrize(
    "columns",
    [
        {"attempts": 3, "attempt_number": 3},
        {"publish_id": "pub_that_failed"},
        {**PUBLISHED, "confirm_at": NOW, "confirm_tries": 2},
        {"post_now": True},
    ],
    ids=["at its init", "after a failed publish", "in flight", "Post Now"],
)
async def test_together_they_start_as_each_alone(
    database: Database, jobs: JobStore, columns: dict[str, Any]
) -> None:
    """The one statement writes what the domain says of a job that is retried."""
    alone, together = [
        await store_job(database, FAILED, **LOST | columns) for _ in range(2)
    ]
    wanted = await jobs.retry(alone.id, now=LATER)
    assert await retry_failed(database, AUTH, now=LATER) == RetryResult(1, 0)
    as_alone: dict[str, Any] = {
        "id": alone.id,
        "asset_id": alone.asset_id,
        "idempotency_key": alone.idempotency_key,
    }
    assert replace(await jobs.get(together.id), **as_alone) == wanted


async def test_what_may_be_at_tiktok_is_never_sent_again_unasked(
    database: Database, jobs: JobStore
) -> None:
    """Whatever it failed of: an init without an answer may have been taken."""
    row = unconfirmed(failure_reason=FailureReason.AUTH)
    job = await store_row(database, row)
    assert await retry_failed(database, AUTH, now=LATER) == RetryResult(0, 1)
    assert await jobs.get(job.id) == job


async def test_only_what_failed_for_the_reason_starts(
    database: Database, jobs: JobStore
) -> None:
    """Of this project alone, and within the time that was asked for."""
    recent = NOW - timedelta(hours=23)
    others = [
        await store_job(database, FAILED, **LOST, project_id="proj_2"),
        await store_job(database, FAILED),
        await store_job(database, POSTED),
        await store_job(database, FAILED, **LOST, scheduled_for=recent),
    ]
    job = await store_job(database, FAILED, **LOST)
    which = structs.replace(AUTH, scheduled_from=NOW)
    assert await retry_failed(database, which, now=LATER) == RetryResult(1, 1)
    assert [await jobs.get(each.id) for each in others] == others
    assert (await jobs.get(job.id)).status == "scheduled"
    assert await retry_failed(database, AUTH, now=LATER) == RetryResult(1, 0)


async def test_of_several_post_nows_of_an_asset_one_starts(
    database: Database, jobs: JobStore
) -> None:
    """The newest; and none where another is on its way already."""
    now = {**LOST, "post_now": True}
    times = [NOW - timedelta(minutes=each) for each in (2, 1)]
    old, new = [
        await store_job(database, FAILED, **now, asset_id="a", scheduled_for=at)
        for at in times
    ]
    waits = await store_job(database, FAILED, **now, asset_id="b")
    await store_job(
        database, SCHEDULED, post_now=True, asset_id="b", scheduled_for=LATER
    )
    assert await retry_failed(database, AUTH, now=LATER) == RetryResult(1, 2)
    assert (await jobs.get(new.id)).status == "scheduled"
    for job in (old, waits):
        assert await jobs.get(job.id) == job


async def test_more_than_a_page_starts_in_one_call(
    database: Database, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, so that no transaction holds a great many rows."""
    monkeypatch.setattr(bulk_actions, "_PAGE", 4)
    await store_rows(database, [job_row(FAILED, **LOST) for _ in range(9)])
    assert await retry_failed(database, AUTH, now=LATER) == RetryResult(9, 0)


async def test_what_fails_again_meanwhile_is_left(
    database: Database, jobs: JobStore
) -> None:
    """A call made before the account is back does not go round in circles."""
    await store_job(database, FAILED, **LOST, updated_at=LATER + timedelta(seconds=1))
    assert await retry_failed(database, AUTH, now=LATER) == RetryResult(0, 1)


async def test_a_double_click_starts_each_once(processes: list[Database]) -> None:
    """Every job is counted by one of the calls."""
    await store_rows(processes[0], [job_row(FAILED, **LOST) for _ in range(50)])
    done = await asyncio.gather(
        *(retry_failed(process, AUTH, now=LATER) for process in processes)
    )
    assert sum(each.retried for each in done) == 50


async def test_a_post_now_that_comes_in_between_goes_first(
    database: Database, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index decides, and nothing of the page was changed."""
    job = await store_job(database, FAILED, **LOST, post_now=True, asset_id="a")
    await store_job(
        database, SCHEDULED, post_now=True, asset_id="a", scheduled_for=LATER
    )
    # As the statement saw the table before the newer job was there.
    monkeypatch.setattr(
        bulk_actions, "_safe", lambda reason, now: bulk_actions._jobs.post_now
    )
    with pytest.raises(DuplicateJob):
        await retry_failed(database, AUTH, now=LATER)
    assert await jobs.get(job.id) == job
