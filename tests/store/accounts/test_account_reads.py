"""Accounts that are asked for at once."""

import asyncio

import pytest
from sqlalchemy import Connection, event

from app.domain.accounts.account import Account
from app.domain.errors import AccountNotConnected
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from tests.support.accounts import NOW, VAULT, new_account

MANY = 20


@pytest.fixture
async def accounts(database: Database) -> AccountStore:
    """Give a store with the accounts of many projects."""
    store = AccountStore(database, VAULT)
    for number in range(MANY):
        new = new_account(project_id=f"proj_{number}")
        await store.put(new, now=NOW)
    return store


async def test_who_ask_at_once_share_a_statement(
    database: Database, accounts: AccountStore
) -> None:
    """Many posts that fall due together read their accounts in few statements."""
    read: list[str] = []

    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        read.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    names = [f"proj_{number}" for number in (*range(MANY), 0)]
    found = await asyncio.gather(*(accounts.get(name, "tiktok") for name in names))
    assert [account.project_id for account in found] == names
    selects = [each for each in read if each.startswith("SELECT")]
    assert len(selects) <= 2


async def test_one_that_is_missing_is_missing_for_who_asked(
    accounts: AccountStore,
) -> None:
    """The others get theirs."""
    asked = [("proj_0", "tiktok"), ("nobody", "tiktok"), ("proj_1", "other")]
    found = await asyncio.gather(
        *(accounts.get(*name) for name in asked), return_exceptions=True
    )
    assert isinstance(found[0], Account)
    assert {type(each) for each in found[1:]} == {AccountNotConnected}
