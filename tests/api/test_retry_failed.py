"""POST /v1/projects/{projectId}/jobs/retry: what failed for one reason starts again."""

from datetime import timedelta

import pytest

from app.domain.jobs.job import FailureReason
from tests.api.serving import Api
from tests.support.factories import FAILED, NOW, store_job, store_row, unconfirmed

PATH = "/v1/projects/proj_1/jobs/retry"
AUTH = {"failureReason": "auth"}
LOST = FailureReason.AUTH


async def test_after_a_reconnect_one_call_starts_what_was_lost(api: Api) -> None:
    """All but what may be at TikTok already, and what nobody may want any more."""
    lost = await store_job(api.database, FAILED, failure_reason=LOST)
    long_past = await store_job(
        api.database,
        FAILED,
        failure_reason=LOST,
        scheduled_for=NOW - timedelta(hours=24, milliseconds=1),
    )
    await store_row(api.database, unconfirmed(failure_reason=LOST))
    response = await api.client.post(PATH, json=AUTH)
    assert (response.status_code, response.json()) == (
        200,
        {"retried": 1, "skipped": 2},
    )
    job = (await api.client.get(f"/v1/jobs/{lost.id}")).json()
    assert (job["status"], job["attempts"], job["failureReason"]) == (
        "scheduled",
        0,
        None,
    )
    response = await api.client.post(PATH, json={**AUTH, "includeOverdue": True})
    assert response.json() == {"retried": 1, "skipped": 1}
    job = (await api.client.get(f"/v1/jobs/{long_past.id}")).json()
    assert job["status"] == "scheduled"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"failureReason": "posted"},
        {"failureReason": "auth", "acceptDuplicateRisk": True},
        {"failureReason": "auth", "includeOverdue": "yes"},
    ],
    ids=str,
)
async def test_no_risk_is_taken_for_many_at_once(
    edge: Api, body: dict[str, object]
) -> None:
    """Whether to send an unconfirmed post again is decided for each job."""
    response = await edge.client.post(PATH, json=body)
    assert response.status_code == 422
    assert response.json()["errors"]


async def test_another_project_looks_as_if_it_had_no_such_route(edge: Api) -> None:
    """A key for one project starts nothing of another."""
    job = await store_job(edge.database, FAILED, failure_reason=LOST)
    async with await edge.caller("proj_2") as caller:
        response = await caller.post(PATH, json=AUTH)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert (await edge.client.get(f"/v1/jobs/{job.id}")).json()["status"] == "failed"


async def test_a_project_without_failures_has_nothing_to_start(edge: Api) -> None:
    """That is an answer, not an error."""
    response = await edge.client.post(PATH, json=AUTH)
    assert (response.status_code, response.json()) == (
        200,
        {"retried": 0, "skipped": 0},
    )


async def test_each_reason_is_an_answer_and_only_the_safe_ones_start(api: Api) -> None:
    """A cancelled job, and a missed one with a new deadline; never a doubtful one."""
    late = {"failure_reason": FailureReason.MISSED, "publish_by": NOW}
    moved = late | {"publish_by": NOW + timedelta(days=1)}
    await store_job(api.database, FAILED, failure_reason=FailureReason.CANCELLED)
    await store_job(api.database, FAILED, **late)
    await store_job(api.database, FAILED, **moved)
    await store_row(api.database, unconfirmed())
    found = {}
    for reason in ("cancelled", "missed", "unconfirmed"):
        answer = await api.client.post(PATH, json={"failureReason": reason})
        assert answer.status_code == 200, answer.text
        found[reason] = tuple(answer.json().values())
    assert found == {"cancelled": (1, 0), "missed": (1, 1), "unconfirmed": (0, 1)}
