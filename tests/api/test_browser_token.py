"""Tokens for browsers: one project, a short time, and nothing that needs a server."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.domain.api_key import ApiKey, KeyAccess
from app.service import caller_limits
from app.service.browser_tokens import BROWSER_PREFIX, BrowserTokens
from app.store.db.vault import Vault
from tests.api.serving import (
    ENCRYPTION_KEY,
    Api,
    StandingClock,
    client_of,
    job_body,
    serving,
)
from tests.support.factories import NOW

TOKEN = "/v1/projects/proj_1/browser-token"
STREAM = "/v1/jobs/stream?projectId=proj_1"
OTHER_KEY = "X" * 43 + "="


async def made(api: Api, access: str = "read", ttl: int = 600) -> str:
    """Make a token."""
    body = {"ttlSeconds": ttl, "access": access}
    answer = await api.client.post(TOKEN, json=body)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"token", "expiresAt"}
    token: str = answer.json()["token"]
    return token


async def browser(api: Api, access: str = "read", ttl: int = 600) -> httpx.AsyncClient:
    """Give a client with a token."""
    return client_of(api.app, await made(api, access, ttl))


async def test_a_token_is_good_where_a_key_is(api: Api) -> None:
    """A token works for its own project; any other does not exist for it."""
    job = await api.job()
    other = await api.job(projectId="proj_2")
    page = await browser(api)
    assert (await page.get(f"/v1/jobs/{job['id']}")).json() == job
    assert (await page.get(f"/v1/jobs/{other['id']}")).status_code == 404
    listed = (await page.get("/v1/jobs")).json()["items"]
    assert [each["id"] for each in listed] == [job["id"]]


async def test_a_token_has_its_time(api: Api) -> None:
    """The answer says when a browser token expires; after that it is worthless."""
    answer = await api.client.post(TOKEN, json={"ttlSeconds": 60, "access": "read"})
    assert answer.json()["expiresAt"] == "2026-04-09T12:01:00.000Z"
    page = client_of(api.app, answer.json()["token"])
    api.clock.forward(seconds=59)
    assert (await page.get("/v1/jobs")).status_code == 200
    api.clock.forward(seconds=1)
    refused = await page.get("/v1/jobs")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_token_does_not_outlive_its_key(api: Api) -> None:
    """A token made with a key that soon expires, expires with it."""
    _, secret = await api.services.keys.create(
        "short", "proj_1", expires_in=timedelta(seconds=60)
    )
    answer = await client_of(api.app, secret).post(
        TOKEN, json={"ttlSeconds": 3600, "access": "compose"}
    )
    assert answer.json()["expiresAt"] == "2026-04-09T12:01:00.000Z"
    page = client_of(api.app, answer.json()["token"])
    assert (await page.get("/v1/jobs")).status_code == 200
    api.clock.forward(seconds=60)
    assert (await page.get("/v1/jobs")).status_code == 401


async def test_another_process_with_the_same_keys_takes_it(
    api: Api, database_url: str
) -> None:
    """Nothing is stored: a process takes every token made with its keys."""
    token = await made(api)
    async with serving(database_url) as second:
        page = client_of(second.app, token)
        assert (await page.get("/v1/jobs")).status_code == 200
    async with serving(database_url, token_encryption_keys=OTHER_KEY) as third:
        page = client_of(third.app, token)
        assert (await page.get("/v1/jobs")).status_code == 401
    both = f"{OTHER_KEY},{ENCRYPTION_KEY}"
    async with serving(database_url, token_encryption_keys=both) as rotated:
        page = client_of(rotated.app, token)
        assert (await page.get("/v1/jobs")).status_code == 200


async def test_no_other_text_is_a_token(
    edge: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed one, a shorter one, none: all alike."""
    monkeypatch.setattr(caller_limits, "FREE", 1000)
    token = await made(edge)
    wrong = [
        token[:-1],
        token + "A",
        token.removeprefix(BROWSER_PREFIX),
        BROWSER_PREFIX,
        BROWSER_PREFIX + "v1.00000000.AAAA",
        *(
            token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
            for at in range(len(BROWSER_PREFIX), len(token), 7)
        ),
    ]
    for text in wrong:
        page = client_of(edge.app, text)
        assert (await page.get("/v1/jobs")).status_code == 401, text


CHANGES: list[tuple[str, str, Any]] = [
    ("POST", "/v1/jobs", job_body()),
    ("POST", "/v1/jobs/batch", {"items": [job_body(assetId="b")]}),
    ("PATCH", "/v1/jobs/{id}", {"maxAttempts": 4}),
    ("POST", "/v1/jobs/{id}/retry", {}),
    ("POST", "/v1/jobs/{id}/cancel", None),
]
FOR_SERVERS: list[tuple[str, str, Any]] = [
    ("DELETE", "/v1/jobs/{id}", None),
    ("POST", "/v1/projects/proj_1/jobs/retry", {"failureReason": "auth"}),
    ("PUT", "/v1/projects/proj_1/hold", {"reason": "x"}),
    ("DELETE", "/v1/projects/proj_1/accounts/tiktok", None),
    ("POST", "/v1/projects/proj_1/accounts/tiktok/connect", {}),
    ("PUT", "/v1/projects/proj_1/webhook", {"url": "https://x.example/h"}),
    ("POST", TOKEN, {"ttlSeconds": 600, "access": "compose"}),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES + FOR_SERVERS)
async def test_a_token_to_read_changes_nothing(
    edge: Api, method: str, path: str, body: object
) -> None:
    """403, whatever it is."""
    job = await edge.job(assetId="a")
    page = await browser(edge)
    refused = await page.request(method, path.format(id=job["id"]), json=body)
    assert refused.status_code == 403
    assert refused.json()["code"] == "read_only_key"


async def test_a_token_to_read_asks_tiktok_nothing(edge: Api) -> None:
    """Such calls are few; a compose page may."""
    path = "/v1/projects/proj_1/accounts/tiktok/creator-info"
    assert (await (await browser(edge)).get(path)).status_code == 403
    asked = await (await browser(edge, "compose")).get(path)
    assert asked.json()["code"] == "account_not_connected"


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_token_to_compose_schedules(
    edge: Api, method: str, path: str, body: object
) -> None:
    """What a compose page does; the answer is the one that a key gets."""
    job = await edge.job(assetId="a")
    page = await browser(edge, "compose")
    done = await page.request(method, path.format(id=job["id"]), json=body)
    assert done.status_code != 403, done.text


async def test_a_token_to_compose_validates(edge: Api) -> None:
    """Before it schedules."""
    page = await browser(edge, "compose")
    assert (await page.post("/v1/jobs/validate", json=job_body())).status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), FOR_SERVERS)
async def test_the_rest_is_for_servers(
    edge: Api, method: str, path: str, body: object
) -> None:
    """Accounts, webhooks, holds, and further tokens: 403 with a word of its own."""
    job = await edge.job(assetId="a")
    page = await browser(edge, "compose")
    refused = await page.request(method, path.format(id=job["id"]), json=body)
    assert refused.status_code == 403
    assert refused.json()["code"] == "not_for_browsers"


async def test_no_path_gets_around_what_a_token_may(edge: Api) -> None:
    """Another spelling of a path is another path."""
    page = await browser(edge, "compose")
    for path in ("/v1/jobs/", "/v1//jobs", "/v1/jobs/x/retry/", "/v1/jobs/x/cancel\n"):
        refused = await page.post(path.replace("\n", "%0A"), json={})
        assert refused.status_code in {403, 404}


async def test_the_stream_takes_a_short_token_in_its_url(edge: Api) -> None:
    """EventSource can send no header; what it names is checked as anywhere."""
    short, long = await made(edge), await made(edge, ttl=601)
    other = STREAM.replace("proj_1", "proj_2")
    async with edge.stranger() as page:
        assert (await page.get(f"{other}&token={short}")).status_code == 404
        assert (await page.get(f"{STREAM}&token={long}")).status_code == 401
        assert (await page.get(f"{STREAM}&token=x")).status_code == 401
        assert (await page.get(STREAM)).status_code == 401


async def test_no_other_route_takes_a_token_in_its_url(edge: Api) -> None:
    """Nor does a method that is none of the stream's."""
    token = await made(edge)
    async with edge.stranger() as page:
        for method, path in (
            ("GET", "/v1/jobs"),
            ("GET", "/v1/jobs/stream/"),
            ("POST", "/v1/jobs/stream"),
        ):
            refused = await page.request(method, f"{path}?token={token}")
            assert refused.status_code == 401


async def test_a_token_is_logged_nowhere(
    edge: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not in a URL, not in a header, not in an error."""
    token = await made(edge)
    async with edge.stranger() as page:
        await page.get(f"{STREAM.replace('proj_1', 'proj_2')}&token={token}")
        await page.get(f"/v1/jobs?token={token}")
    await client_of(edge.app, token).get(f"/v1/jobs?token={token}")
    written = capsys.readouterr()
    assert token not in written.out + written.err


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"access": "read"}, "/ttlSeconds"),
        ({"ttlSeconds": 0, "access": "read"}, "/ttlSeconds"),
        ({"ttlSeconds": 3601, "access": "read"}, "/ttlSeconds"),
        ({"ttlSeconds": 60}, "/access"),
        ({"ttlSeconds": 60, "access": "write"}, "/access"),
    ],
)
async def test_what_is_asked_for_is_bounded(
    edge: Api, body: dict[str, object], pointer: str
) -> None:
    """An hour at most, and never what a server's key may."""
    refused = await edge.client.post(TOKEN, json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == pointer


async def test_nobody_makes_a_token_for_anothers_project(edge: Api) -> None:
    """Another's project does not exist for somebody who wants a token for it."""
    caller = await edge.caller("proj_2")
    body = {"ttlSeconds": 60, "access": "read"}
    assert (await caller.post(TOKEN, json=body)).status_code == 404


def test_what_a_browser_did_is_told_of_the_key_behind_it() -> None:
    """The history names the key that the token was made with."""
    key = ApiKey(id="k_1", name="site", project_id=None, created_at=NOW)
    tokens = BrowserTokens(Vault([b"k" * 32]), StandingClock())
    made = tokens.issue(
        "proj_1", issuer=key, access=KeyAccess.COMPOSE, lives=timedelta(minutes=5)
    )
    read = tokens.read(made.token)
    assert read is not None
    assert (read.id, read.name, read.project_id) == ("k_1", "site", "proj_1")
    assert (read.access, read.expires_at) == (KeyAccess.COMPOSE, made.expires_at)
    assert made.token not in repr(made)
