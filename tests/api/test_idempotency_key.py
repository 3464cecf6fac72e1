"""The header Idempotency-Key: one key, one job, however it ended."""

import asyncio

import httpx
import pytest
from sqlalchemy import delete, select, update

from app.store.jobs.tables import request_keys, schedule_jobs
from tests.api.serving import Api, job_body
from tests.support.factories import NOW

NOW_BODY = job_body(scheduledFor=None)
POSTED = {
    "status": "posted",
    "next_attempt_at": None,
    "delivery": "published",
    "posted_at": NOW,
}


async def post(api: Api, key: str, **changes: object) -> httpx.Response:
    """Ask for a Post Now under a key."""
    headers = {"Idempotency-Key": key}
    return await api.client.post("/v1/jobs", json=NOW_BODY | changes, headers=headers)


async def finish(api: Api, job_id: str) -> None:
    """Let a job be posted."""
    async with api.database.write() as connection:
        found = schedule_jobs.c.id == job_id
        await connection.execute(update(schedule_jobs).where(found).values(**POSTED))


async def keys(api: Api) -> list[str]:
    """List the keys that are taken."""
    async with api.database.read() as connection:
        return list((await connection.execute(select(request_keys.c.key))).scalars())


async def test_a_repeated_post_now_finds_the_first_although_it_is_over(
    api: Api,
) -> None:
    """With a key, a repeated Post Now finds the first even after its end."""
    first = await post(api, "k-1")
    await finish(api, first.json()["id"])
    api.clock.forward(hours=1)
    again = await post(api, "k-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.json()["id"], again.json()["status"]) == (
        first.json()["id"],
        "posted",
    )
    without = await api.client.post("/v1/jobs", json=NOW_BODY)
    assert without.status_code == 201


async def test_the_order_of_a_bodys_fields_is_no_difference(api: Api) -> None:
    """Bodies are compared as parsed JSON."""
    first = await post(api, "k-1")
    headers = {"Idempotency-Key": "k-1"}
    turned = dict(reversed(list(NOW_BODY.items())))
    again = await api.client.post("/v1/jobs", json=turned, headers=headers)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


@pytest.mark.parametrize("change", [{"assetId": "asset_10"}, {"maxAttempts": 4}])
async def test_a_key_with_another_body_is_refused(
    api: Api, change: dict[str, object]
) -> None:
    """A repeat is compared with the first request, not with the edited row."""
    first = await post(api, "k-1")
    path = f"/v1/jobs/{first.json()['id']}"
    edited = await api.client.patch(path, json={"assetUrl": "https://x.example/w.mp4"})
    assert edited.status_code == 200
    refused = await post(api, "k-1", **change)
    assert (refused.status_code, refused.json()["code"]) == (
        409,
        "idempotency_key_reused",
    )
    again = await post(api, "k-1")
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert again.headers["idempotent-replayed-differs"] == "/assetUrl"


async def test_two_keys_may_stand_for_one_job(api: Api) -> None:
    """The second request found the first one's job, and goes on finding it."""
    first, second = await post(api, "k-1"), await post(api, "k-2")
    assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])
    await finish(api, first.json()["id"])
    assert (await post(api, "k-2")).json()["id"] == first.json()["id"]


async def test_a_removed_job_frees_its_key(api: Api) -> None:
    """The same request is a new one then."""
    first = await post(api, "k-1")
    gone = await api.client.delete(f"/v1/jobs/{first.json()['id']}")
    assert gone.status_code == 204
    assert await keys(api) == []
    again = await post(api, "k-1", assetId="asset_10")
    assert (again.status_code, await keys(api)) == (201, ["k-1"])


async def test_a_key_that_an_older_process_left_is_free(api: Api) -> None:
    """A key whose job an older process deleted can be used again."""
    first = await post(api, "k-1")
    async with api.database.write() as connection:
        await connection.execute(delete(schedule_jobs))
    again = await post(api, "k-1", assetId="asset_10")
    assert again.status_code == 201
    assert again.json()["id"] != first.json()["id"]


async def test_a_key_is_good_within_its_project(api: Api) -> None:
    """Another project's callers may use the same one."""
    await post(api, "k-1")
    assert (await post(api, "k-1", projectId="proj_2")).status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "k\x7f"])
async def test_what_is_no_key_is_refused(edge: Api, key: str) -> None:
    """Between 1 and 255 visible ASCII characters."""
    refused = await post(edge, key)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/Idempotency-Key"
    assert await keys(edge) == []


async def test_two_keys_of_one_request_are_refused(api: Api) -> None:
    """Nobody can tell which of them a repeat will name."""
    headers = [("Idempotency-Key", "k-1"), ("Idempotency-Key", "k-2")]
    for path, body in (
        ("/v1/jobs", NOW_BODY),
        ("/v1/jobs/batch", {"items": [NOW_BODY]}),
    ):
        refused = await api.client.post(path, json=body, headers=headers)
        assert refused.status_code == 422
        assert refused.json()["errors"] == [
            {
                "pointer": "/Idempotency-Key",
                "detail": "is given 2 times; give it once",
            }
        ]
    assert await keys(api) == []


async def test_a_crowd_with_one_key_makes_one_job(api: Api) -> None:
    """Twenty at once: one is new, all get it."""
    answers = await asyncio.gather(*(post(api, "k-1") for _ in range(20)))
    assert len({each.json()["id"] for each in answers}) == 1
    assert sorted(each.status_code for each in answers) == [200] * 19 + [201]


async def test_a_refused_request_takes_no_key(api: Api) -> None:
    """A corrected request may be sent under the same key."""
    refused = await post(api, "k-1", assetUrl="ftp://x.example/v.mp4")
    assert (refused.status_code, await keys(api)) == (422, [])
    assert (await post(api, "k-1")).status_code == 201


async def test_a_repeat_says_what_it_asks_for_otherwise(api: Api) -> None:
    """The stored job is not changed by it, so its caller has to know."""
    await api.job()
    same = await api.post_job()
    assert "idempotent-replayed-differs" not in same.headers
    post = {"mode": "direct", "title": "Summer", "privacyLevel": "SELF_ONLY"}
    other = await api.post_job(post=post, maxAttempts=3, externalId="order-7")
    assert other.status_code == 200
    assert other.headers["idempotent-replayed-differs"] == (
        "/externalId, /maxAttempts, /post/title"
    )
