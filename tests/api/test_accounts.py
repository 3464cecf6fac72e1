"""Storing, showing and removing a project's account."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.sandbox.server import RunningSandbox, running_sandbox
from tests.api.serving import Api, serving

URL = "/v1/projects/proj_1/accounts/tiktok"
BODY = {
    "openId": "sandbox_user",
    "accessToken": "act.sandbox",
    "refreshToken": "rft.sandbox",
    "expiresIn": 7200,
    "refreshExpiresIn": 15_552_000,
    "scope": "user.info.basic,video.publish",
}
SHOWN = {
    "projectId": "proj_1",
    "platform": "tiktok",
    "openId": "sandbox_user",
    "displayName": None,
    "username": None,
    "scopes": ["user.info.basic", "video.publish"],
    "status": "active",
    "reconnectReason": None,
    "accessTokenExpiresAt": "2026-04-09T14:00:00.000Z",
    "refreshTokenExpiresAt": "2026-10-06T12:00:00.000Z",
    "connectedAt": "2026-04-09T12:00:00.000Z",
}
SANDBOX_APP = {
    "tiktok_client_key": "sandbox_key",
    "tiktok_client_secret": "sandbox_secret",
}


@asynccontextmanager
async def serving_with(
    tiktok: RunningSandbox, database_url: str, **settings: object
) -> AsyncIterator[Api]:
    """Serve with the simulator for TikTok."""
    settings = {"tiktok_api_base_url": tiktok.url, **SANDBOX_APP, **settings}
    async with serving(database_url, **settings) as api:
        yield api


@pytest.fixture
async def tiktok() -> AsyncIterator[RunningSandbox]:
    """Give a simulated TikTok."""
    async with running_sandbox() as running:
        yield running


async def _error(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    return problem


async def test_an_account_is_stored_and_shown(api: Api) -> None:
    """201 the first time, 200 from then on; the answer holds no token."""
    first = await api.client.put(URL, json=BODY)
    stored = {**SHOWN, "accountChanged": False}
    assert (first.status_code, first.json()) == (201, stored)
    shown = await api.client.get(URL)
    assert (shown.status_code, shown.json()) == (200, SHOWN)
    api.clock.forward(hours=1)
    again = await api.client.put(URL, json={**BODY, "openId": "another"})
    assert again.status_code == 200
    assert again.json()["openId"] == "another"
    assert again.json()["connectedAt"] == "2026-04-09T13:00:00.000Z"
    for response in (first, shown, again):
        assert "act." not in response.text
        assert "rft." not in response.text


async def test_puts_at_once_store_one_account(api: Api) -> None:
    """Whoever comes first creates it; all the others replace it."""
    answers = await asyncio.gather(*(api.client.put(URL, json=BODY) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("video.publish,video.upload", ["video.publish", "video.upload"]),
        ("video.publish video.upload", ["video.publish", "video.upload"]),
        (" video.publish, video.upload ,", ["video.publish", "video.upload"]),
        (["video.publish", "video.upload"], ["video.publish", "video.upload"]),
        ("video.publish,video.publish", ["video.publish"]),
        ("", []),
        ([], []),
    ],
)
async def test_scopes_come_in_every_usual_form(
    edge: Api, scope: object, scopes: list[str]
) -> None:
    """A comma list as from TikTok, a space list as in OAuth, or an array."""
    answer = await edge.client.put(URL, json={**BODY, "scope": scope})
    assert answer.json()["scopes"] == scopes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("openId", ""),
        ("openId", "a b"),
        ("openId", None),
        ("accessToken", ""),
        ("accessToken", "act\r\nX-Evil: 1"),
        ("accessToken", "act.ü"),
        ("accessToken", "a" * 4097),
        ("refreshToken", ""),
        ("refreshToken", 5),
        ("expiresIn", 0),
        ("expiresIn", -1),
        ("expiresIn", 315_360_001),
        ("expiresIn", "7200"),
        ("expiresIn", True),
        ("expiresIn", 1.5),
        ("refreshExpiresIn", 0),
        ("scope", "video.publish;drop"),
        ("scope", ["video publish"]),
        ("scope", [""]),
        ("scope", None),
        ("extra", "field"),
    ],
)
async def test_a_malformed_account_is_refused(
    edge: Api, field: str, value: object
) -> None:
    """422 with a pointer to the field; nothing is stored, no token comes back."""
    answer = await edge.client.put(URL, json={**BODY, field: value})
    problem = await _error(answer, 422)
    assert [each["pointer"] for each in problem["errors"]] == [f"/{field}"]
    assert "sandbox" not in answer.text
    assert (await edge.client.get(URL)).status_code == 404


@pytest.mark.parametrize("field", BODY)
async def test_every_field_is_needed(edge: Api, field: str) -> None:
    """A grant that is not whole would be lost at its first refresh."""
    body = {name: value for name, value in BODY.items() if name != field}
    problem = await _error(await edge.client.put(URL, json=body), 422)
    assert [each["pointer"] for each in problem["errors"]] == [f"/{field}"]


@pytest.mark.parametrize("project", ["a%7Cb", "a%00b", "%0A", "p" * 201])
async def test_a_project_that_cannot_be_is_refused(edge: Api, project: str) -> None:
    """The same rules hold for a project in a path as in a job."""
    url = f"/v1/projects/{project}/accounts/tiktok"
    await _error(await edge.client.put(url, json=BODY), 422)
    await _error(await edge.client.get(url), 422)


async def test_other_projects_accounts_do_not_exist(api: Api) -> None:
    """A key of one project gets for another's what it gets for one nobody has."""
    await api.client.put(URL, json=BODY)
    mine, other = await api.caller("proj_1"), await api.caller("proj_2")
    assert (await mine.get(URL)).status_code == 200
    nothing = await other.get(URL.replace("proj_1", "proj_3"))
    calls = (
        other.get(URL),
        other.put(URL, json=BODY),
        other.delete(URL),
        other.post(f"{URL}/connect"),
        other.get(f"{URL}/creator-info"),
    )
    for answer in [nothing, *await asyncio.gather(*calls)]:
        problem = await _error(answer, 404)
        assert problem == nothing.json()
    assert (await mine.get(URL)).json() == SHOWN


async def test_nobody_comes_in_without_a_key(edge: Api) -> None:
    """Every account route is behind the wall."""
    for method, path in (
        ("GET", URL),
        ("PUT", URL),
        ("DELETE", URL),
        ("POST", f"{URL}/connect"),
        ("GET", f"{URL}/creator-info"),
    ):
        answer = await edge.stranger().request(method, path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_removed_account_is_revoked_at_tiktok(
    tiktok: RunningSandbox, database_url: str
) -> None:
    """204, then 404; TikTok is told to end the grant."""
    async with serving_with(tiktok, database_url) as api:
        await api.client.put(URL, json=BODY)
        assert (await api.client.delete(URL)).status_code == 204
        assert "sandbox_user" not in tiktok.sandbox.accounts.current
        assert (await api.client.get(URL)).status_code == 404
        assert (await api.client.delete(URL)).status_code == 404


async def test_an_account_goes_although_tiktok_is_away(edge: Api) -> None:
    """Removing is ours to do; revoking is best effort."""
    await edge.client.put(URL, json=BODY)
    assert (await edge.client.delete(URL)).status_code == 204
    assert (await edge.client.get(URL)).status_code == 404


async def test_no_token_is_logged(
    edge: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a good request nor a refused one leaves a token in the log."""
    await edge.client.put(URL, json=BODY)
    await edge.client.put(URL, json={**BODY, "expiresIn": 0})
    await edge.client.put(URL, content=json.dumps(BODY)[:-1])
    await edge.client.delete(URL)
    written = "".join(capsys.readouterr())
    assert "act.sandbox" not in written
    assert "rft.sandbox" not in written


async def test_another_person_is_told_of_and_moves_nothing(api: Api) -> None:
    """PUT says so; the jobs show it at once, and move only when that is asked for."""
    await api.client.put(URL, json=BODY)
    job = await api.job(scheduledFor="2030-01-01T00:00:00Z")
    put = await api.client.put(URL, json=BODY | {"openId": "somebody else"[:8]})
    assert put.json()["accountChanged"] is True
    shown = (await api.client.get(f"/v1/jobs/{job['id']}")).json()
    assert shown["openId"] == job["openId"] == "sandbox_user"
    assert [each["code"] for each in shown["readiness"]["problems"]] == [
        "account_changed"
    ]
    moved = await api.client.post(f"{URL}/rebind-jobs")
    assert (moved.status_code, moved.json()) == (200, {"moved": 1, "skipped": 0})
    shown = (await api.client.get(f"/v1/jobs/{job['id']}")).json()
    assert (shown["openId"], shown["readiness"]) == ("somebody", None)
    other = await api.caller("proj_2")
    assert (await other.post(f"{URL}/rebind-jobs")).status_code == 404
