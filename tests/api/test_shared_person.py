"""One person in two projects, two people in one: whose grant it is, and whose quota."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from app.domain.accounts.account import Account
from app.sandbox.recording import Call
from app.sandbox.script import FaultRule
from app.sandbox.server import RunningSandbox, running_sandbox
from app.store.accounts.account_store import AccountStore
from app.store.db.vault import Vault
from tests.api.serving import ENCRYPTION_KEY, Api
from tests.api.test_accounts import BODY, serving_with

URLS: Final = [f"/v1/projects/proj_{n}/accounts/tiktok" for n in (1, 2)]
OTHER: Final = {
    **BODY,
    "openId": "sandbox_user_2",
    "accessToken": "act.sandbox_2",
    "refreshToken": "rft.sandbox_2",
}


@pytest.fixture
async def tiktok() -> AsyncIterator[RunningSandbox]:
    """Give a simulated TikTok with two people."""
    async with running_sandbox() as running:
        yield running


@pytest.fixture
async def api(tiktok: RunningSandbox, database_url: str) -> AsyncIterator[Api]:
    """Serve with the simulator for TikTok."""
    async with serving_with(tiktok, database_url) as api:
        yield api


async def stored(api: Api, project: str = "proj_1") -> Account:
    """Read an account with its tokens."""
    url = str(api.database.url)
    vault = Vault.from_settings(ENCRYPTION_KEY, database_url=url)
    return await AccountStore(api.database, vault).get(project, "tiktok")


async def works(api: Api, url: str) -> bool:
    """Tell whether TikTok answers to the account's token."""
    return (await api.client.get(f"{url}/creator-info")).status_code == 200


def away(tiktok: RunningSandbox, kind: str, **more: object) -> None:
    """Let TikTok's user/info answer nothing of use."""
    fault = {"kind": kind, **more}
    rule = {"call": "user_info", "times": None, "fault": fault}
    tiktok.sandbox.script.add(FaultRule.model_validate(rule))


async def test_removing_one_project_spares_the_others_grant(
    api: Api, tiktok: RunningSandbox
) -> None:
    """TikTok ends all of a person's grants at once: only the last removal asks."""
    for url in URLS:
        assert (await api.client.put(url, json=BODY)).status_code == 201
    assert (await api.client.delete(URLS[0])).status_code == 204
    assert not list(tiktok.sandbox.calls.find(call=Call.REVOKE))
    assert await works(api, URLS[1])
    assert (await api.client.get(URLS[0])).status_code == 404
    assert (await api.client.delete(URLS[1])).status_code == 204
    assert len(list(tiktok.sandbox.calls.find(call=Call.REVOKE))) == 1


async def test_the_same_pair_put_twice_is_one_account(api: Api) -> None:
    """A repeat changes nobody, and breaks no grant."""
    first = await api.client.put(URLS[0], json=BODY)
    again = await api.client.put(URLS[0], json=BODY)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["accountChanged"] is False
    assert await works(api, URLS[0])


async def test_an_open_id_is_believed_once_tiktok_says_so(
    api: Api, tiktok: RunningSandbox
) -> None:
    """The tokens' own person, asked for as they are put; their quota is shared."""
    await api.client.put(URLS[0], json=BODY)
    assert len(list(tiktok.sandbox.calls.find(call=Call.USER_INFO))) == 1
    account = await stored(api)
    assert account.verified_at is not None
    assert account.quota_owner == "sandbox_user"


async def test_somebody_elses_open_id_is_not_believed(api: Api) -> None:
    """It may use up nobody's quota but its own project's."""
    claimed = await api.client.put(URLS[0], json=BODY | {"openId": "sandbox_user_2"})
    assert claimed.status_code == 201
    account = await stored(api)
    assert account.verified_at is None
    assert account.quota_owner == "sandbox_user_2 proj_1"


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("reset", {}),
        ("error", {"code": "internal_error", "httpStatus": 500}),
        ("error", {"code": "scope_not_authorized", "httpStatus": 401}),
        ("garbage", {}),
    ],
)
async def test_tiktok_may_be_away_as_an_account_is_put(
    api: Api, tiktok: RunningSandbox, kind: str, more: dict[str, Any]
) -> None:
    """It is stored, works, and stays unverified; asked again with the next PUT."""
    away(tiktok, kind, **more)
    assert (await api.client.put(URLS[0], json=BODY)).status_code == 201
    assert (await stored(api)).verified_at is None
    assert await works(api, URLS[0])
    api.clock.forward(hours=1)
    tiktok.sandbox.script.clear()
    assert (await api.client.put(URLS[0], json=BODY)).status_code == 200
    account = await stored(api)
    assert account.verified_at is not None
    assert account.quota_owner == "sandbox_user"


async def test_two_people_who_connect_in_the_same_moment(api: Api) -> None:
    """One is connected in the end, with the tokens that are theirs."""
    await api.client.put(URLS[0], json=BODY)
    job = await api.job(scheduledFor="2026-05-09T12:00:00Z")
    for _ in range(5):
        answers = await asyncio.gather(
            *(api.client.put(URLS[0], json=body) for body in (BODY, OTHER) * 3)
        )
        assert {answer.status_code for answer in answers} == {200}
        account = await stored(api)
        body = {"sandbox_user": BODY, "sandbox_user_2": OTHER}[account.open_id]
        assert account.grant.access_token == body["accessToken"]
        assert account.grant.refresh_token == body["refreshToken"]
        shown = (await api.client.get(f"/v1/jobs/{job['id']}")).json()
        assert shown["openId"] == "sandbox_user"
        changed = shown["noticeCode"] == "account_changed"
        assert changed == (account.open_id != "sandbox_user")
    assert await works(api, URLS[0])
