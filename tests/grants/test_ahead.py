"""Refreshing ahead of need, so that a post due in weeks finds a living grant."""

import asyncio
from datetime import timedelta

import httpx

from app.grants.grants import Grants
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.db.vault import Vault
from tests.grants.conftest import StepClock
from tests.grants.token_endpoint import TokenEndpoint, refused
from tests.support.accounts import NOW, new_account, new_grant


async def _put(accounts: AccountStore, project_id: str, **lives: float) -> None:
    grant = new_grant(project_id, lives=timedelta(**lives))
    await accounts.put(new_account(grant, project_id=project_id), now=NOW)


async def test_what_ends_soon_or_is_old_is_refreshed(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint, clock: StepClock
) -> None:
    """Fresh pairs are left alone; long-lived ones are renewed once a month."""
    await _put(accounts, "over", minutes=-1)
    await _put(accounts, "soon", minutes=9)
    await _put(accounts, "fresh", minutes=60)
    await _put(accounts, "yearly", days=365)
    assert await grants.refresh_expiring(now=NOW, limit=10) == 2
    assert sorted(tiktok.used) == ["rft.over", "rft.soon"]
    tiktok.expires_in = 10**9
    clock.at = NOW + timedelta(days=29)
    assert await grants.refresh_expiring(now=clock.at, limit=10) == 3
    assert "rft.yearly" not in tiktok.used
    clock.at = NOW + timedelta(days=31)
    assert await grants.refresh_expiring(now=clock.at, limit=10) == 1
    assert tiktok.used[-1] == "rft.yearly"
    assert await grants.refresh_expiring(now=clock.at, limit=10) == 0


async def test_the_limit_takes_the_soonest(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """One pass does no more than it was asked for, the most urgent first."""
    for minutes in (3, 1, 2):
        await _put(accounts, f"in_{minutes}", minutes=minutes)
    assert await grants.refresh_expiring(now=NOW, limit=2) == 2
    assert sorted(tiktok.used) == ["rft.in_1", "rft.in_2"]


async def test_what_no_key_opens_is_in_nobodys_way(
    grants: Grants,
    accounts: AccountStore,
    databases: list[Database],
    tiktok: TokenEndpoint,
) -> None:
    """Accounts of a lost key end soonest, and are left out of the count."""
    former = AccountStore(databases[0], Vault([b"l" * 32]))
    for minutes in range(5):
        await _put(former, f"lost_{minutes}", minutes=minutes)
    await _put(accounts, "open", minutes=6)
    assert await grants.refresh_expiring(now=NOW, limit=2) == 1
    assert tiktok.used == ["rft.open"]


async def test_one_failure_stops_no_other(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """A lost grant and a blip count as not refreshed; the rest is done."""
    for number in range(4):
        await _put(accounts, f"proj_{number}", minutes=number)
    tiktok.replies.extend([refused("invalid_grant"), httpx.ReadTimeout("late")])
    assert await grants.refresh_expiring(now=NOW, limit=10) == 2
    assert len(tiktok.used) == 4
    # The lost one is not asked for again, the blip is.
    assert await grants.refresh_expiring(now=NOW, limit=10) == 1


async def test_workers_share_the_work(
    workers: list[Grants], accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """Every worker looks at once, and each pair is traded by one of them."""
    for number in range(12):
        await _put(accounts, f"proj_{number}", seconds=number)
    done = await asyncio.gather(
        *(worker.refresh_expiring(now=NOW, limit=20) for worker in workers)
    )
    assert sum(done) == 12
    assert sorted(tiktok.used) == sorted(f"rft.proj_{number}" for number in range(12))
