"""POST /v1/jobs/batch: each job as in a request of its own."""

import json
from typing import Any

import pytest

from app.domain.errors import StoreUnavailable
from app.domain.jobs.idempotency_keys import RequestKey
from app.domain.jobs.job import Job, NewJob
from app.service.jobs.jobs import JobService
from tests.api.serving import Api, job_body

BATCH = "/v1/jobs/batch"


def items(count: int) -> list[dict[str, Any]]:
    """Ask for some jobs, each of its own asset."""
    return [job_body(assetId=f"asset_{number}") for number in range(count)]


async def send(api: Api, *jobs: object) -> list[dict[str, Any]]:
    """Ask for some jobs at once."""
    answer = await api.client.post(BATCH, json={"items": jobs})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_every_job_is_made_in_its_place(api: Api) -> None:
    """A hundred at once; the answers stand in the order of the request."""
    asked = items(100)
    done = await send(api, *asked)
    assert [each["status"] for each in done] == [201] * 100
    assert [each["job"]["assetId"] for each in done] == [
        each["assetId"] for each in asked
    ]
    assert all(set(each) == {"status", "job"} for each in done)
    shown = await api.client.get(f"/v1/jobs/{done[0]['job']['id']}")
    assert shown.json() == done[0]["job"]


async def test_the_whole_again_finds_every_job(api: Api) -> None:
    """Post Now included, while it is not over."""
    asked = [*items(9), job_body(scheduledFor=None, assetId="now")]
    first, again = await send(api, *asked), await send(api, *asked)
    assert {each["status"] for each in again} == {200}
    assert [each["job"]["id"] for each in again] == [
        each["job"]["id"] for each in first
    ]


async def test_one_bad_item_sinks_no_other(api: Api) -> None:
    """Each is refused as POST /v1/jobs would refuse it."""
    bad: list[Any] = [
        job_body(assetUrl="ftp://x.example/v.mp4"),
        job_body(projectId=...),
        7,
        job_body() | {"project_id": "proj_1"},
    ]
    good = items(2)
    done = await send(api, good[0], *bad, good[1])
    assert [each["status"] for each in done] == [201, 422, 422, 422, 422, 201]
    for item, each in zip(bad, done[1:], strict=False):
        assert set(each) == {"status", "problem"}
        alone = await api.client.post("/v1/jobs", json=item)
        assert each["problem"] == alone.json()


async def test_another_projects_job_is_not_found(api: Api) -> None:
    """A job of another project is not found; the caller's own jobs are made."""
    caller = await api.caller("proj_1")
    asked = [job_body(), job_body(projectId="proj_2")]
    done = (await caller.post(BATCH, json={"items": asked})).json()["items"]
    assert [each["status"] for each in done] == [201, 404]


async def test_two_of_one_kind_make_one_job(api: Api) -> None:
    """The first is made, whatever stands between them; the others find it."""
    first = job_body(externalId="first")
    done = await send(api, first, *items(9), *[job_body()] * 20)
    assert done[0]["job"]["externalId"] == "first"
    assert [each["status"] for each in done] == [201] * 10 + [200] * 20
    assert {each["job"]["id"] for each in done[10:]} == {done[0]["job"]["id"]}


async def test_a_key_holds_for_each_item_however_it_ended(api: Api) -> None:
    """A batch of Post Nows repeated with its Idempotency-Key makes no second post."""
    asked = {
        "items": [job_body(assetId=f"a{each}", scheduledFor=None) for each in "xy"]
    }
    key = {"Idempotency-Key": "monday"}
    first = (await api.client.post(BATCH, json=asked, headers=key)).json()["items"]
    await api.client.post(f"/v1/jobs/{first[1]['job']['id']}/cancel")
    again = (await api.client.post(BATCH, json=asked, headers=key)).json()["items"]
    assert [each["status"] for each in again] == [200, 200]
    assert [a["job"]["id"] for a in again] == [f["job"]["id"] for f in first]
    asked["items"][0]["maxAttempts"] = 2
    other = (await api.client.post(BATCH, json=asked, headers=key)).json()["items"]
    assert [each["status"] for each in other] == [409, 200]
    bad = await api.client.post(BATCH, json=asked, headers={"Idempotency-Key": ""})
    assert bad.status_code == 422


async def test_a_database_that_goes_away_is_told_for_each(
    edge: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that was stored before is reported as stored."""
    create = JobService.create

    async def fails(
        self: JobService,
        new: NewJob,
        *,
        scope: str | None,
        key: RequestKey | None,
        by: str | None,
    ) -> tuple[Job, bool]:
        if new.asset_id == "asset_1":
            raise StoreUnavailable
        if new.asset_id == "asset_2":
            raise ValueError("nobody expected it")
        return await create(self, new, scope=scope, key=key, by=by)

    monkeypatch.setattr(JobService, "create", fails)
    done = await send(edge, *items(3))
    assert [each["status"] for each in done] == [201, 503, 500]
    assert done[1]["problem"]["code"] == "database_unavailable"
    assert "nobody expected it" not in str(done[2])


async def test_a_batch_has_between_one_and_a_hundred(edge: Api) -> None:
    """More are a 422 as a whole, and so is none."""
    for wrong in ([], items(101)):
        refused = await edge.client.post(BATCH, json={"items": wrong})
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["pointer"] == "/items"


async def test_a_batch_may_have_a_mebibyte(edge: Api) -> None:
    """What a hundred jobs with long captions need; every other body has 64 KiB."""
    post = {"mode": "direct", "title": "x" * 2200, "privacyLevel": "SELF_ONLY"}
    metadata = {f"k{number}": "y" * 450 for number in range(16)}
    asked = [each | {"post": post, "metadata": metadata} for each in items(100)]
    assert 900_000 < len(json.dumps({"items": asked})) < 2**20
    assert {each["status"] for each in await send(edge, *asked)} == {201}
    blank = {"items": items(1), "x": " " * 2**20}
    assert (await edge.client.post(BATCH, json=blank)).status_code == 413
    alone = job_body() | {"x": " " * 2**16}
    assert (await edge.client.post("/v1/jobs", json=alone)).status_code == 413
    assert (await edge.client.post("/v1/jobs/validate", json=alone)).status_code == 413


async def test_the_story_of_each_names_who_asked(api: Api) -> None:
    """As that of a job that was asked for alone."""
    (made,) = await send(api, *items(1))
    answer = await api.client.get(f"/v1/jobs/{made['job']['id']}/history")
    assert answer.json()["items"][0]["by"]["name"] == "test"
