"""POST /v1/jobs: one row per request, whatever the concurrency."""

import asyncio
import json
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import func, select

from app.domain.jobs.job import FailureReason
from app.store.accounts.account_store import AccountStore
from app.store.jobs.tables import schedule_jobs
from tests.api.serving import Api, job_body, serving
from tests.support.accounts import VAULT, new_account
from tests.support.factories import FAILED, NOW, POSTED, store_job, store_row
from tests.support.factories import unconfirmed as unconfirmed_row

JOB_FIELDS = {
    *("id", "projectId", "platform", "assetId", "assetUrl", "post", "status"),
    *("scheduledFor", "postNow", "idempotencyKey", "attempts", "maxAttempts"),
    *("nextAttemptAt", "claimedAt", "failureReason", "lastError", "publishId"),
    *("delivery", "postId", "postUrl", "postedAt", "createdAt", "updatedAt"),
    *("notice", "noticeCode", "readiness", "assetUrls", "transfer", "externalId"),
    *("metadata", "publishBy", "openId", "uploadedBytes", "postIds", "availability"),
}


async def rows(api: Api) -> int:
    """Count the jobs."""
    async with api.database.read() as connection:
        statement = select(func.count()).select_from(schedule_jobs)
        return int((await connection.execute(statement)).scalar_one())


async def test_a_new_job_is_answered_with_201_and_where_it_is(api: Api) -> None:
    """A new job gets 201, and Location leads to the same job."""
    response = await api.post_job()

    assert response.status_code == 201
    assert "idempotent-replayed" not in response.headers
    found = await api.client.get(response.headers["location"])
    assert found.json() == response.json()


async def test_a_job_has_exactly_its_fields(api: Api) -> None:
    """A job's answer has every field of the contract and nothing else."""
    job = await api.job()

    assert set(job) == JOB_FIELDS
    assert job["post"] == {
        "mode": "direct",
        "title": "Spring",
        "privacyLevel": "SELF_ONLY",
        "disableComment": False,
        "disableDuet": False,
        "disableStitch": False,
        "videoCoverTimestampMs": None,
        "brandContentToggle": False,
        "brandOrganicToggle": False,
        "isAigc": False,
        "mediaType": "video",
        "description": "",
        "photoCoverIndex": 0,
        "autoAddMusic": False,
    }
    assert (job["status"], job["attempts"], job["maxAttempts"]) == ("scheduled", 0, 5)
    assert job["createdAt"] == "2026-04-09T12:00:00.000Z"


async def test_every_choice_comes_back_as_it_was_made(api: Api) -> None:
    """What the person chose is stored and shown unchanged, astral letters too."""
    post = {
        "mode": "direct",
        "title": "🌷 Spring\nsecond line",
        "privacyLevel": "MUTUAL_FOLLOW_FRIENDS",
        "disableComment": True,
        "disableDuet": True,
        "disableStitch": True,
        "videoCoverTimestampMs": 2**31 - 1,
        "brandContentToggle": True,
        "brandOrganicToggle": True,
        "isAigc": True,
    }
    shown = (await api.job(post=post))["post"]
    assert post.items() <= shown.items()


async def test_the_same_request_gets_the_stored_job(api: Api) -> None:
    """A repeated request gets 200, Idempotent-Replayed and the row as stored."""
    first = await api.job()
    again = await api.post_job(
        assetUrl="https://cdn.example.com/other.mp4", maxAttempts=9
    )

    assert again.status_code == 200
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first
    assert await rows(api) == 1


@pytest.mark.parametrize("when", ["2026-04-09T12:00:00.000Z", None])
async def test_fifty_requests_at_once_make_one_row(api: Api, when: str | None) -> None:
    """50 identical requests at once: one 201, 49 times 200, one row, one id."""
    responses = await asyncio.gather(
        *(api.post_job(scheduledFor=when) for _ in range(50))
    )

    assert sorted(each.status_code for each in responses) == [200] * 49 + [201]
    replayed = [each for each in responses if "idempotent-replayed" in each.headers]
    assert len(replayed) == 49
    assert len({each.json()["id"] for each in responses}) == 1
    assert await rows(api) == 1


async def test_post_now_may_be_clicked_twice(api: Api) -> None:
    """A second Post Now finds the unfinished first, although the clock moved on."""
    first = await api.job(scheduledFor=...)
    api.clock.forward(seconds=3.2)
    second = await api.post_job(scheduledFor=None)

    assert first["postNow"] is True
    assert first["scheduledFor"] == "2026-04-09T12:00:00.000Z"
    assert second.status_code == 200
    assert second.json()["id"] == first["id"]


async def test_post_now_is_free_again_once_the_first_is_over(api: Api) -> None:
    """A finished Post Now does not stand in the way of the next one."""
    await store_job(api.database, POSTED, asset_id="asset_9", post_now=True)
    await store_job(
        api.database, FAILED, asset_id="asset_8", post_now=True, scheduled_for=NOW
    )
    api.clock.forward(seconds=1)

    assert (await api.post_job(scheduledFor=None)).status_code == 201
    assert (await api.post_job(scheduledFor=None, assetId="asset_8")).status_code == 201


async def test_post_now_after_an_unconfirmed_one_gets_that_one(api: Api) -> None:
    """While TikTok may have a Post Now, another click cannot post it a second time."""
    held = await store_row(
        api.database, unconfirmed_row(asset_id="asset_9", post_now=True)
    )
    api.clock.forward(minutes=5)
    response = await api.post_job(scheduledFor=None)

    assert response.status_code == 200
    assert response.json()["id"] == held.id
    assert response.json()["failureReason"] == FailureReason.UNCONFIRMED
    assert "accept the risk" in response.json()["notice"]


async def test_the_key_can_be_computed_by_the_caller(edge: Api) -> None:
    """The key is sha256(project|platform|asset|time), 32 hex characters."""
    job = await edge.job(scheduledFor="2026-04-09T14:00:00.123456+02:00")

    assert job["scheduledFor"] == "2026-04-09T12:00:00.123Z"
    text = "proj_1|tiktok|asset_9|2026-04-09T12:00:00.123Z"
    assert job["idempotencyKey"] == sha256(text.encode()).hexdigest()[:32]


async def test_a_time_in_another_zone_is_the_same_time(edge: Api) -> None:
    """The same instant written differently is the same job."""
    first = await edge.job(scheduledFor="2026-04-09T12:00:00Z")
    again = await edge.post_job(scheduledFor="2026-04-09T05:00:00.0004-07:00")

    assert again.status_code == 200
    assert again.json()["id"] == first["id"]


async def test_another_asset_project_or_time_is_another_job(edge: Api) -> None:
    """Each part of the key tells jobs apart."""
    ids = {
        (await edge.job(**changes))["id"]
        for changes in (
            {},
            {"assetId": "asset_10"},
            {"projectId": "proj_2"},
            {"scheduledFor": "2026-04-09T12:00:00.001Z"},
        )
    }
    assert len(ids) == 4


async def test_what_is_left_out_has_its_default(edge: Api) -> None:
    """Defaults: platform tiktok, the service's attempts, and due now."""
    job = await edge.job(
        platform=..., maxAttempts=..., scheduledFor=..., post={"mode": "inbox"}
    )

    assert (job["platform"], job["maxAttempts"], job["postNow"]) == ("tiktok", 5, True)
    assert job["post"]["mode"] == "inbox"
    assert job["post"]["privacyLevel"] is None


async def test_the_operator_sets_the_number_of_attempts(sqlite_url: str) -> None:
    """MAX_ATTEMPTS counts where maxAttempts is left out or null."""
    async with serving(sqlite_url, max_attempts=7) as api:
        assert (await api.job(assetId="a", maxAttempts=...))["maxAttempts"] == 7
        assert (await api.job(assetId="b", maxAttempts=None))["maxAttempts"] == 7
        assert (await api.job(assetId="c", maxAttempts=1))["maxAttempts"] == 1


async def test_a_past_time_is_due_at_once(edge: Api) -> None:
    """A job for a time gone by can be tried right away."""
    await connect(edge)
    job = await edge.job(scheduledFor="2000-01-01T00:00:00Z")

    assert job["nextAttemptAt"] == "2000-01-01T00:00:00.000Z"
    assert job["notice"] == "Goes live within about 60 seconds."


async def test_a_future_time_needs_no_notice(edge: Api) -> None:
    """A job that waits for its time has nothing to tell."""
    await connect(edge)
    assert (await edge.job(scheduledFor="2100-01-01T00:00:00Z"))["notice"] is None


@pytest.mark.parametrize("time", [None, "2100-01-01T00:00:00Z"])
async def test_a_job_that_nobody_could_post_says_so_at_once(
    api: Api, time: str | None
) -> None:
    """Not that it goes live in a moment; whoever connects makes it ready."""
    job = await api.job(scheduledFor=time)
    assert job["noticeCode"] == "account_not_connected"
    codes = [problem["code"] for problem in job["readiness"]["problems"]]
    assert codes == ["account_not_connected"]
    url = f"/v1/jobs/{job['id']}"
    assert (await api.client.get(url)).json() == job
    await connect(api)
    after = (await api.client.get(url)).json()
    assert (after["readiness"], after["openId"]) == (None, "open_1")


async def connect(api: Api) -> None:
    """Let somebody be connected to the project."""
    await AccountStore(api.database, VAULT).put(new_account(), now=NOW)


LONGEST = "a" * 2200
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"projectId": ...}, "/projectId"),
    ({"assetUrl": ...}, "/assetUrl"),
    ({"post": ...}, "/post"),
    ({"post": None}, "/post"),
    ({"projectId": ""}, "/projectId"),
    ({"projectId": "a|b"}, "/projectId"),
    ({"assetId": "a|b"}, "/assetId"),
    ({"assetId": "a\0b"}, "/assetId"),
    ({"assetId": "a\nb"}, "/assetId"),
    ({"assetId": "a" * 201}, "/assetId"),
    ({"assetId": 7}, "/assetId"),
    ({"platform": "instagram"}, "/platform"),
    ({"platform": None}, "/platform"),
    ({"scheduledFor": 1_700_000_000}, "/scheduledFor"),
    ({"scheduledFor": 1_700_000_000.5}, "/scheduledFor"),
    ({"scheduledFor": "1700000000"}, "/scheduledFor"),
    ({"scheduledFor": "2026-04-09"}, "/scheduledFor"),
    ({"scheduledFor": "2026-04-09T12:00:00"}, "/scheduledFor"),
    ({"scheduledFor": "2026-04-09 12:00:00Z"}, "/scheduledFor"),
    ({"scheduledFor": "2026-04-09T12:00Z"}, "/scheduledFor"),
    ({"scheduledFor": "2026-02-30T12:00:00Z"}, "/scheduledFor"),
    ({"scheduledFor": "0001-01-01T00:00:00+01:00"}, "/scheduledFor"),
    ({"scheduledFor": "9999-12-31T23:59:59-01:00"}, "/scheduledFor"),
    ({"scheduledFor": "tomorrow"}, "/scheduledFor"),
    ({"scheduledFor": ""}, "/scheduledFor"),
    ({"scheduledFor": True}, "/scheduledFor"),
    ({"maxAttempts": 0}, "/maxAttempts"),
    ({"maxAttempts": 101}, "/maxAttempts"),
    ({"maxAttempts": "5"}, "/maxAttempts"),
    ({"maxAttempts": True}, "/maxAttempts"),
    ({"maxAttempts": 2.5}, "/maxAttempts"),
    ({"surprise": 1}, "/surprise"),
    ({"asset_id": "x"}, "/asset_id"),
    ({"a/b~c": 1}, "/a~1b~0c"),
    ({"status": "posted"}, "/status"),
    ({"assetUrl": "http://cdn.example.com/v.mp4"}, "/assetUrl"),
    ({"assetUrl": "https://127.0.0.1/v.mp4"}, "/assetUrl"),
    ({"assetUrl": "https://user:secret@cdn.example.com/"}, "/assetUrl"),
    ({"assetUrl": "https://cdn.example.com/" + "a" * 2048}, "/assetUrl"),
    ({"assetUrl": None}, "/assetUrl"),
    ({"post": {"mode": "direct"}}, "/post/privacyLevel"),
    ({"post": {"privacyLevel": "EVERYBODY"}}, "/post/privacyLevel"),
    ({"post": {"mode": "story"}}, "/post/mode"),
    ({"post": {"mode": "inbox", "surprise": 1}}, "/post/surprise"),
    ({"post": {"privacyLevel": "SELF_ONLY", "title": LONGEST + "a"}}, "/post/title"),
    ({"post": {"privacyLevel": "SELF_ONLY", "title": "🌷" * 1101}}, "/post/title"),
    ({"post": {"privacyLevel": "SELF_ONLY", "title": "a" * 10_000}}, "/post/title"),
    ({"post": {"privacyLevel": "SELF_ONLY", "title": "🌻" * 10_000}}, "/post/title"),
    ({"post": {"mode": "inbox", "title": "a"}}, "/post/title"),
    ({"post": {"mode": "inbox", "isAigc": True}}, "/post/isAigc"),
    ({"post": {"mode": "inbox", "privacyLevel": "SELF_ONLY"}}, "/post/privacyLevel"),
    ({"post": {"mode": "inbox", "title": "a\0b"}}, "/post/title"),
    ({"post": {"mode": "inbox", "title": None}}, "/post/title"),
    ({"post": {"mode": "inbox", "disableDuet": 0}}, "/post/disableDuet"),
    ({"post": {"mode": "inbox", "disableDuet": "false"}}, "/post/disableDuet"),
    (
        {"post": {"mode": "inbox", "videoCoverTimestampMs": -1}},
        "/post/videoCoverTimestampMs",
    ),
    (
        {"post": {"mode": "inbox", "videoCoverTimestampMs": 2**31}},
        "/post/videoCoverTimestampMs",
    ),
    (
        {"post": {"mode": "inbox", "videoCoverTimestampMs": False}},
        "/post/videoCoverTimestampMs",
    ),
    (
        {"post": {"privacyLevel": "SELF_ONLY", "brandContentToggle": True}},
        "/post/brandContentToggle",
    ),
]


async def test_what_cannot_be_a_job_is_refused_field_by_field(edge: Api) -> None:
    """Each faulty field is a 422 that points at it, and leaves no row behind."""
    for changes, pointer in REFUSED:
        response = await edge.post_job(**changes)
        assert response.status_code == 422, (changes, response.text)
        problem = response.json()
        assert problem["code"] == "invalid_request"
        assert [each["pointer"] for each in problem["errors"]] == [pointer], changes
        assert all(each["detail"] for each in problem["errors"])
    assert await rows(edge) == 0


@pytest.mark.parametrize("title", [LONGEST, "🌷" * 1100, ""])
async def test_a_title_counts_utf16_units(edge: Api, title: str) -> None:
    """TikTok counts 2,200 UTF-16 units: 1,100 astral letters still fit."""
    job = await edge.job(post={"privacyLevel": "SELF_ONLY", "title": title})
    assert job["post"]["title"] == title


@pytest.mark.parametrize(
    "time",
    [
        "2026-04-09T12:00:00Z",
        "2026-04-09t12:00:00z",
        "2026-04-09T12:00:00.0Z",
        "2026-04-09T12:00:00.000000999+00:00",
        "2026-04-09T12:00:00-00:00",
        "2026-04-10T11:59:00+23:59",
    ],
)
async def test_every_rfc_3339_spelling_is_a_time(edge: Api, time: str) -> None:
    """Answers are UTC with milliseconds and Z, however the time was written."""
    job = await edge.job(scheduledFor=time)
    assert job["scheduledFor"] == "2026-04-09T12:00:00.000Z"


async def test_two_faults_are_both_named(edge: Api) -> None:
    """One answer names everything that is wrong, so that one correction is enough."""
    response = await edge.post_job(assetUrl="ftp://x", post={"mode": "direct"})
    pointers = [each["pointer"] for each in response.json()["errors"]]
    assert pointers == ["/assetUrl", "/post/privacyLevel"]


async def test_private_urls_can_be_allowed(sqlite_url: str) -> None:
    """With ALLOW_PRIVATE_URLS the demo may post from loopback over http."""
    async with serving(sqlite_url, allow_private_urls=True) as api:
        job = await api.job(assetUrl="http://127.0.0.1:9000/v.mp4")
        assert job["assetUrl"] == "http://127.0.0.1:9000/v.mp4"
        refused = await api.post_job(assetUrl="http://a:b@127.0.0.1/", assetId="x")
        assert refused.status_code == 422


async def test_a_lone_surrogate_is_no_text(edge: Api) -> None:
    """Half a letter, in a value or a name, is a 422 and no crash."""
    bodies = (
        job_body(assetId="\ud800"),
        job_body(assetUrl="https://cdn.example.com/\ud800"),
        job_body(post={"mode": "inbox", "title": "\udc00"}),
        job_body(post={"mode": "inbox", "\ud800": 1}),
    )
    for body in bodies:
        response = await edge.client.post(
            "/v1/jobs",
            content=json.dumps(body),
            headers={"Content-Type": "application/json"},
        )
        assert response.status_code == 422, response.text
