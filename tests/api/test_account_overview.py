"""GET /v1/accounts, and what is left of an account's limits."""

from datetime import timedelta

import pytest

from app.domain.accounts.quota import IDLE, ONE_PERMIT, QuotaCall
from app.domain.jobs.job import Delivery, WaitingFor
from app.store.accounts.quotas import WHOLE_APP, Owner, QuotaStore
from tests.api.serving import Api
from tests.support.accounts import new_account
from tests.support.factories import NOW, POSTED, store_job

QUOTA = "/v1/projects/proj_1/accounts/tiktok/quota"


@pytest.fixture
async def connected(api: Api) -> Api:
    """Give three projects with an account; the second has to reconnect."""
    accounts = api.services.accounts.store
    for number in (2, 3, 1):
        new = new_account(project_id=f"proj_{number}", open_id=f"open_{number}")
        account, _ = await accounts.put(new, now=NOW)
        if number == 2:
            await accounts.mark_reconnect_required(
                account.project_id,
                account.platform,
                reason="invalid_grant",
                grant_version=account.grant_version,
                now=NOW,
            )
    return api


async def listed(api: Api, **query: str | int) -> list[str]:
    """Return the project of each account on a page."""
    response = await api.client.get("/v1/accounts", params=query)
    assert response.status_code == 200, response.text
    assert "act." not in response.text
    return [each["projectId"] for each in response.json()["items"]]


async def test_accounts_are_listed_by_project_and_status(connected: Api) -> None:
    """Whoever runs the service sees at once who has to reconnect."""
    assert await listed(connected) == ["proj_1", "proj_2", "proj_3"]
    assert await listed(connected, status="reconnect_required") == ["proj_2"]
    assert await listed(connected, status="active") == ["proj_1", "proj_3"]


async def test_a_list_of_accounts_has_pages(connected: Api) -> None:
    """Each account stands on one of them."""
    first = (await connected.client.get("/v1/accounts", params={"limit": 2})).json()
    assert [each["projectId"] for each in first["items"]] == ["proj_1", "proj_2"]
    assert await listed(connected, cursor=first["nextCursor"]) == ["proj_3"]
    for made_up in ("", "AA", "proj_1", "%"):
        query = {"cursor": made_up}
        refused = await connected.client.get("/v1/accounts", params=query)
        assert refused.status_code == 422, made_up


async def test_a_projects_key_lists_its_account_alone(connected: Api) -> None:
    """The others do not exist for it, wherever a cursor leads."""
    page = (await connected.client.get("/v1/accounts", params={"limit": 1})).json()
    async with await connected.caller("proj_2") as caller:
        for query in ({}, {"cursor": page["nextCursor"]}):
            items = (await caller.get("/v1/accounts", params=query)).json()["items"]
            assert [each["projectId"] for each in items] == ["proj_2"]
        assert (await caller.get(QUOTA)).status_code == 404


async def test_what_was_posted_in_a_day_is_counted(connected: Api) -> None:
    """Posts and drafts apart; older ones, and other people's, are not counted."""
    for hours, delivery, person in (
        (1, Delivery.PUBLISHED, "open_1"),
        (23, Delivery.PUBLISHED, "open_1"),
        (25, Delivery.PUBLISHED, "open_1"),
        (2, Delivery.INBOX, "open_1"),
        (2, Delivery.INBOX, "open_2"),
    ):
        at = NOW - timedelta(hours=hours)
        times = {"posted_at": at, "updated_at": at}
        await store_job(
            connected.database, POSTED, delivery=delivery, open_id=person, **times
        )
    assert (await connected.client.get(QUOTA)).json() == {
        "postedLast24h": 2,
        "draftsLast24h": 1,
        "restsUntil": None,
        "reason": None,
        "initsLeftThisMinute": 6,
    }


async def test_inits_that_were_taken_are_left_out(connected: Api) -> None:
    """TikTok allows six a minute for each account; to ask takes none."""
    limits = dict.fromkeys(QuotaCall, 6)
    taken = IDLE.take({QuotaCall.INIT: ONE_PERMIT}, limits, NOW)
    assert taken is not None
    store = QuotaStore(connected.database)
    await store.take_idle(Owner("tiktok", "open_1"), taken, now=NOW)
    for _ in range(2):
        left = (await connected.client.get(QUOTA)).json()["initsLeftThisMinute"]
        assert left == 5


@pytest.mark.parametrize(
    ("person", "reason"),
    [("open_1", WaitingFor.ACCOUNT_CAP), (WHOLE_APP, WaitingFor.APP_CAP)],
)
async def test_a_rest_is_told_with_its_reason(
    connected: Api, person: str, reason: WaitingFor
) -> None:
    """Nothing begins until it is over, whoever reached the cap."""
    store = QuotaStore(connected.database)
    until = NOW + timedelta(minutes=30)
    await store.rest(Owner("tiktok", person), until=until, reason=reason)
    shown = (await connected.client.get(QUOTA)).json()
    assert shown["restsUntil"] == "2026-04-09T12:30:00.000Z"
    assert (shown["reason"], shown["initsLeftThisMinute"]) == (reason, 0)


async def test_a_project_without_an_account_has_no_quota(api: Api) -> None:
    """404, as for the account itself."""
    assert (await api.client.get(QUOTA)).status_code == 404
