"""POST /v1/jobs/validate: what would become of a job, and nothing is stored."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from app.outbound.media.checker import MediaChecker
from app.sandbox.server import RunningSandbox
from app.store.jobs.tables import schedule_jobs
from app.store.retention.pruning import pruned
from tests.api.serving import Api, job_body
from tests.api.test_accounts import BODY, URL, serving_with, tiktok
from tests.support.factories import NOW

__all__ = ["tiktok"]

VALIDATE = "/v1/jobs/validate"


@pytest.fixture(autouse=True)
def unprobed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at no media where a test is not about it: its server is made up."""

    async def look(_: object, __: object, ___: object, *, max_seconds: object) -> None:
        pass

    monkeypatch.setattr(MediaChecker, "look", look)


LATER = "2026-05-01T12:00:00.000Z"


@pytest.fixture
async def api(tiktok: RunningSandbox, database_url: str) -> AsyncIterator[Api]:
    """Serve with an account that the simulator knows."""
    async with serving_with(tiktok, database_url) as api:
        await api.client.put(URL, json=BODY)
        yield api


def body(**changes: object) -> dict[str, Any]:
    """Ask for a job that nothing is wrong with."""
    return job_body(**{"scheduledFor": LATER} | changes)


def post(**changes: object) -> dict[str, Any]:
    """Choose for a post."""
    return {"mode": "direct", "title": "Spring", "privacyLevel": "SELF_ONLY"} | changes


async def validate(api: Api, asked: object) -> dict[str, Any]:
    """Ask what would become of a body; whatever it is, nothing is stored."""
    answer = await api.client.post(VALIDATE, json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert set(found) == {"ok", "problems", "media", "existingJobId"}
    return found


def problems(found: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Name what was found: code, place and severity."""
    return {
        (each["code"], each["pointer"], each["severity"]) for each in found["problems"]
    }


async def count(api: Api) -> int:
    """Count the jobs."""
    async with api.database.read() as connection:
        rows = select(func.count()).select_from(schedule_jobs)
        return int((await connection.execute(rows)).scalar_one())


async def fault(tiktok: RunningSandbox, **fault: object) -> None:
    """Let creator_info fail."""
    async with httpx.AsyncClient(base_url=tiktok.url) as client:
        script = {"call": "creator_info", "times": None, "fault": fault}
        assert (await client.post("/_sandbox/faults", json=script)).status_code == 201


async def test_what_is_right_is_ok_and_stored_nowhere(api: Api) -> None:
    """TikTok is asked what the creator may choose, and nothing else."""
    found = await validate(api, body())
    assert found == {"ok": True, "problems": [], "media": None, "existingJobId": None}
    assert await count(api) == 0


async def test_a_body_that_would_be_refused_says_all_that_is_wrong(api: Api) -> None:
    """A refused body gets 200 and lists all that is wrong, with pointers."""
    asked = body(assetId=..., project_id="x", post=post(title=3))
    found = await validate(api, asked)
    assert not found["ok"]
    assert problems(found) == {
        ("required", "/assetId", "error"),
        ("unknown_field", "/project_id", "error"),
        ("invalid", "/post/title", "error"),
    }
    unkind = await validate(api, body(assetUrl="http://x", post=post(title="x" * 2201)))
    assert {place for _, place, _ in problems(unkind)} == {"/assetUrl", "/post/title"}
    assert not (await validate(api, [1]))["ok"]
    empty = await api.client.post(VALIDATE)  # POST /v1/jobs answers 422
    assert (empty.status_code, empty.json()["ok"]) == (200, False)


async def test_what_is_no_json_is_refused(api: Api) -> None:
    """There is nothing to look at."""
    headers = {"Content-Type": "application/json"}
    refused = await api.client.post(VALIDATE, content=b"{", headers=headers)
    assert refused.status_code == 400
    for url in (VALIDATE, "/v1/jobs"):
        plain = {"Content-Type": "text/plain"}
        unread = await api.client.post(url, content=b"{}", headers=plain)
        assert unread.status_code == 415, url


async def test_a_repeat_names_the_job_it_would_find(api: Api) -> None:
    """A repeat names the job that the request would find."""
    for at in (LATER, None):
        made = await api.client.post("/v1/jobs", json=body(scheduledFor=at))
        found = await validate(api, body(scheduledFor=at))
        assert (found["ok"], found["existingJobId"]) == (True, made.json()["id"])


async def test_another_projects_jobs_are_not_found(api: Api) -> None:
    """Another project's jobs are not found."""
    caller = await api.caller("proj_2")
    assert (await caller.post(VALIDATE, json=body())).status_code == 404


@pytest.mark.parametrize("mode", ["direct", "inbox"])
async def test_a_project_without_an_account_cannot_post(api: Api, mode: str) -> None:
    """Without an account the job would be stored and fail: an error."""
    asked = body(
        projectId="proj_2", post=post() if mode == "direct" else {"mode": mode}
    )
    found = await validate(api, asked)
    assert problems(found) == {("account_not_connected", "/projectId", "error")}
    assert not found["ok"]


async def test_an_account_that_is_lost_cannot_post(
    tiktok: RunningSandbox, api: Api
) -> None:
    """With a lost account the job would be stored and fail: an error."""
    tiktok.sandbox.accounts.revoke("sandbox_user", now=tiktok.sandbox.now())
    found = await validate(api, body())
    assert problems(found) == {("reconnect_required", "/projectId", "error")}
    assert problems(await validate(api, body())) == problems(found)


async def test_an_account_that_did_not_allow_it_cannot_post(api: Api) -> None:
    """The scope for this kind of post is missing."""
    await api.client.put(URL, json=BODY | {"scope": "user.info.basic,video.upload"})
    found = await validate(api, body())
    assert problems(found) == {("scope_missing", "/projectId", "error")}
    assert (await validate(api, body(post={"mode": "inbox"})))["ok"]


async def test_an_audience_that_is_not_offered_is_an_error(api: Api) -> None:
    """The creator's own options decide."""
    asked = body(post=post(privacyLevel="FOLLOWER_OF_CREATOR"))
    found = await validate(api, asked)
    place = "/post/privacyLevel"
    assert problems(found) == {("privacy_level_not_offered", place, "error")}


async def test_what_the_creator_has_off_is_a_warning(
    tiktok: RunningSandbox, api: Api
) -> None:
    """TikTok decides; the person should know."""
    people = tiktok.sandbox.accounts.people
    people["sandbox_user"] = replace(people["sandbox_user"], comment_disabled=True)
    found = await validate(api, body())
    assert problems(found) == {("comments_off", "/post/disableComment", "warning")}
    assert found["ok"]
    assert (await validate(api, body(post=post(disableComment=True))))["problems"] == []


@pytest.mark.parametrize(
    ("code", "severity"),
    [
        ("spam_risk_too_many_posts", "warning"),
        ("spam_risk_user_banned_from_posting", "error"),
    ],
)
async def test_an_account_that_may_not_post_now_says_which_limit(
    tiktok: RunningSandbox, api: Api, code: str, severity: str
) -> None:
    """A cap may be over by the time; a ban is not over by itself."""
    await fault(tiktok, kind="error", code=code)
    assert problems(await validate(api, body())) == {(code, "/projectId", severity)}


async def test_a_tiktok_that_does_not_answer_is_a_warning(
    tiktok: RunningSandbox, api: Api
) -> None:
    """Checks that could not be made are reported."""
    await fault(tiktok, kind="error", code="internal_error")
    found = await validate(api, body())
    assert problems(found) == {("tiktok_unavailable", "/projectId", "warning")}


async def test_a_time_that_is_past_and_a_hold_are_warnings(api: Api) -> None:
    """A past time and a hold are warnings: the job would go out at another time."""
    await api.client.put("/v1/projects/proj_1/hold", json={"reason": "a recall"})
    found = await validate(api, body(scheduledFor="2026-04-09T11:00:00.000Z"))
    assert problems(found) == {
        ("in_the_past", "/scheduledFor", "warning"),
        ("held", "/projectId", "warning"),
    }
    assert found["ok"]
    assert await count(api) == 0


async def test_a_hold_of_all_is_told_to_whose_key_is_of_one(api: Api) -> None:
    """It holds their project as well."""
    await api.client.put("/v1/hold", json={"reason": "a recall"})
    caller = await api.caller("proj_1")
    answer = await caller.post(VALIDATE, json=body())
    assert problems(answer.json()) == {("held", "/projectId", "warning")}


async def test_a_time_whose_records_are_pruned_is_an_error(api: Api) -> None:
    """POST would answer 409 too_long_ago."""
    async with api.database.write() as connection:
        await connection.execute(pruned.insert().values(what="records", before=NOW))
    found = await validate(api, body(scheduledFor="2025-01-01T00:00:00.000Z"))
    assert ("too_long_ago", "/scheduledFor", "error") in problems(found)
    assert not found["ok"]
