"""Cancel, one or many; a way out of every end; the whole story of a job."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.jobs.job import FailureReason, JobStatus
from app.store.jobs.claims import ClaimStore
from tests.api.serving import Api
from tests.store.claiming import claim_one
from tests.support.factories import (
    FAILED,
    LEASE,
    NOW,
    POSTED,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    handed_on,
    store_job,
    store_row,
    unconfirmed,
)

IN_FLIGHT: dict[str, Any] = {"init_sent_at": NOW, "publish_id": "pub_1"}


async def cancel(api: Api, job_id: str) -> Any:  # noqa: ANN401  a response
    """Cancel a job."""
    return await api.client.post(f"/v1/jobs/{job_id}/cancel")


@pytest.mark.parametrize("status", [SCHEDULED, RETRYING, PROCESSING])
async def test_what_is_to_come_can_be_cancelled(api: Api, status: JobStatus) -> None:
    """It fails for that reason; the second time says the same."""
    job = await store_job(api.database, status)
    for _ in range(2):
        answer = await cancel(api, job.id)
        assert answer.status_code == 200
        shown = answer.json()
        assert (shown["status"], shown["failureReason"]) == ("failed", "cancelled")
        assert (shown["nextAttemptAt"], shown["noticeCode"]) == (None, "cancelled")
        assert shown["attempts"] == job.attempts


@pytest.mark.parametrize(
    ("status", "columns"),
    [(POSTED, {}), (FAILED, {}), (RETRYING, IN_FLIGHT), (FAILED, IN_FLIGHT)],
)
async def test_what_is_over_or_at_tiktok_is_not(
    api: Api, status: JobStatus, columns: dict[str, Any]
) -> None:
    """409, and nothing changes; nobody is connected who could ask TikTok to."""
    job = await store_job(api.database, status, **columns)
    before = (await api.client.get(f"/v1/jobs/{job.id}")).json()
    answer = await cancel(api, job.id)
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_cancellable")
    assert (await api.client.get(f"/v1/jobs/{job.id}")).json() == before


async def test_a_cancelled_job_revives_by_no_repeat(api: Api) -> None:
    """The row and its key stay: the same request finds it, cancelled."""
    job = await api.job()
    await cancel(api, job["id"])
    again = await api.post_job()
    assert again.status_code == 200
    assert again.json()["failureReason"] == "cancelled"


async def test_a_worker_that_holds_it_can_send_nothing(api: Api) -> None:
    """Its claim is gone: the stamp that goes before each init is refused."""
    await store_job(api.database, SCHEDULED)
    claims = ClaimStore(api.database, lease=LEASE)
    claimed = await claim_one(claims)
    assert (await cancel(api, claimed.id)).status_code == 200
    assert await claims.stamp_init(claimed, now=NOW) is None


async def test_another_projects_job_is_not_found(api: Api) -> None:
    """For each action, another project's job is not found."""
    job = await api.job()
    other = await api.caller("proj_2")
    url = f"/v1/jobs/{job['id']}"
    assert (await other.post(f"{url}/cancel")).status_code == 404
    assert (await other.get(f"{url}/history")).status_code == 404
    many = await other.post("/v1/projects/proj_1/jobs/cancel", json={})
    assert many.status_code == 404


async def test_many_are_cancelled_at_once(api: Api) -> None:
    """Jobs that TikTok has nothing of are first counted, then cancelled."""
    day = {"scheduled_for": NOW + timedelta(days=1)}
    mine = [
        await store_job(api.database, SCHEDULED, **day),
        await store_job(api.database, RETRYING, **day),
        await store_job(api.database, PROCESSING, **day),
    ]
    at_tiktok = await store_row(api.database, handed_on(**day))
    await store_job(api.database, POSTED, **day)
    await store_job(api.database, FAILED, **day)
    others = [
        await store_job(api.database, SCHEDULED),
        await store_job(api.database, SCHEDULED, project_id="proj_2", **day),
    ]
    body = {
        "scheduledFrom": "2026-04-10T00:00:00.000Z",
        "scheduledTo": "2026-04-11T00:00:00.000Z",
    }
    url = "/v1/projects/proj_1/jobs/cancel"
    for dry in (True, False):
        answer = await api.client.post(url, json={**body, "dryRun": dry})
        assert answer.json() == {"cancelled": 3, "skipped": 1}
    jobs = api.services.jobs
    for job in mine:
        ended = await jobs.get(job.id, scope=None)
        assert ended.failure_reason is FailureReason.CANCELLED
    for job in (at_tiktok, *others):
        assert await jobs.get(job.id, scope=None) == job


async def test_many_are_found_by_their_callers_word(api: Api) -> None:
    """One campaign, whenever its posts are due."""
    await api.job(externalId="spring")
    await api.job(assetId="other", externalId="autumn")
    url = "/v1/projects/proj_1/jobs/cancel"
    answer = await api.client.post(url, json={"externalId": "spring"})
    assert answer.json() == {"cancelled": 1, "skipped": 0}


# A way out of every end


async def test_a_failed_job_can_be_mended_and_retried(api: Api) -> None:
    """It stays failed until the retry, and then waits for its new time."""
    job = await store_job(api.database, FAILED)
    later = "2026-05-01T10:00:00.000Z"
    url = f"/v1/jobs/{job.id}"
    patched = await api.client.patch(
        url, json={"post": {"title": "new"}, "scheduledFor": later}
    )
    assert (patched.status_code, patched.json()["status"]) == (200, "failed")
    assert patched.json()["nextAttemptAt"] is None
    again = (await api.client.post(f"{url}/retry")).json()
    assert (again["status"], again["nextAttemptAt"]) == ("scheduled", later)
    assert again["post"]["title"] == "new"


async def test_what_was_missed_needs_a_later_moment(api: Api) -> None:
    """409 too_late, until PATCH moves it."""
    job = await store_job(
        api.database,
        FAILED,
        failure_reason=FailureReason.MISSED,
        publish_by=NOW - timedelta(minutes=1),
        scheduled_for=NOW - timedelta(hours=1),
    )
    url = f"/v1/jobs/{job.id}"
    refused = await api.client.post(f"{url}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "too_late")
    await api.client.patch(url, json={"publishBy": "2026-04-09T18:00:00.000Z"})
    assert (await api.client.post(f"{url}/retry")).status_code == 202


async def test_a_publish_that_never_ends_can_be_given_up(api: Api) -> None:
    """Only by who accepts the risk; without it the same publish is followed."""
    job = await store_job(api.database, FAILED, **IN_FLIGHT)
    url = f"/v1/jobs/{job.id}/retry"
    followed = await api.client.post(url)
    assert followed.json()["publishId"] == "pub_1"
    stuck = await store_job(api.database, FAILED, **IN_FLIGHT)
    given_up = await api.client.post(
        f"/v1/jobs/{stuck.id}/retry", json={"acceptDuplicateRisk": True}
    )
    assert given_up.status_code == 202
    assert given_up.json()["publishId"] is None
    kinds = await story(api, stuck.id)
    assert kinds[-2:] == ["given_up", "retried"]


# The story


async def story(api: Api, job_id: str) -> list[str]:
    """List the kinds of what happened."""
    answer = await api.client.get(f"/v1/jobs/{job_id}/history")
    assert answer.status_code == 200
    items = answer.json()["items"]
    assert all(item["text"].endswith(".") for item in items)
    times = [item["at"] for item in items]
    assert times == sorted(times)
    return [item["kind"] for item in items]


async def test_the_story_names_who_did_what(api: Api) -> None:
    """Each command of a person, with the key that gave it."""
    job = await api.job()
    url = f"/v1/jobs/{job['id']}"
    api.clock.forward(seconds=1)
    await api.client.patch(url, json={"post": {"title": "new"}})
    api.clock.forward(seconds=1)
    await api.client.post(f"{url}/cancel")
    api.clock.forward(seconds=1)
    await api.client.post(f"{url}/retry")
    assert await story(api, job["id"]) == ["accepted", "edited", "cancelled", "retried"]
    items = (await api.client.get(f"{url}/history")).json()["items"]
    assert {item["by"]["name"] for item in items} == {"test"}
    assert items[1]["data"] == {"fields": ["post"]}


async def test_nothing_is_left_of_a_removed_jobs_story(api: Api) -> None:
    """DELETE takes it along."""
    job = await api.job()
    await api.client.patch(f"/v1/jobs/{job['id']}", json={"maxAttempts": 9})
    await api.client.delete(f"/v1/jobs/{job['id']}")
    assert (await api.client.get(f"/v1/jobs/{job['id']}/history")).status_code == 404


async def test_an_unconfirmed_job_is_not_cancelled(api: Api) -> None:
    """Nobody knows whether TikTok has it: a 200 would be untrue."""
    job = await store_row(api.database, unconfirmed())
    assert (await cancel(api, job.id)).status_code == 409
