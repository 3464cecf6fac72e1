"""A job that a newer version wrote is shown as far as it goes, and left alone."""

from typing import Any

import pytest
from sqlalchemy import select, update

from app.domain.jobs.job import JobStatus
from app.store.db.engine import Database
from app.store.jobs.confirmations import ConfirmationStore
from app.store.jobs.readiness import ReadinessStore
from app.store.jobs.recovery.restored import RestoreStore
from app.store.jobs.requests.changes import ChangeStore
from app.store.jobs.rows import post_to_json
from app.store.jobs.tables import schedule_jobs
from tests.api.serving import Api
from tests.support.factories import A_POST, NOW, SCHEDULED, store_job

_jobs = schedule_jobs.c
POST = post_to_json(A_POST)
STRANGE: list[dict[str, Any]] = [
    {"waiting_for": "a newer reason"},
    {"post": {"mode": "telepathy"}},
    {"post": {**POST, "privacy_level": "OF_TOMORROW"}},
    {"post": {**POST, "title": 5}},
    {"post": {}},
    {"post": []},
    {"last_error": {"error_class": "none of ours"}},
    {"last_error": {"code": 5}},
    {"readiness": {"problems": "none"}},
    {"metadata": ["campaign"]},
]


async def spoil(database: Database, job_id: str, **values: Any) -> None:  # noqa: ANN401
    """Write what this version does not know."""
    async with database.write() as connection:
        which = update(schedule_jobs).where(_jobs.id == job_id)
        await connection.execute(which.values(**values))


@pytest.mark.parametrize("values", STRANGE, ids=str)
async def test_lists_and_get_show_it(api: Api, values: dict[str, Any]) -> None:
    """It is shown with id, state and notice; other jobs are shown as ever."""
    bad, good = await store_job(api.database), await store_job(api.database)
    await spoil(api.database, bad.id, **values)
    shown = (await api.client.get(f"/v1/jobs/{bad.id}")).json()
    assert (shown["id"], shown["status"]) == (bad.id, "scheduled")
    assert shown["assetId"] == bad.asset_id
    assert shown["noticeCode"] == "unreadable"
    listed = (await api.client.get("/v1/jobs", params={"projectId": "proj_1"})).json()
    assert [each["id"] for each in listed["items"]] == [good.id, bad.id]
    assert listed["items"][0]["noticeCode"] != "unreadable"
    for what in ("attempts", "history"):
        found = await api.client.get(f"/v1/jobs/{bad.id}/{what}")
        assert found.status_code == 200


async def test_nobody_changes_it(api: Api) -> None:
    """Fields that this version does not know would be lost or misread."""
    job = await store_job(api.database)
    await spoil(api.database, job.id, waiting_for="a newer reason")
    path = f"/v1/jobs/{job.id}"
    answers = [
        await api.client.patch(path, json={"maxAttempts": 9}),
        await api.client.post(f"{path}/cancel"),
        await api.client.post(f"{path}/retry"),
        await api.client.delete(path),
    ]
    told = {(each.status_code, each.json()["code"]) for each in answers}
    assert told == {(409, "job_unreadable")}
    async with api.database.read() as connection:
        assert (await connection.execute(select(_jobs.max_attempts))).scalar_one() == 5


async def test_a_repeat_of_its_request_finds_it(api: Api) -> None:
    """A repeat of its request finds it instead of making a second job."""
    first = await api.job()
    await spoil(api.database, first["id"], post={"mode": "telepathy"})
    again = await api.post_job()
    assert (again.status_code, again.json()["id"]) == (200, first["id"])


async def test_a_patch_keeps_what_a_newer_version_knows_of_the_post(api: Api) -> None:
    """Unknown fields are passed over, and stay in the row."""
    job = await store_job(api.database)
    await spoil(api.database, job.id, post={**POST, "sparkles": True})
    body = {"post": {"title": "new"}}
    answer = await api.client.patch(f"/v1/jobs/{job.id}", json=body)
    assert (answer.status_code, answer.json()["post"]["title"]) == (200, "new")
    async with api.database.read() as connection:
        stored = (await connection.execute(select(_jobs.post))).scalar_one()
    assert (stored["sparkles"], stored["title"]) == (True, "new")


async def test_what_is_done_beside_jobs_passes_it_over(api: Api) -> None:
    """Looks ahead, confirmations and cancelling many go on with the others."""
    database = api.database
    ahead = {"readiness_at": NOW, "scheduled_for": NOW.replace(year=2030)}
    ended = {"failure_reason": "unconfirmed", "init_sent_at": NOW, "confirm_at": NOW}
    for row in (ahead, ended):
        status = JobStatus.FAILED if row is ended else SCHEDULED
        bad = await store_job(database, status, **row)
        good = await store_job(database, status, **row)
        await spoil(database, bad.id, waiting_for="a newer reason")
        store = ConfirmationStore if row is ended else ReadinessStore
        found = await store(database).claim_due(now=NOW, limit=9)
        assert [job.id for job in found] == [good.id]
        assert len(await ChangeStore(database).jobs([bad.id, good.id])) == 2
    answer = await api.client.post("/v1/projects/proj_1/jobs/cancel", json={})
    assert answer.json() == {"cancelled": 1, "skipped": 1}


async def test_after_a_restore_it_is_held_like_the_others(api: Api) -> None:
    """After a restore it is held like all others: it may have been posted."""
    job = await store_job(api.database)
    await spoil(api.database, job.id, waiting_for="a newer reason")
    assert await RestoreStore(api.database).end_doubtful(now=NOW) == 1
    shown = (await api.client.get(f"/v1/jobs/{job.id}")).json()
    assert (shown["status"], shown["failureReason"]) == ("failed", "unconfirmed")
