"""One person connected in two projects: what one does costs the other nothing."""

import asyncio
from datetime import timedelta

from app.domain.accounts.account import AccountStatus
from app.domain.jobs.outcome import Fault
from app.grants.grants import Access, Grants
from app.store.accounts.account_store import AccountStore
from tests.grants.conftest import StepClock
from tests.grants.token_endpoint import TokenEndpoint
from tests.support.accounts import NOW, new_account, new_grant
from tests.support.patience import PATIENCE_SECONDS

OTHER = "proj_2", "tiktok"


async def _let_tiktok_answer(tiktok: TokenEndpoint, clock: StepClock) -> None:
    """Wait until the slower one has asked, too, or has begun to wait."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(tiktok.used) < 2 and clock.at == NOW:  # noqa: ASYNC110  either one
            await asyncio.sleep(0)
    tiktok.gate.set()


async def test_a_refresh_of_the_same_pair_reaches_both(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint, clock: StepClock
) -> None:
    """TikTok has ended the pair for both: the second would find it dead."""
    await accounts.put(new_account(), now=NOW)
    await accounts.put(new_account(project_id="proj_2"), now=NOW)
    clock.at = NOW + timedelta(hours=2)
    fresh = await grants.current("proj_1", "tiktok")
    assert isinstance(fresh, Access)
    other = await grants.current(*OTHER)
    assert isinstance(other, Access)
    assert other.token == fresh.token


async def test_both_need_the_same_pair_at_once(
    workers: list[Grants],
    accounts: AccountStore,
    tiktok: TokenEndpoint,
    clock: StepClock,
) -> None:
    """It is traded once, and neither project's post finds its account lost."""
    ended = new_grant(lives=timedelta(minutes=-1))
    await accounts.put(new_account(ended), now=NOW)
    await accounts.put(new_account(ended, project_id="proj_2"), now=NOW)
    tiktok.gate.clear()
    asked = [
        asyncio.create_task(workers[0].current("proj_1", "tiktok")),
        asyncio.create_task(workers[1].current(*OTHER)),
    ]
    await _let_tiktok_answer(tiktok, clock)
    one, other = await asyncio.gather(*asked)
    assert isinstance(one, Access), one
    assert isinstance(other, Access), other
    assert one.token == other.token
    assert len(tiktok.used) == 1


async def test_both_are_refreshed_ahead_by_one_trade(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint, clock: StepClock
) -> None:
    """Their pairs end in the same moment, so one pass finds both."""
    soon = new_grant(lives=timedelta(minutes=5))
    for number in range(1, 5):
        await accounts.put(new_account(soon, project_id=f"proj_{number}"), now=NOW)
    tiktok.gate.clear()
    passing = asyncio.create_task(grants.refresh_expiring(now=NOW, limit=10))
    await _let_tiktok_answer(tiktok, clock)
    await passing
    assert len(tiktok.used) == 1
    for number in range(1, 5):
        stored = await accounts.get(f"proj_{number}", "tiktok")
        assert stored.grant.access_token == "act.new1"
        assert stored.status is AccountStatus.ACTIVE


async def test_another_pair_of_the_same_person_stays(
    grants: Grants, accounts: AccountStore, clock: StepClock
) -> None:
    """Two consents are two grants."""
    await accounts.put(new_account(), now=NOW)
    await accounts.put(new_account(new_grant("own"), project_id="proj_2"), now=NOW)
    clock.at = NOW + timedelta(hours=1, minutes=59, seconds=30)
    assert not isinstance(await grants.current("proj_1", "tiktok"), Fault)
    stored = await accounts.get(*OTHER)
    assert stored.grant.refresh_token == "rft.own"


async def test_a_claimed_open_id_shares_no_quota(
    grants: Grants, accounts: AccountStore
) -> None:
    """Two projects that claim it count apart, until TikTok says whose it is."""
    await accounts.put(new_account(), now=NOW)
    await accounts.put(new_account(project_id="proj_2"), now=NOW)
    owners = {
        access.quota_owner
        for project in ("proj_1", "proj_2")
        if isinstance(access := await grants.current(project, "tiktok"), Access)
    }
    assert owners == {"open_1 proj_1", "open_1 proj_2"}


async def test_tiktoks_own_word_confirms_an_open_id(
    grants: Grants, accounts: AccountStore, clock: StepClock
) -> None:
    """A refresh names the person: from then on all of theirs count together."""
    await accounts.put(new_account(), now=NOW)
    clock.at = NOW + timedelta(hours=2)
    fresh = await grants.current("proj_1", "tiktok")
    assert isinstance(fresh, Access)
    stored = await accounts.get("proj_1", "tiktok")
    assert (stored.verified_at, fresh.quota_owner) == (clock.at, "open_1")
