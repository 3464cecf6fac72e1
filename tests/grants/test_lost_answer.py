"""A refresh whose answer never came, against the simulator on real sockets."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.domain.accounts.account import Account, AccountStatus
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault, Verdict
from app.grants.grants import Access, Grants
from app.sandbox.server import RunningSandbox, running_sandbox
from app.store.accounts.account_store import AccountStore
from app.tiktok.client import TikTok
from tests.grants.conftest import StepClock
from tests.support.accounts import NAME, new_account, new_grant
from tests.support.patience import PATIENCE_SECONDS


@pytest.fixture
async def sandbox() -> AsyncIterator[RunningSandbox]:
    """Give a simulated TikTok."""
    async with running_sandbox() as running:
        yield running


@pytest.fixture
def grants(sandbox: RunningSandbox, accounts: AccountStore) -> Grants:
    """Give the grants of a worker that talks to the simulator."""
    tiktok = TikTok(
        base_url=sandbox.url,
        client_key="sandbox_key",
        client_secret="sandbox_secret",
        timeout=PATIENCE_SECONDS,
    )
    clock = StepClock(datetime.now(UTC))
    return Grants(accounts=accounts, tiktok=tiktok, clock=clock)


@pytest.fixture
async def account(accounts: AccountStore) -> Account:
    """Give the simulator's default account, its token about to end."""
    now = datetime.now(UTC)
    grant = new_grant("sandbox", now=now, lives=timedelta(seconds=-1))
    account, _ = await accounts.put(
        new_account(grant, open_id="sandbox_user"), now=now - timedelta(hours=1)
    )
    return account


async def _cut_off(sandbox: RunningSandbox, **settings: float) -> None:
    async with httpx.AsyncClient(
        base_url=sandbox.url, timeout=PATIENCE_SECONDS
    ) as client:
        await client.post("/_sandbox/settings", json=settings)
        fault = {"kind": "truncate", "taken": True}
        answer = await client.post(
            "/_sandbox/faults", json={"call": "token", "fault": fault}
        )
        assert answer.status_code == 201, answer.text


async def _lose_an_answer(grants: Grants) -> None:
    fault = await grants.current(*NAME)
    assert isinstance(fault, Fault)
    assert (fault.error_class, fault.verdict) == (ErrorClass.TRANSIENT, Verdict.UNKNOWN)


async def test_a_lost_answer_alone_disconnects_nobody(
    sandbox: RunningSandbox, grants: Grants, accounts: AccountStore, account: Account
) -> None:
    """TikTok traded the pair and the answer was cut off: the account stays for now."""
    await _cut_off(sandbox)
    await _lose_an_answer(grants)
    assert (
        sandbox.sandbox.accounts.current["sandbox_user"].refresh_token != "rft.sandbox"
    )
    assert await accounts.get(*NAME) == account


async def test_the_same_refresh_token_may_still_work(
    sandbox: RunningSandbox, grants: Grants, accounts: AccountStore, account: Account
) -> None:
    """If TikTok forgives, the second try leads to the pair that was missed."""
    await _cut_off(sandbox, refreshGrace=60)
    await _lose_an_answer(grants)
    access = await grants.current(*NAME)
    assert isinstance(access, Access)
    assert access.token == sandbox.sandbox.accounts.current["sandbox_user"].access_token


async def test_if_it_does_not_the_person_has_to_connect_again(
    sandbox: RunningSandbox, grants: Grants, accounts: AccountStore, account: Account
) -> None:
    """The second try says that the pair is dead: only then the account is given up."""
    await _cut_off(sandbox)
    await _lose_an_answer(grants)
    fault = await grants.current(*NAME)
    assert isinstance(fault, Fault)
    assert (fault.error_class, fault.code) == (ErrorClass.AUTH, "invalid_grant")
    stored = await accounts.get(*NAME)
    assert stored.status is AccountStatus.RECONNECT_REQUIRED
    assert stored.reconnect_reason == "invalid_grant"
