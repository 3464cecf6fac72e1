"""The newest changes, by project and time, newest first."""

from datetime import timedelta

import pytest

from app.store.db.engine import Database
from app.store.jobs.requests import changes as changes_module
from app.store.jobs.requests.changes import Change, ChangeStore
from tests.support.factories import NOW, POSTED, job_row, store_job, store_rows

MINUTE = timedelta(minutes=1)


async def test_only_what_changed_since_in_these_projects(database: Database) -> None:
    """The moment itself counts, other projects do not; the newest comes first."""
    changes = ChangeStore(database)
    await store_job(database, updated_at=NOW - MINUTE)
    at = await store_job(database, POSTED, updated_at=NOW)
    after = await store_job(database, updated_at=NOW + MINUTE, project_id="proj_2")
    await store_job(database, updated_at=NOW + MINUTE, project_id="proj_3")
    assert await changes.since(NOW, {"proj_1", "proj_2"}, limit=9) == [
        Change("proj_2", after.id, NOW + MINUTE),
        Change("proj_1", at.id, NOW),
    ]


async def test_the_newest_are_not_cut_off(database: Database) -> None:
    """A limit leaves out the oldest, over all projects together."""
    changes = ChangeStore(database)
    rows = [
        job_row(project_id=f"p_{n % 600}", updated_at=NOW + n * MINUTE)
        for n in range(700)
    ]
    await store_rows(database, rows)
    found = await changes.since(NOW, {row["project_id"] for row in rows}, limit=3)
    assert [each.job_id for each in found] == [row["id"] for row in rows[:-4:-1]]


async def test_many_come_page_by_page(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, though many were written at the same moment; then the limit."""
    monkeypatch.setattr(changes_module, "_PAGE", 3)
    changes = ChangeStore(database)
    rows = [job_row(updated_at=NOW + n // 5 * MINUTE) for n in range(10)]
    await store_rows(database, rows)
    found = await changes.since(NOW, {"proj_1"}, limit=99)
    assert sorted(each.job_id for each in found) == sorted(row["id"] for row in rows)
    assert await changes.since(NOW, {"proj_1"}, limit=7) == found[:7]


async def test_nothing_is_asked_about_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most looks of a quiet second need no session."""
    monkeypatch.setattr(Database, "read", None)
    changes = ChangeStore(database)
    assert await changes.since(NOW, (), limit=9) == []
    assert await changes.jobs(()) == []


async def test_jobs_come_in_the_order_of_their_changes(database: Database) -> None:
    """However many are asked for; those that are gone are left out."""
    changes = ChangeStore(database)
    rows = [job_row(updated_at=NOW - n * MINUTE) for n in range(700)]
    await store_rows(database, rows)
    found = await changes.jobs([*(row["id"] for row in rows), "gone"])
    assert [job.id for job in found] == [row["id"] for row in rows[::-1]]
