"""Connecting an account end to end: our API, the simulator's consent page, and back."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest

from app.sandbox.accounts import Account
from app.sandbox.server import RunningSandbox
from tests.api.serving import Api, serving
from tests.api.test_accounts import URL, serving_with, tiktok
from tests.support.patience import PATIENCE_SECONDS

__all__ = ["tiktok"]

CONNECT = f"{URL}/connect"
CALLBACK = "/oauth/tiktok/callback"
REDIRECT_URI = f"http://127.0.0.1:8000{CALLBACK}"
PAGE = "https://app.example.com/settings?tab=tiktok"
SETTINGS = {
    "tiktok_redirect_uri": REDIRECT_URI,
    "cors_origins": ("https://app.example.com", "http://localhost:3000"),
}


def _settings(tiktok: RunningSandbox, **more: object) -> dict[str, object]:
    page = f"{tiktok.url}/v2/auth/authorize/"
    return {**SETTINGS, "tiktok_authorize_url": page, **more}


@pytest.fixture
async def api(tiktok: RunningSandbox, database_url: str) -> AsyncIterator[Api]:
    """Serve an app that the simulator knows."""
    async with serving_with(tiktok, database_url, **_settings(tiktok)) as api:
        yield api


@pytest.fixture
async def edge(tiktok: RunningSandbox, sqlite_url: str) -> AsyncIterator[Api]:
    """Serve it on SQLite alone."""
    async with serving_with(tiktok, sqlite_url, **_settings(tiktok)) as api:
        yield api


async def _begin(api: Api, **body: object) -> dict[str, Any]:
    answer = await api.client.post(CONNECT, json=body)
    assert answer.status_code == 200, answer.text
    begun: dict[str, Any] = answer.json()
    return begun


async def _consent(url: str, **choice: str) -> dict[str, str]:
    """Open TikTok's page as the person would; give the query it sends back."""
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as browser:
        answer = await browser.get(httpx.URL(url).copy_merge_params(choice))
    assert answer.status_code == 302, answer.text
    back = urlsplit(answer.headers["location"])
    assert back._replace(query="").geturl() == REDIRECT_URI
    return dict(parse_qsl(back.query))


async def _come_back(api: Api, query: dict[str, str]) -> httpx.Response:
    """Follow TikTok's redirect: a browser, which has no key."""
    return await api.stranger().get(CALLBACK, params=query)


async def _connect(api: Api, **body: object) -> httpx.Response:
    begun = await _begin(api, **body)
    return await _come_back(api, await _consent(begun["authorizeUrl"]))


async def _account(api: Api) -> dict[str, Any]:
    account: dict[str, Any] = (await api.client.get(URL)).json()
    return account


async def test_a_person_connects_and_comes_back_to_the_page(
    tiktok: RunningSandbox, api: Api
) -> None:
    """303 to the frontend's page, and the project has its account with a name."""
    answer = await _connect(api, redirectTo=PAGE)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{PAGE}&status=connected"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    account = await _account(api)
    assert (account["openId"], account["status"]) == ("sandbox_user", "active")
    assert account["displayName"] == "Sandbox User"
    assert account["scopes"] == ["user.info.basic", "video.publish", "video.upload"]
    assert account["accessTokenExpiresAt"] == "2026-04-09T14:00:00.000Z"
    assert (await api.client.get(f"{URL}/creator-info")).status_code == 200


async def test_without_a_page_the_answer_is_json(api: Api) -> None:
    """The account as GET shows it, and what was not granted; no token."""
    answer = await _connect(api)
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "connected",
        "account": await _account(api),
        "missingScopes": [],
        "accountChanged": False,
    }
    assert answer.headers["cache-control"] == "no-store"


async def test_the_consent_page_is_asked_for_the_right_things(
    tiktok: RunningSandbox, edge: Api
) -> None:
    """Client key, scopes with commas, the exact redirect URI, PKCE in hexadecimal."""
    begun = await _begin(edge)
    url = urlsplit(begun["authorizeUrl"])
    assert url._replace(query="").geturl() == f"{tiktok.url}/v2/auth/authorize/"
    query = {key: value for key, [value] in parse_qs(url.query).items()}
    challenge = query.pop("code_challenge")
    assert query == {
        "client_key": "sandbox_key",
        "response_type": "code",
        "scope": "user.info.basic,video.publish,video.upload",
        "redirect_uri": REDIRECT_URI,
        "state": begun["state"],
        "code_challenge_method": "S256",
    }
    assert len(bytes.fromhex(challenge)) == sha256().digest_size
    assert begun["expiresAt"] == "2026-04-09T12:10:00.000Z"
    assert len(begun["state"]) >= 43  # 256 bits


async def test_every_state_and_challenge_is_new(edge: Api) -> None:
    """Nothing of one connect can be guessed from another."""
    begun = [await _begin(edge) for _ in range(5)]
    challenges = {
        parse_qs(urlsplit(each["authorizeUrl"]).query)["code_challenge"][0]
        for each in begun
    }
    assert len({each["state"] for each in begun}) == len(challenges) == 5


async def test_pkce_and_scopes_are_settings(
    tiktok: RunningSandbox, sqlite_url: str
) -> None:
    """Apps whose challenge TikTok refuses do without; scopes are the operator's."""
    more = {"tiktok_pkce": False, "tiktok_scopes": ("video.upload",)}
    settings = _settings(tiktok, **more)
    async with serving_with(tiktok, sqlite_url, **settings) as api:
        query = parse_qs(urlsplit((await _begin(api))["authorizeUrl"]).query)
        assert "code_challenge" not in query
        assert query["scope"] == ["video.upload"]
        answer = await _connect(api)
        assert answer.json()["account"]["scopes"] == ["video.upload"]
        assert answer.json()["account"]["displayName"] is None


async def test_switching_accounts_can_be_forced(edge: Api) -> None:
    """disable_auto_auth makes TikTok ask even somebody who is logged in."""
    begun = await _begin(edge, disableAutoAuth=True)
    assert "disable_auto_auth=1" in begun["authorizeUrl"]
    assert "disable_auto_auth" not in (await _begin(edge))["authorizeUrl"]


async def test_the_body_may_be_left_out(edge: Api) -> None:
    """A connect without wishes needs no body."""
    assert (await edge.client.post(CONNECT)).status_code == 200


async def test_scopes_that_were_unticked_are_named(
    tiktok: RunningSandbox, edge: Api
) -> None:
    """The account is connected all the same, and the page can say what is missing."""
    people = tiktok.sandbox.accounts.people
    people["sandbox_user"] = Account("sandbox_user", scopes=("video.upload",))
    answer = await _connect(edge, redirectTo=PAGE)
    told = parse_qs(urlsplit(answer.headers["location"]).query)
    assert told["status"] == ["connected"]
    assert told["missingScopes"] == ["user.info.basic,video.publish"]
    assert (await _connect(edge)).json()["missingScopes"] == [
        "user.info.basic",
        "video.publish",
    ]
    account = await _account(edge)
    assert (account["status"], account["scopes"]) == ("active", ["video.upload"])


async def test_connecting_again_heals_a_lost_account(
    tiktok: RunningSandbox, edge: Api
) -> None:
    """A dead grant asks for a reconnect; the new consent makes the account active."""
    await _connect(edge)
    tiktok.sandbox.accounts.revoke("sandbox_user", now=tiktok.sandbox.now())
    assert (await edge.client.get(f"{URL}/creator-info")).status_code == 409
    assert (await _account(edge))["status"] == "reconnect_required"
    await _connect(edge)
    assert (await _account(edge))["status"] == "active"
    assert (await edge.client.get(f"{URL}/creator-info")).status_code == 200


async def test_the_name_is_no_condition(tiktok: RunningSandbox, edge: Api) -> None:
    """If TikTok does not tell who it is, the account is connected without a name."""
    await _script(tiktok, "user_info", kind="gateway", httpStatus=502, taken=False)
    assert (await _connect(edge)).status_code == 200
    assert (await _account(edge))["displayName"] is None


# When it does not work out


async def _script(tiktok: RunningSandbox, call: str, **fault: object) -> None:
    async with httpx.AsyncClient(
        base_url=tiktok.url, timeout=PATIENCE_SECONDS
    ) as client:
        body = {"call": call, "fault": fault}
        answer = await client.post("/_sandbox/faults", json=body)
        assert answer.status_code == 201, answer.text


async def _nothing_came_of_it(api: Api) -> None:
    assert (await api.client.get(URL)).status_code == 404


async def test_a_person_may_decline(edge: Api) -> None:
    """The page learns TikTok's word; without a page it is a problem with a code."""
    begun = await _begin(edge, redirectTo=PAGE)
    query = await _consent(begun["authorizeUrl"], deny="1")
    answer = await _come_back(edge, query)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{PAGE}&status=error&code=access_denied"

    query = await _consent((await _begin(edge))["authorizeUrl"], deny="1")
    answer = await _come_back(edge, query)
    assert answer.status_code == 400
    assert answer.json()["code"] == "authorization_failed"
    await _nothing_came_of_it(edge)


async def test_a_state_works_once(tiktok: RunningSandbox, api: Api) -> None:
    """Of ten callbacks with one state, at once, one connects; the code is used once."""
    query = await _consent((await _begin(api))["authorizeUrl"])
    answers = await asyncio.gather(*(_come_back(api, query) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 9
    refused = next(answer for answer in answers if answer.status_code == 400)
    assert refused.json()["code"] == "invalid_state"
    calls = tiktok.sandbox.calls.find(call="token", open_id=None, since=None)
    assert len(list(calls)) == 1


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"code": "x"},
        {"code": "x", "state": ""},
        {"code": "x", "state": "made-up"},
        {"code": "x", "state": "s" * 10_000},
        {"error": "access_denied"},
        {"state": "\0ü", "error": "x"},
    ],
)
async def test_a_made_up_way_back_leads_nowhere(
    edge: Api, query: dict[str, str]
) -> None:
    """Without a state that we issued there is no page to go to: 400 with a code."""
    answer = await _come_back(edge, query)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_state"


async def test_a_state_expires(edge: Api) -> None:
    """After ten minutes the person is led back, told, and has to begin again."""
    with_page = await _begin(edge, redirectTo=PAGE)
    without = await _begin(edge)
    edge.clock.forward(minutes=10)
    answer = await _come_back(edge, await _consent(with_page["authorizeUrl"]))
    assert answer.headers["location"] == f"{PAGE}&status=error&code=invalid_state"
    answer = await _come_back(edge, await _consent(without["authorizeUrl"]))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_state")
    await _nothing_came_of_it(edge)


async def test_a_state_is_bound_to_its_project(edge: Api) -> None:
    """Whatever the browser adds, the account lands where the connect began."""
    query = await _consent((await _begin(edge))["authorizeUrl"])
    answer = await _come_back(edge, {**query, "projectId": "proj_2"})
    assert answer.json()["account"]["projectId"] == "proj_1"
    other = URL.replace("proj_1", "proj_2")
    assert (await edge.client.get(other)).status_code == 404


async def test_a_code_of_another_connect_is_refused(edge: Api) -> None:
    """PKCE: a code that was slipped in does not fit this state's verifier."""
    mine, theirs = [await _begin(edge, redirectTo=PAGE) for _ in range(2)]
    stolen = await _consent(theirs["authorizeUrl"])
    answer = await _come_back(edge, {**stolen, "state": mine["state"]})
    assert "status=error" in answer.headers["location"]
    await _nothing_came_of_it(edge)


async def test_an_error_word_is_checked_before_it_is_passed_on(edge: Api) -> None:
    """The query is the browser's to forge: only a plain word reaches the page."""
    for error in ("<script>", "x" * 65, "a&status=connected", "A B"):
        begun = await _begin(edge, redirectTo=PAGE)
        answer = await _come_back(edge, {"state": begun["state"], "error": error})
        expected = f"{PAGE}&status=error&code=authorization_failed"
        assert answer.headers["location"] == expected


async def test_a_way_back_without_a_code_is_an_error(edge: Api) -> None:
    """A callback with neither code nor error leads back with an error."""
    begun = await _begin(edge, redirectTo=PAGE)
    answer = await _come_back(edge, {"state": begun["state"]})
    assert answer.headers["location"].endswith("status=error&code=code_missing")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "invalid_grant"}, 400, "authorization_failed"),
        ({"kind": "error", "code": "invalid_client"}, 400, "authorization_failed"),
        ({"kind": "gateway", "httpStatus": 502}, 502, "tiktok_unavailable"),
        ({"kind": "truncate"}, 502, "tiktok_unavailable"),
        ({"kind": "rate_limit"}, 502, "tiktok_unavailable"),
    ],
)
async def test_an_exchange_that_fails_leaves_nothing(
    tiktok: RunningSandbox, edge: Api, fault: dict[str, Any], status: int, code: str
) -> None:
    """The person is told to begin again; no half an account is stored."""
    await _script(tiktok, "token", **fault)
    answer = await _connect(edge)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    await _script(tiktok, "token", **fault)
    answer = await _connect(edge, redirectTo=PAGE)
    assert answer.status_code == 303
    assert "status=error&code=" in answer.headers["location"]
    await _nothing_came_of_it(edge)


async def test_nobody_connects_again_where_our_set_up_is_wrong(
    tiktok: RunningSandbox, edge: Api
) -> None:
    """Whether the exchange says so or the way back: an operator has to mend it."""
    await _script(tiktok, "token", kind="error", code="invalid_client")
    exchanged = (await _connect(edge)).json()["detail"]
    begun = await _begin(edge)
    query = {"state": begun["state"], "error": "unauthorized_client"}
    back = (await _come_back(edge, query)).json()["detail"]
    for said in (exchanged, back):
        assert "whoever runs the service" in said
        assert "connect again" not in said


# Where a browser may be sent


@pytest.mark.parametrize(
    "page",
    [
        "https://app.example.com",
        "https://app.example.com/",
        "https://APP.example.com:443/x?y=1#z",
        "http://localhost:3000/done",
    ],
)
async def test_our_own_pages_may_be_returned_to(edge: Api, page: str) -> None:
    """Any page of an origin in CORS_ORIGINS; query and fragment are kept."""
    answer = await _connect(edge, redirectTo=page)
    told, asked = urlsplit(answer.headers["location"]), urlsplit(page)
    assert (told.scheme, told.netloc, told.path, told.fragment) == (
        asked.scheme,
        asked.netloc,
        asked.path,
        asked.fragment,
    )
    query = parse_qsl(told.query)
    assert query == [*parse_qsl(asked.query), ("status", "connected")]


OPEN_REDIRECTS = [
    "https://evil.example.com/",
    "https://app.example.com.evil.com/",
    "https://app.example.com@evil.com/",
    "https://evil.com\\@app.example.com/",
    "https://evil.com/\\app.example.com",
    "https://app.example.com\\.evil.com/",
    "https:\\\\app.example.com/",
    "//app.example.com/",
    "//evil.com",
    "/settings",
    "settings",
    "",
    "http://app.example.com/",
    "https://app.example.com:8443/",
    "https://app.example.com:0x1bb/",
    "https://user@app.example.com/",
    "https://user:secret@app.example.com/",
    "https:///app.example.com/",
    "https:app.example.com/",
    "https://[app.example.com/",
    "javascript:alert(1)//https://app.example.com",
    "data:text/html,x",
    "https://app.example.com\n.evil.com/",
    "https://app.example.com\t/",
    "https://app.example.com /",
    " https://app.example.com/",
    "https://app.example.com/\r\nSet-Cookie: x=1",
    "https://app.example.com\u3002evil.com/",
    "https://\uff41pp.example.com/",
    "https://app.example.com/\u202e",
    "https://*/",
    f"https://app.example.com/{'x' * 2048}",
]


@pytest.mark.parametrize("page", OPEN_REDIRECTS)
async def test_nobody_is_sent_to_a_strangers_page(edge: Api, page: str) -> None:
    """422 with a pointer for every address that is not plainly one of ours."""
    answer = await edge.client.post(CONNECT, json={"redirectTo": page})
    assert answer.status_code == 422, answer.text
    pointers = [each["pointer"] for each in answer.json()["errors"]]
    assert pointers == ["/redirectTo"]


@pytest.mark.parametrize("origins", [(), ("*",)])
async def test_a_wildcard_lets_nobody_be_redirected(
    tiktok: RunningSandbox, sqlite_url: str, origins: tuple[str, ...]
) -> None:
    """What may read answers by CORS is not what a browser may be sent to."""
    settings = _settings(tiktok, cors_origins=origins)
    async with serving_with(tiktok, sqlite_url, **settings) as api:
        for page in ("https://app.example.com/", "https://*/", "https://*.example.com"):
            answer = await api.client.post(CONNECT, json={"redirectTo": page})
            assert answer.status_code == 422


@pytest.mark.parametrize(
    "missing", ["tiktok_client_key", "tiktok_client_secret", "tiktok_redirect_uri"]
)
async def test_connecting_needs_an_app_at_tiktok(sqlite_url: str, missing: str) -> None:
    """503 with a code that names what is wrong; the rest of the API works."""
    settings = {
        "tiktok_client_key": "key",
        "tiktok_client_secret": "secret",
        **SETTINGS,
        missing: None,
    }
    async with serving(sqlite_url, **settings) as api:
        for answer in (
            await api.client.post(CONNECT),
            await _come_back(api, {"state": "x", "code": "y"}),
        ):
            assert answer.status_code == 503
            assert answer.json()["code"] == "oauth_not_configured"
            assert missing.upper() in answer.json()["detail"]


async def test_nothing_secret_is_logged_or_told(
    tiktok: RunningSandbox, edge: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """Code, state, verifier, tokens and client secret stay out of log and answer."""
    begun = await _begin(edge)
    query = await _consent(begun["authorizeUrl"])
    answer = await _come_back(edge, query)
    grant = tiktok.sandbox.accounts.current["sandbox_user"]
    written = "".join(capsys.readouterr()) + answer.text
    for secret in (
        query["code"],
        begun["state"],
        grant.access_token,
        grant.refresh_token,
        "sandbox_secret",
    ):
        assert secret not in written


async def test_a_bound_connect_is_finished_by_the_browser_that_began_it(
    api: Api,
) -> None:
    """StartUrl marks the browser and leads to TikTok; the way back knows the mark."""
    begun = await _begin(api, bind=True, redirectTo=PAGE)
    start = urlsplit(begun["startUrl"])
    assert start._replace(query="").geturl() == REDIRECT_URI.replace(
        "callback", "start"
    )
    browser = api.stranger()
    marked = await browser.get(f"{start.path}?{start.query}")
    assert marked.status_code == 303
    assert marked.headers["location"] == begun["authorizeUrl"]
    cookie = marked.headers["set-cookie"]
    assert cookie.startswith("__Host-")
    for part in ("Secure", "HttpOnly", "SameSite=lax", "Path=/", "Max-Age=600"):
        assert part in cookie
    query = await _consent(begun["authorizeUrl"])
    name, _, value = cookie.partition(";")[0].partition("=")
    answer = await api.stranger().get(
        CALLBACK, params=query, headers={"Cookie": f"{name}={value}"}
    )
    assert answer.headers["location"] == f"{PAGE}&status=connected"


@pytest.mark.parametrize("mark", [None, "of another connect", "guessed"])
async def test_another_browser_cannot_finish_a_bound_connect(
    api: Api, mark: str | None
) -> None:
    """403, and nothing is connected: not even with the mark of another connect."""
    begun = await _begin(api, bind=True, redirectTo=PAGE)
    headers = {}
    if mark == "of another connect":
        other = urlsplit((await _begin(api, bind=True))["startUrl"])
        marked = await api.stranger().get(f"{other.path}?{other.query}")
        headers = {"Cookie": marked.headers["set-cookie"].partition(";")[0]}
    elif mark == "guessed":
        digest = sha256(begun["state"].encode()).hexdigest()[:16]
        headers = {"Cookie": f"__Host-connect-{digest}=1"}
    query = await _consent(begun["authorizeUrl"])
    answer = await api.stranger().get(CALLBACK, params=query, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_your_browser")
    assert (await api.client.get(URL)).status_code == 404


async def test_a_start_works_for_bound_connects_alone(edge: Api) -> None:
    """Unknown, unbound and expired ones lead nowhere."""
    unbound = (await _begin(edge))["state"]
    bound = (await _begin(edge, bind=True))["state"]
    edge.clock.forward(minutes=11)
    for state in ("", "unknown", unbound, bound, "x" * 5000):
        answer = await edge.stranger().get(
            "/oauth/tiktok/start", params={"state": state}
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_state")


async def test_a_person_sees_a_page_where_there_is_none_to_go_back_to(
    api: Api,
) -> None:
    """A browser gets HTML, for good and bad ends; names in it are escaped."""
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    query = await _consent((await _begin(api))["authorizeUrl"])
    answer = await api.stranger().get(CALLBACK, params=query, headers=browser)
    assert answer.headers["content-type"].startswith("text/html")
    assert "Sandbox User is connected." in answer.text
    assert answer.headers["cache-control"] == "no-store"
    again = await api.stranger().get(CALLBACK, params=query, headers=browser)
    assert again.status_code == 400
    assert "Not connected" in again.text
    assert "default-src 'none'" in again.headers["content-security-policy"]
