"""What the compose page shows about a creator, against the simulator."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.sandbox.server import RunningSandbox
from tests.api.serving import Api
from tests.api.test_accounts import BODY, URL, serving_with, tiktok
from tests.support.patience import PATIENCE_SECONDS

__all__ = ["tiktok"]

CREATOR = f"{URL}/creator-info"
OPTIONS = {
    "creatorUsername": "sandbox_user",
    "creatorNickname": "Sandbox User",
    "privacyLevelOptions": [
        "PUBLIC_TO_EVERYONE",
        "MUTUAL_FOLLOW_FRIENDS",
        "SELF_ONLY",
    ],
    "commentDisabled": False,
    "duetDisabled": False,
    "stitchDisabled": False,
    "maxVideoPostDurationSec": 600,
}


@pytest.fixture
async def api(tiktok: RunningSandbox, database_url: str) -> AsyncIterator[Api]:
    """Serve with an account that the simulator knows."""
    async with serving_with(tiktok, database_url) as api:
        await api.client.put(URL, json=BODY)
        yield api


async def _fault(tiktok: RunningSandbox, call: str, **fault: object) -> None:
    async with httpx.AsyncClient(
        base_url=tiktok.url, timeout=PATIENCE_SECONDS
    ) as client:
        body = {"call": call, "times": None, "fault": fault}
        answer = await client.post("/_sandbox/faults", json=body)
        assert answer.status_code == 201, answer.text


def _asked(tiktok: RunningSandbox, call: str = "creator_info") -> int:
    return len(list(tiktok.sandbox.calls.find(call=call, open_id=None, since=None)))


async def _problem(api: Api, status: int) -> dict[str, Any]:
    answer = await api.client.get(CREATOR)
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    return problem


async def test_the_options_are_tiktoks_own(tiktok: RunningSandbox, api: Api) -> None:
    """The compose page offers exactly what TikTok says, in TikTok's words."""
    answer = await api.client.get(CREATOR)
    assert answer.status_code == 200
    shown = answer.json()
    assert shown.pop("creatorAvatarUrl").startswith("http")
    assert shown == OPTIONS


async def test_an_answer_is_reused_for_a_minute(
    tiktok: RunningSandbox, api: Api
) -> None:
    """Rendering the page often costs one call a minute, and no more than that."""
    for seconds, calls in ((0, 1), (59, 1), (1, 2)):
        api.clock.forward(seconds=seconds)
        assert (await api.client.get(CREATOR)).status_code == 200
        assert _asked(tiktok) == calls


async def test_a_new_connect_is_asked_anew(tiktok: RunningSandbox, api: Api) -> None:
    """Another grant may be another creator: nothing of the former one is shown."""
    await api.client.get(CREATOR)
    await api.client.put(URL, json=BODY)
    await api.client.get(CREATOR)
    assert _asked(tiktok) == 2


async def test_a_dead_token_is_refreshed_once(tiktok: RunningSandbox, api: Api) -> None:
    """The person sees the options, not that a token ended early."""
    accounts = tiktok.sandbox.accounts
    accounts.kill_access_token("sandbox_user", now=tiktok.sandbox.now())
    assert (await api.client.get(CREATOR)).status_code == 200
    assert _asked(tiktok, "token") == 1


async def test_a_dead_grant_asks_for_a_reconnect(
    tiktok: RunningSandbox, api: Api
) -> None:
    """409, and the account says so from then on, without asking TikTok again."""
    tiktok.sandbox.accounts.revoke("sandbox_user", now=tiktok.sandbox.now())
    assert (await _problem(api, 409))["code"] == "reconnect_required"
    account = (await api.client.get(URL)).json()
    assert account["status"] == "reconnect_required"
    assert account["reconnectReason"] == "invalid_grant"
    calls = _asked(tiktok) + _asked(tiktok, "token")
    assert (await _problem(api, 409))["code"] == "reconnect_required"
    assert _asked(tiktok) + _asked(tiktok, "token") == calls


async def test_a_token_refused_twice_is_lost(tiktok: RunningSandbox, api: Api) -> None:
    """One refresh and one replay; if that is refused too the account is lost."""
    await _fault(tiktok, "creator_info", kind="error", code="access_token_invalid")
    assert (await _problem(api, 409))["code"] == "reconnect_required"
    assert (_asked(tiktok), _asked(tiktok, "token")) == (2, 1)
    account = (await api.client.get(URL)).json()
    assert account["reconnectReason"] == "access_token_invalid"


async def test_a_missing_scope_asks_for_a_new_consent(
    tiktok: RunningSandbox, api: Api
) -> None:
    """No refresh is tried, as it adds no scope."""
    await _fault(tiktok, "creator_info", kind="error", code="scope_not_authorized")
    assert (await _problem(api, 409))["code"] == "reconnect_required"
    assert _asked(tiktok, "token") == 0
    account = (await api.client.get(URL)).json()
    assert account["reconnectReason"] == "scope_not_authorized"


@pytest.mark.parametrize(
    "code",
    [
        "spam_risk_too_many_posts",
        "spam_risk_user_banned_from_posting",
        "reached_active_user_cap",
    ],
)
async def test_who_may_not_post_now_is_told(
    tiktok: RunningSandbox, api: Api, code: str
) -> None:
    """The account is fine, the posting page is not to open: 409 with TikTok's word."""
    await _fault(tiktok, "creator_info", kind="error", code=code)
    problem = await _problem(api, 409)
    assert problem["code"] == "posting_not_allowed"
    assert code in problem["detail"]
    assert (await api.client.get(URL)).json()["status"] == "active"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "gateway", "httpStatus": 502},
        {"kind": "error", "code": "internal_error"},
        {"kind": "error", "code": "brand_new", "httpStatus": 400},
        {"kind": "rate_limit"},
        {"kind": "reset"},
    ],
)
async def test_tiktoks_trouble_is_not_the_accounts(
    tiktok: RunningSandbox, api: Api, fault: dict[str, object]
) -> None:
    """502 with a stable code; the account stays, and no failure is remembered."""
    if fault["kind"] == "reset":
        fault = {**fault, "taken": False}
    await _fault(tiktok, "creator_info", **fault)
    assert (await _problem(api, 502))["code"] == "tiktok_unavailable"
    assert (await api.client.get(URL)).json()["status"] == "active"
    tiktok.sandbox.script.clear()
    assert (await api.client.get(CREATOR)).status_code == 200


async def test_the_shared_quota_is_kept(tiktok: RunningSandbox, api: Api) -> None:
    """No call that is not left in this minute: 429, and when to ask again."""
    for _ in range(20):
        await api.client.put(URL, json=BODY)  # a new version: nothing is reused
        assert (await api.client.get(CREATOR)).status_code == 200
    await api.client.put(URL, json=BODY)
    answer = await api.client.get(CREATOR)
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_exhausted")
    assert _asked(tiktok) == 20
    seconds = int(answer.headers["Retry-After"])
    assert 60 <= seconds <= 65
    api.clock.forward(seconds=seconds)
    tiktok.sandbox.quotas.windows.clear()  # TikTok has a clock of its own
    assert (await api.client.get(CREATOR)).status_code == 200


async def test_without_an_account_there_is_nobody_to_ask_about(
    tiktok: RunningSandbox, api: Api
) -> None:
    """404 that says so, and TikTok is not called."""
    await api.client.delete(URL)
    assert (await _problem(api, 404))["code"] == "account_not_connected"
    account = await api.client.get(URL)
    assert (account.status_code, account.json()["code"]) == (
        404,
        "account_not_connected",
    )
    assert _asked(tiktok) == 0
