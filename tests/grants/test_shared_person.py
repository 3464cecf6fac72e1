"""One person connected in two projects: what one does costs the other nothing."""

from datetime import timedelta

from app.domain.jobs.outcome import Fault
from app.grants.grants import Access, Grants
from app.store.accounts.account_store import AccountStore
from tests.grants.conftest import StepClock
from tests.grants.token_endpoint import TokenEndpoint
from tests.support.accounts import NOW, new_account, new_grant

OTHER = "proj_2", "tiktok"


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
