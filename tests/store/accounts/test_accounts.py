"""The account store's contract, on both databases."""

import asyncio
import base64
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs
from sqlalchemy import String, cast, select, update

from app.domain.accounts.account import SCOPE_REASONS, AccountStatus
from app.domain.errors import NotFound
from app.store.accounts.account_store import AccountStore
from app.store.accounts.tables import accounts as table
from app.store.db.engine import Database
from app.store.db.vault import Vault
from app.store.reencrypt import Reencrypted, reencrypt
from tests.support.accounts import NAME, NOW, VAULT, new_account, new_grant

LATER = NOW + timedelta(minutes=1)
UNTIL = NOW + timedelta(seconds=30)
LOST = AccountStatus.RECONNECT_REQUIRED


@pytest.fixture
def accounts(database: Database) -> AccountStore:
    """Give the store under test."""
    return AccountStore(database, VAULT)


@pytest.fixture
def stores(processes: list[Database]) -> list[AccountStore]:
    """Give the stores of several processes on one database."""
    return [AccountStore(database, VAULT) for database in processes]


async def _lease(
    store: AccountStore, version: int, token: str, *, at: timedelta = timedelta()
) -> bool:
    now = NOW + at
    return await store.acquire_refresh_lease(
        *NAME,
        grant_version=version,
        token=token,
        now=now,
        until=now + timedelta(seconds=30),
    )


async def _lose(
    store: AccountStore, version: int, reason: str = "invalid_grant"
) -> bool:
    return await store.mark_reconnect_required(
        *NAME, reason=reason, grant_version=version, now=LATER
    )


async def test_an_account_comes_back_as_it_was_put(accounts: AccountStore) -> None:
    """Every field survives, the tokens too, and the times to the microsecond."""
    new = new_account(display_name="Ann", username="ann")
    put, former = await accounts.put(new, now=NOW)
    assert former is None
    assert put == await accounts.get(*NAME)
    assert put.grant == new.grant
    assert (put.open_id, put.display_name, put.username) == ("open_1", "Ann", "ann")
    assert (put.status, put.reconnect_reason) == (AccountStatus.ACTIVE, None)
    assert (put.connected_at, put.updated_at) == (NOW, NOW)


async def test_what_is_not_there_is_not_found(accounts: AccountStore) -> None:
    """Looking at and removing an unknown account raise NotFound."""
    await accounts.put(new_account(), now=NOW)
    for name in (("proj_2", "tiktok"), ("proj_1", "other")):
        with pytest.raises(NotFound):
            await accounts.get(*name)
        with pytest.raises(NotFound):
            await accounts.delete(*name, now=NOW)


async def test_connecting_again_heals_everything(accounts: AccountStore) -> None:
    """A new consent is a newer version, active, with no lease and no reason left."""
    first, _ = await accounts.put(new_account(display_name="Ann"), now=NOW)
    assert await _lease(accounts, first.grant_version, "worker")
    assert await _lose(accounts, first.grant_version)
    again, former = await accounts.put(new_account(new_grant("two")), now=LATER)
    assert former is not None
    assert former.open_id == again.open_id
    assert again.grant == new_grant("two")
    assert again.grant_version > first.grant_version
    assert (again.status, again.reconnect_reason) == (AccountStatus.ACTIVE, None)
    assert again.connected_at == LATER
    assert again.display_name == "Ann"
    assert await _lease(accounts, again.grant_version, "another")


async def test_another_person_inherits_no_name(accounts: AccountStore) -> None:
    """A project that connects another TikTok account does not keep the old name."""
    await accounts.put(new_account(display_name="Ann", username="ann"), now=NOW)
    other, _ = await accounts.put(new_account(open_id="open_2"), now=LATER)
    assert (other.open_id, other.display_name, other.username) == ("open_2", None, None)


async def test_puts_at_once_create_one_account(stores: list[AccountStore]) -> None:
    """Exactly one of many says it created the row; none fails."""
    grants = [new_grant(str(number)) for number in range(20)]
    results = await asyncio.gather(
        *(
            stores[n % len(stores)].put(new_account(grant), now=NOW)
            for n, grant in enumerate(grants)
        )
    )
    assert [former for _, former in results].count(None) == 1
    assert len({account.grant_version for account, _ in results}) == len(grants)
    assert (await stores[0].get(*NAME)).grant in grants


async def test_of_people_who_connect_at_once_each_follows_another(
    processes: list[Database],
) -> None:
    """Nobody's jobs are forgotten: each is told whom it replaced."""
    stores = [AccountStore(each, VAULT) for each in processes]
    await stores[0].put(new_account(), now=NOW)
    for turn in range(5):
        people = [f"open_{turn}_{number}" for number in range(len(stores))]
        before = (await stores[0].get(*NAME)).open_id
        replaced = await asyncio.gather(
            *(
                store.put(new_account(open_id=person), now=NOW)
                for store, person in zip(stores, people, strict=True)
            )
        )
        former = [account.open_id for _, account in replaced if account is not None]
        last = (await stores[0].get(*NAME)).open_id
        assert sorted([*former, last]) == sorted([before, *people])


@pytest.mark.parametrize("missing", ["access_token", "refresh_token"])
async def test_an_empty_token_overwrites_nothing(
    accounts: AccountStore, missing: str
) -> None:
    """A pair that is not whole is refused before it reaches the database."""
    account, _ = await accounts.put(new_account(), now=NOW)
    half = structs.replace(new_grant("two"), **{missing: ""})
    with pytest.raises(ValueError, match="empty token"):
        await accounts.put(new_account(half), now=LATER)
    with pytest.raises(ValueError, match="empty token"):
        await accounts.save_refreshed(account, half, now=LATER)
    assert await accounts.get(*NAME) == account


async def test_delete_returns_what_was_removed(accounts: AccountStore) -> None:
    """Whoever removes an account can still revoke its grant; it is gone then."""
    account, _ = await accounts.put(new_account(), now=NOW)
    assert await accounts.delete(*NAME, now=NOW) == account
    with pytest.raises(NotFound):
        await accounts.get(*NAME)


async def test_a_connection_made_anew_is_nobodys_old_one(
    accounts: AccountStore,
) -> None:
    """After removal and a new consent, a worker with the old grant can do no harm."""
    old, _ = await accounts.put(new_account(), now=NOW)
    await accounts.delete(*NAME, now=NOW)
    new, former = await accounts.put(new_account(new_grant("two")), now=LATER)
    assert former is None
    assert not await _lose(accounts, old.grant_version)
    assert not await _lease(accounts, old.grant_version, "worker")
    assert await accounts.save_refreshed(old, new_grant("x"), now=LATER) is None
    assert await accounts.get(*NAME) == new


async def test_a_tiktok_user_is_found_in_every_project(accounts: AccountStore) -> None:
    """An event about a person concerns all projects that person connected."""
    for project in ("proj_1", "proj_2"):
        await accounts.put(new_account(project_id=project), now=NOW)
    await accounts.put(new_account(project_id="proj_3", open_id="other"), now=NOW)
    found = await accounts.list_by_open_id("tiktok", "open_1")
    assert {account.project_id for account in found} == {"proj_1", "proj_2"}


# Losing an account


async def test_a_lost_account_says_why(accounts: AccountStore) -> None:
    """The mark keeps the reason and leaves the tokens alone."""
    account, _ = await accounts.put(new_account(), now=NOW)
    assert await _lose(accounts, account.grant_version)
    marked = await accounts.get(*NAME)
    assert (marked.status, marked.reconnect_reason) == (LOST, "invalid_grant")
    assert not marked.usable
    assert marked.grant == account.grant
    assert not await _lose(accounts, account.grant_version), "the first mark counts"


async def test_a_newer_pair_is_not_marked(accounts: AccountStore) -> None:
    """A verdict on an old version has no effect on what was saved meanwhile."""
    account, _ = await accounts.put(new_account(), now=NOW)
    newer = await accounts.save_refreshed(account, new_grant("two"), now=NOW)
    assert not await _lose(accounts, account.grant_version)
    assert await accounts.get(*NAME) == newer


@pytest.mark.parametrize("reason", sorted(SCOPE_REASONS))
async def test_a_missing_scope_gives_way_to_a_lost_grant(
    accounts: AccountStore, reason: str
) -> None:
    """An account that lacks a scope stays usable, until the whole grant is gone."""
    account, _ = await accounts.put(new_account(), now=NOW)
    assert await _lose(accounts, account.grant_version, reason)
    assert (await accounts.get(*NAME)).usable
    assert await _lose(accounts, account.grant_version)
    assert not (await accounts.get(*NAME)).usable
    assert not await _lose(accounts, account.grant_version, reason)
    assert (await accounts.get(*NAME)).reconnect_reason == "invalid_grant"


# Refreshing


async def test_a_dead_grant_is_leased_to_nobody(accounts: AccountStore) -> None:
    """Who waited for the refresh that found it dead does not try it again."""
    account, _ = await accounts.put(new_account(), now=NOW)
    assert await _lose(accounts, account.grant_version)
    assert not await _lease(
        accounts, account.grant_version, "late", at=timedelta(hours=2)
    )


async def test_one_of_many_gets_the_lease(stores: list[AccountStore]) -> None:
    """However many workers want to refresh one version, one may."""
    account, _ = await stores[0].put(new_account(), now=NOW)
    got = await asyncio.gather(
        *(
            _lease(stores[n % len(stores)], account.grant_version, f"worker {n}")
            for n in range(20)
        )
    )
    assert got.count(True) == 1


async def test_a_lease_runs_out(accounts: AccountStore) -> None:
    """A worker that died with the lease blocks the others for its time, no longer."""
    account, _ = await accounts.put(new_account(), now=NOW)
    version = account.grant_version
    assert await _lease(accounts, version, "dead")
    assert not await _lease(accounts, version, "next", at=timedelta(seconds=29))
    assert await _lease(accounts, version, "next", at=timedelta(seconds=30))


async def test_a_lease_is_for_one_version(accounts: AccountStore) -> None:
    """Who read an old pair cannot begin to refresh it."""
    account, _ = await accounts.put(new_account(), now=NOW)
    assert not await _lease(accounts, account.grant_version + 1, "worker")
    assert not await _lease(accounts, account.grant_version - 1, "worker")


async def test_only_the_holder_gives_a_lease_back(accounts: AccountStore) -> None:
    """A late release by a former holder does not free the present one's lease."""
    account, _ = await accounts.put(new_account(), now=NOW)
    version = account.grant_version
    assert await _lease(accounts, version, "holder")
    await accounts.release_refresh_lease(*NAME, token="former")
    assert not await _lease(accounts, version, "next")
    await accounts.release_refresh_lease(*NAME, token="holder")
    assert await _lease(accounts, version, "next")


async def test_a_refreshed_pair_replaces_the_one_it_was_traded_for(
    accounts: AccountStore,
) -> None:
    """The version rises, the lease ends, the connection's date stays."""
    account, _ = await accounts.put(new_account(), now=NOW)
    assert await _lease(accounts, account.grant_version, "worker")
    saved = await accounts.save_refreshed(account, new_grant("two"), now=LATER)
    assert saved == await accounts.get(*NAME)
    assert saved is not None
    assert saved.grant == new_grant("two")
    assert saved.grant_version == account.grant_version + 1
    assert (saved.connected_at, saved.updated_at) == (NOW, LATER)
    assert await _lease(accounts, saved.grant_version, "next")


async def test_of_two_pairs_for_one_version_the_first_is_kept(
    stores: list[AccountStore],
) -> None:
    """Refreshes cannot cross: the second write of one version finds no row."""
    account, _ = await stores[0].put(new_account(), now=NOW)
    saved = await asyncio.gather(
        *(
            store.save_refreshed(account, new_grant(f"by {n}"), now=LATER)
            for n, store in enumerate(stores)
        )
    )
    kept = [each for each in saved if each is not None]
    assert kept == [await stores[0].get(*NAME)]


async def test_a_late_pair_is_saved_although_the_account_was_given_up(
    accounts: AccountStore,
) -> None:
    """Another worker was refused with the dead pair: the late one is the living one."""
    account, _ = await accounts.put(new_account(), now=NOW)
    assert await _lease(accounts, account.grant_version, "slow")
    late = timedelta(seconds=31)
    assert await _lease(accounts, account.grant_version, "quick", at=late)
    assert await _lose(accounts, account.grant_version)
    saved = await accounts.save_refreshed(account, new_grant("two"), now=LATER)
    assert saved is not None
    assert (saved.status, saved.reconnect_reason) == (AccountStatus.ACTIVE, None)


async def test_a_refresh_brings_no_scope_back(accounts: AccountStore) -> None:
    """An account that lacks a scope still lacks it with a new pair."""
    account, _ = await accounts.put(new_account(), now=NOW)
    await _lose(accounts, account.grant_version, "scope_not_authorized")
    saved = await accounts.save_refreshed(account, new_grant("two"), now=LATER)
    assert saved is not None
    assert (saved.status, saved.reconnect_reason) == (LOST, "scope_not_authorized")


async def test_expiring_accounts_are_listed_soonest_first(
    accounts: AccountStore,
) -> None:
    """Listed: what ends by then or is old; not: lost, leased or fresh ones."""

    async def put(project_id: str, minutes: int, *, days_ago: int = 0) -> int:
        grant = new_grant(lives=timedelta(minutes=minutes))
        new = new_account(grant, project_id=project_id)
        account, _ = await accounts.put(new, now=NOW - timedelta(days=days_ago))
        return account.grant_version

    await put("fresh", 60)
    await put("soon", 9)
    await put("over", -5)
    await put("old", 600_000, days_ago=31)
    for project, reason in (
        ("lost", "invalid_grant"),
        ("scope", "scope_not_authorized"),
    ):
        await accounts.mark_reconnect_required(
            project,
            "tiktok",
            reason=reason,
            grant_version=await put(project, 1),
            now=NOW,
        )
    await accounts.acquire_refresh_lease(
        "leased",
        "tiktok",
        grant_version=await put("leased", 1),
        token="worker",
        now=NOW,
        until=UNTIL,
    )

    async def listed(limit: int = 10, *, seconds: int = 0) -> list[str]:
        found = await accounts.list_expiring(
            now=NOW + timedelta(seconds=seconds),
            before=NOW + timedelta(minutes=10),
            saved_before=NOW - timedelta(days=30),
            limit=limit,
        )
        return [account.project_id for account in found]

    assert await listed() == ["over", "scope", "soon", "old"]
    assert await listed(limit=2) == ["over", "scope"]
    assert set(await listed(seconds=30)) == {"over", "scope", "soon", "old", "leased"}


# Tokens at rest


async def test_no_token_lies_in_the_database_in_clear(sqlite_url: str) -> None:
    """Neither the file nor its journals hold a token, as it is or in base64."""
    database = Database(sqlite_url)
    store = AccountStore(database, VAULT)
    account, _ = await store.put(new_account(new_grant("mysecret")), now=NOW)
    await store.save_refreshed(account, new_grant("othersecret"), now=NOW)
    path = Path(database.url.database or "")
    content = b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))
    await database.close()
    assert b"open_1" in content
    for word in (b"mysecret", b"othersecret"):
        assert word not in content
        assert base64.b64encode(b"act." + word)[:12] not in content


async def test_no_column_holds_a_token_in_clear(
    database: Database, accounts: AccountStore
) -> None:
    """The whole row, read as text, shows no token on either database."""
    await accounts.put(new_account(new_grant("mysecret")), now=NOW)
    async with database.read() as connection:
        columns = (cast(column, String) for column in table.columns)
        row = (await connection.execute(select(*columns))).one()
    assert "open_1" in row
    assert not any("mysecret" in (value or "") for value in row)


@pytest.mark.parametrize("swap", ["rows", "columns", "garbage"])
async def test_a_token_in_the_wrong_place_means_reconnect(
    database: Database, accounts: AccountStore, swap: str
) -> None:
    """Swapped or broken ciphertexts open nothing: the account has to be connected."""
    mine, _ = await accounts.put(new_account(), now=NOW)
    theirs = new_account(new_grant("theirs"), project_id="proj_2", open_id="open_2")
    await accounts.put(theirs, now=NOW)
    async with database.write() as connection:
        rows = (await connection.execute(select(table))).mappings().all()
        of = {row["project_id"]: row for row in rows}
        values = {
            "rows": {"access_token": of["proj_2"]["access_token"]},
            "columns": {"access_token": of["proj_1"]["refresh_token"]},
            "garbage": {"refresh_token": "act.plain"},
        }[swap]
        where = table.c.project_id == "proj_1"
        await connection.execute(update(table).where(where).values(values))
    account = await accounts.get(*NAME)
    assert (account.status, account.reconnect_reason) == (LOST, "token_unreadable")
    assert not account.usable
    assert account.grant.access_token == account.grant.refresh_token == ""
    assert account.grant_version == mine.grant_version
    assert (await accounts.get("proj_2", "tiktok")).grant == new_grant("theirs")
    assert await accounts.delete(*NAME, now=NOW) == account


async def test_an_unreadable_account_is_not_refreshed(database: Database) -> None:
    """Without its key there is nothing to send to TikTok."""
    grant = new_grant(lives=timedelta(minutes=1))
    await AccountStore(database, Vault([b"o" * 32])).put(new_account(grant), now=NOW)
    listed = await AccountStore(database, VAULT).list_expiring(
        now=NOW, before=LATER, saved_before=NOW - timedelta(days=30), limit=10
    )
    assert listed == ()


async def test_keys_can_be_rotated(database: Database) -> None:
    """After one pass the old key can go; what no key opens is counted and left."""
    old, new, foreign = (Vault([letter * 32]) for letter in (b"o", b"n", b"f"))
    for number in range(250):  # more than one page
        account = new_account(new_grant(str(number)), project_id=f"proj_{number:03}")
        await AccountStore(database, old).put(account, now=NOW)
    sealed_elsewhere = new_account(project_id="zzz")
    await AccountStore(database, foreign).put(sealed_elsewhere, now=NOW)

    both = Vault([b"n" * 32, b"o" * 32])
    assert await reencrypt(database, both) == Reencrypted(accounts=250, unreadable=1)
    assert await reencrypt(database, both) == Reencrypted(accounts=0, unreadable=1)

    store = AccountStore(database, new)
    for number in (0, 199, 200, 249):
        grant = (await store.get(f"proj_{number:03}", "tiktok")).grant
        assert grant == new_grant(str(number))
    theirs = await AccountStore(database, foreign).get("zzz", "tiktok")
    assert theirs.grant == new_grant()
