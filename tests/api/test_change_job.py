"""PATCH, DELETE, retry and attempts: what may be done to a job, and when."""

from datetime import timedelta
from itertools import product
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from app.domain.jobs.edit import JobChange
from app.domain.jobs.job import ErrorClass, FailureReason, JobStatus
from app.domain.jobs.outcome import Fault, Transient
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from tests.api.serving import Api
from tests.store.claiming import claim_one, decided
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

IN_FLIGHT: Final[dict[str, Any]] = {"init_sent_at": NOW, "publish_id": "pub_1"}
A_FAULT: Final = Fault(
    error_class=ErrorClass.TRANSIENT,
    code="internal_error",
    message="something broke",
    http_status=500,
    log_id="log-1",
)


async def patch(api: Api, job_id: str, **body: object) -> httpx.Response:
    """Change a job."""
    return await api.client.patch(f"/v1/jobs/{job_id}", json=body)


# PATCH


async def test_a_post_is_merged_field_by_field(api: Api) -> None:
    """A patch of one choice leaves the others, null clears what may be empty."""
    post = {
        "title": "old",
        "privacyLevel": "SELF_ONLY",
        "disableDuet": True,
        "videoCoverTimestampMs": 7,
    }
    job = await api.job(post=post)
    response = await patch(
        api, job["id"], post={"title": "new", "videoCoverTimestampMs": None}
    )

    assert response.status_code == 200
    changed = {"title": "new", "videoCoverTimestampMs": None}
    assert response.json()["post"] == job["post"] | changed
    assert (await api.client.get(f"/v1/jobs/{job['id']}")).json() == response.json()


async def test_an_empty_patch_changes_nothing(api: Api) -> None:
    """A patch without fields is fine and leaves the job as it is."""
    job = await api.job()
    assert (await patch(api, job["id"])).json() == job


async def test_every_field_of_a_patch_arrives(api: Api) -> None:
    """The time, the URL and the number of attempts can change, and the key follows."""
    job = await api.job()
    twin = await api.job(assetId="asset_10", scheduledFor="2026-05-01T10:00:00.000Z")
    response = await patch(
        api,
        job["id"],
        scheduledFor="2026-05-01T12:00:00.0009+02:00",
        assetUrl="https://cdn.example.com/new.mp4",
        maxAttempts=9,
    )

    changed = response.json()
    assert changed["scheduledFor"] == "2026-05-01T10:00:00.000Z"
    assert changed["nextAttemptAt"] == changed["scheduledFor"]
    assert changed["assetUrl"] == "https://cdn.example.com/new.mp4"
    assert changed["maxAttempts"] == 9
    assert changed["idempotencyKey"] not in {
        job["idempotencyKey"],
        twin["idempotencyKey"],
    }


async def test_a_null_time_makes_it_post_now(api: Api) -> None:
    """With scheduledFor null a waiting job is due at once."""
    job = await api.job(scheduledFor="2100-01-01T00:00:00Z")
    changed = (await patch(api, job["id"], scheduledFor=None)).json()

    assert changed["postNow"] is True
    assert changed["scheduledFor"] == "2026-04-09T12:00:00.000Z"
    assert changed["nextAttemptAt"] == "2026-04-09T12:00:00.000Z"


async def test_a_retrying_job_with_nothing_at_tiktok_can_be_changed(api: Api) -> None:
    """A caption that TikTok never took may be mended between attempts."""
    job = await store_job(api.database, RETRYING)
    response = await patch(api, job.id, post={"title": "better"})
    assert response.status_code == 200
    assert response.json()["status"] == "retrying"


@pytest.mark.parametrize(
    ("status", "columns"),
    [
        (PROCESSING, {}),
        (POSTED, {}),
        (FAILED, IN_FLIGHT),
        (RETRYING, IN_FLIGHT),
        (RETRYING, {"init_sent_at": NOW}),
    ],
)
async def test_a_job_that_tiktok_may_have_cannot_be_changed(
    api: Api, status: JobStatus, columns: dict[str, Any]
) -> None:
    """Running, over or in flight: 409 job_not_editable, and nothing changes."""
    job = await store_job(api.database, status, **columns)
    before = (await api.client.get(f"/v1/jobs/{job.id}")).json()
    response = await patch(api, job.id, post={"title": "too late"})

    assert response.status_code == 409
    assert response.json()["code"] == "job_not_editable"
    assert (await api.client.get(f"/v1/jobs/{job.id}")).json() == before


async def test_a_patch_cannot_make_a_twin(api: Api) -> None:
    """Moving a job onto another's time is 409 duplicate_job."""
    await api.job(scheduledFor="2026-05-01T10:00:00Z")
    job = await api.job(scheduledFor="2026-05-02T10:00:00Z")
    response = await patch(api, job["id"], scheduledFor="2026-05-01T10:00:00Z")

    assert response.status_code == 409
    assert response.json()["code"] == "duplicate_job"


async def test_a_patch_to_post_now_cannot_pass_another_post_now(api: Api) -> None:
    """One unfinished Post Now per asset, however it came to be."""
    await api.job(scheduledFor=None)
    job = await api.job(scheduledFor="2026-05-02T10:00:00Z")
    api.clock.forward(seconds=1)
    response = await patch(api, job["id"], scheduledFor=None)
    assert response.json()["code"] == "duplicate_job"


FAULTY_PATCHES: Final[list[tuple[dict[str, Any], str]]] = [
    ({"projectId": "p"}, "/projectId"),
    ({"assetId": "a"}, "/assetId"),
    ({"status": "posted"}, "/status"),
    ({"assetUrl": None}, "/assetUrl"),
    ({"assetUrl": "https://localhost/"}, "/assetUrl"),
    ({"post": None}, "/post"),
    ({"post": {"title": None}}, "/post/title"),
    ({"post": {"title": "a" * 2201}}, "/post/title"),
    ({"post": {"privacyLevel": None}}, "/post/privacyLevel"),
    ({"post": {"surprise": 1}}, "/post/surprise"),
    ({"post": {"isAigc": "yes"}}, "/post/isAigc"),
    ({"post": {"brandContentToggle": True}}, "/post/brandContentToggle"),
    ({"maxAttempts": None}, "/maxAttempts"),
    ({"maxAttempts": 0}, "/maxAttempts"),
    ({"scheduledFor": "2026-05-01"}, "/scheduledFor"),
    ({"scheduledFor": 1}, "/scheduledFor"),
]


async def test_a_faulty_patch_is_refused_as_a_whole(edge: Api) -> None:
    """One bad field is a 422 that names it, and the good ones beside it stay away."""
    job = await edge.job()
    for body, pointer in FAULTY_PATCHES:
        response = await patch(edge, job["id"], **{"maxAttempts": 9} | body)
        assert response.status_code == 422, (body, response.text)
        assert [each["pointer"] for each in response.json()["errors"]] == [pointer]
        assert (await edge.client.get(f"/v1/jobs/{job['id']}")).json() == job


async def test_attempts_already_made_are_not_taken_back(edge: Api) -> None:
    """The limit cannot fall to what was used up already."""
    job = await store_job(edge.database, RETRYING, attempts=2)
    response = await patch(edge, job.id, maxAttempts=2)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/maxAttempts"


# DELETE


@pytest.mark.parametrize("status", [SCHEDULED, RETRYING, FAILED])
async def test_what_guards_no_post_can_be_removed(api: Api, status: JobStatus) -> None:
    """204, and then it is gone."""
    job = await store_job(api.database, status)
    response = await api.client.delete(f"/v1/jobs/{job.id}")

    assert (response.status_code, response.content) == (204, b"")
    assert (await api.client.get(f"/v1/jobs/{job.id}")).status_code == 404
    assert (await api.client.delete(f"/v1/jobs/{job.id}")).status_code == 404


@pytest.mark.parametrize(
    ("status", "columns"),
    [
        (PROCESSING, {}),
        (POSTED, {}),
        (RETRYING, IN_FLIGHT),
        (FAILED, IN_FLIGHT),
        (FAILED, {"init_sent_at": NOW}),
    ],
)
async def test_a_row_that_guards_a_post_is_never_removed(
    api: Api, status: JobStatus, columns: dict[str, Any]
) -> None:
    """Running, posted or in flight: 409, and the row stays."""
    job = await store_job(api.database, status, **columns)
    response = await api.client.delete(f"/v1/jobs/{job.id}")

    assert response.status_code == 409
    assert response.json()["code"] == "job_not_deletable"
    assert (await api.client.get(f"/v1/jobs/{job.id}")).status_code == 200


# Retry


@pytest.mark.parametrize("content", [None, b"", b"{}", b"null"])
async def test_a_failed_job_starts_again(api: Api, content: bytes | None) -> None:
    """202 with the job scheduled and its attempts back at 0; the body is optional."""
    job = await store_job(api.database, FAILED, attempts=3)
    headers = {} if content is None else {"Content-Type": "application/json"}
    response = await api.client.post(
        f"/v1/jobs/{job.id}/retry", content=content, headers=headers
    )

    assert response.status_code == 202, response.text
    again = response.json()
    assert (again["status"], again["attempts"]) == ("scheduled", 0)
    assert (again["failureReason"], again["lastError"]) == (None, None)
    assert again["nextAttemptAt"] == "2026-04-09T12:00:00.000Z"


@pytest.mark.parametrize("status", [SCHEDULED, RETRYING, PROCESSING, POSTED])
async def test_only_a_failed_job_can_be_retried(api: Api, status: JobStatus) -> None:
    """Anything else is 409."""
    job = await store_job(api.database, status)
    response = await api.client.post(f"/v1/jobs/{job.id}/retry")

    assert response.status_code == 409
    assert response.json()["code"] == "job_not_retryable"


@pytest.mark.parametrize("body", [None, {}, {"acceptDuplicateRisk": False}])
async def test_an_unknown_outcome_is_not_retried_by_accident(
    api: Api, body: dict[str, Any] | None
) -> None:
    """TikTok may have it: 409 outcome_unknown until the risk is accepted."""
    job = await store_row(api.database, unconfirmed())
    response = await api.client.post(f"/v1/jobs/{job.id}/retry", json=body)
    assert response.status_code == 409
    assert response.json()["code"] == "outcome_unknown"

    accepted = await api.client.post(
        f"/v1/jobs/{job.id}/retry", json={"acceptDuplicateRisk": True}
    )
    assert accepted.status_code == 202
    assert accepted.json()["status"] == "scheduled"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"acceptDuplicateRisk": "yes"}, "/acceptDuplicateRisk"),
        ({"acceptDuplicateRisk": None}, "/acceptDuplicateRisk"),
        ({"acceptDuplicateRisk": 1}, "/acceptDuplicateRisk"),
        ({"force": True}, "/force"),
    ],
)
async def test_a_risk_is_accepted_with_true_and_nothing_else(
    edge: Api, body: dict[str, Any], pointer: str
) -> None:
    """A value other than true or false is a 422, and nothing starts."""
    job = await store_row(edge.database, unconfirmed())
    response = await edge.client.post(f"/v1/jobs/{job.id}/retry", json=body)
    assert response.status_code == 422
    assert [each["pointer"] for each in response.json()["errors"]] == [pointer]


async def test_a_retry_cannot_pass_a_newer_post_now(api: Api) -> None:
    """Two unfinished Post Nows of one asset could post twice: 409 duplicate_job."""
    old = await store_job(api.database, FAILED, asset_id="asset_9", post_now=True)
    api.clock.forward(seconds=1)
    await api.job(scheduledFor=None)
    response = await api.client.post(f"/v1/jobs/{old.id}/retry")
    assert response.json()["code"] == "duplicate_job"


# Attempts


async def test_the_ledger_shows_every_attempt(api: Api, database_url: str) -> None:
    """One row per attempt, oldest first, with what happened and what was decided."""
    job = await api.job()
    assert await ledger(api, job["id"]) == []

    await run_attempt(database_url, after=timedelta())
    await run_attempt(database_url, after=timedelta(hours=1))

    first, second = await ledger(api, job["id"])
    assert (first["number"], second["number"]) == (1, 2)
    assert first == {
        "number": 1,
        "startedAt": "2026-04-09T12:00:00.000Z",
        "finishedAt": "2026-04-09T12:00:00.000Z",
        "outcome": "transient",
        "errorClass": "transient",
        "errorCode": "internal_error",
        "message": "something broke",
        "httpStatus": 500,
        "logId": "log-1",
        "publishId": None,
        "decision": "retrying",
        "nextAttemptAt": "2026-04-09T12:00:30.000Z",
        "worker": "worker_1",
    }


async def ledger(api: Api, job_id: str) -> list[dict[str, Any]]:
    """Read a job's attempts."""
    response = await api.client.get(f"/v1/jobs/{job_id}/attempts")
    assert response.status_code == 200
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def run_attempt(database_url: str, *, after: timedelta) -> None:
    """Claim the due job and let its attempt fail, as a worker would."""
    database, now = Database(database_url), NOW + after
    claims = ClaimStore(database, lease=LEASE)
    job = await claim_one(claims, now=now)
    change = decided(job, Transient(fault=A_FAULT), now=now)
    assert await claims.apply(job, change, now=now)
    await database.close()


# What a job looks like to people


async def test_an_error_is_put_into_words(api: Api) -> None:
    """An error holds TikTok's words for machines and ours for the person."""
    job = await store_job(api.database, FAILED)
    error = (await api.client.get(f"/v1/jobs/{job.id}")).json()["lastError"]

    assert set(error) == {"class", "code", "message", "userMessage", "logId", "at"}
    assert (error["class"], error["code"]) == ("transient", "internal_error")
    assert (error["logId"], error["at"]) == ("log-0", "2026-04-09T11:00:00.000Z")
    assert error["userMessage"]
    assert "internal_error" not in error["userMessage"]


async def test_a_job_in_flight_shows_where_it_is(api: Api) -> None:
    """Its publishId and claimedAt are there while TikTok works on it."""
    running = await store_job(api.database, PROCESSING, **IN_FLIGHT)
    waiting = await store_row(api.database, handed_on())

    shown = (await api.client.get(f"/v1/jobs/{running.id}")).json()
    assert shown["claimedAt"] == "2026-04-09T12:00:00.000Z"
    assert shown["publishId"] == "pub_1"
    shown = (await api.client.get(f"/v1/jobs/{waiting.id}")).json()
    assert (shown["status"], shown["claimedAt"]) == ("processing", None)


async def test_ids_of_tiktok_are_strings(api: Api) -> None:
    """A post id of 19 digits arrives whole: as a number JavaScript would round it."""
    post_id = "7602997517160123666"
    job = await store_job(api.database, POSTED, post_id=post_id)
    shown = await api.client.get(f"/v1/jobs/{job.id}")
    assert f'"postId":"{post_id}"' in shown.text
    assert shown.json()["postedAt"] == "2026-04-09T12:00:00.000Z"


@pytest.mark.parametrize("reason", list(FailureReason))
async def test_a_failed_job_says_what_to_do(edge: Api, reason: FailureReason) -> None:
    """Every way to fail comes with a reason and a notice for the person."""
    init_sent_at = NOW if reason is FailureReason.UNCONFIRMED else None
    job = await store_job(
        edge.database, FAILED, failure_reason=reason, init_sent_at=init_sent_at
    )
    shown = (await edge.client.get(f"/v1/jobs/{job.id}")).json()
    assert shown["failureReason"] == reason
    assert len(shown["notice"]) > 20


# What is not there


async def test_what_is_no_job_is_not_found(api: Api) -> None:
    """An id that no job has, or can have, is a 404 on every route."""
    requests: tuple[tuple[str, str, object], ...] = (
        ("GET", "", None),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("POST", "/retry", None),
        ("GET", "/attempts", None),
    )
    ids = (str(uuid4()), "1", "%00", "a" * 300, "%F0%9F%8C%B7", "%ff", "{}")
    for job_id, (method, tail, body) in product(ids, requests):
        path = f"/v1/jobs/{job_id}{tail}"
        response = await api.client.request(method, path, json=body)
        assert response.status_code == 404, (method, path)
        assert response.headers["content-type"] == "application/problem+json"


async def test_an_id_has_one_spelling(edge: Api) -> None:
    """A job lies under one URL, not under every way to write its id."""
    job_id = (await edge.job())["id"]
    for other in (job_id.upper(), job_id.replace("-", ""), f"{{{job_id}}}"):
        assert (await edge.client.get(f"/v1/jobs/{other}")).status_code == 404


def test_a_change_leaves_alone_what_it_does_not_name() -> None:
    """The patch of one field says nothing about the others."""
    from app.schemas.job_requests import JobPatch

    patch = JobPatch.model_validate({"maxAttempts": 3})
    assert patch.to_domain() == JobChange(max_attempts=3)
