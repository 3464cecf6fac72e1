"""To find the pairs that are due costs what is due, not what is connected."""

from datetime import timedelta
from typing import Any

from sqlalchemy import event, insert, select, text

from app.domain.accounts.account import AccountStatus
from app.store.accounts.account_store import AccountStore
from app.store.accounts.tables import accounts as table
from app.store.db.engine import Database
from tests.store.cost import measured
from tests.support.accounts import VAULT, new_account, new_grant
from tests.support.factories import NOW

DUE = 5
FEW, MANY = 1_000, 4_000
SLACK = 20  # a level more of a tree here and there
DAY = timedelta(days=1)


async def connect(store: AccountStore, database: Database) -> None:
    """Connect some accounts whose tokens end, and one that was saved long ago."""
    for number in range(DUE):
        grant = new_grant(lives=-timedelta(minutes=number))
        await store.put(new_account(grant, project_id=f"due_{number}"), now=NOW)
    old = new_account(new_grant(lives=50 * DAY), project_id="old")
    await store.put(old, now=NOW - 31 * DAY)


async def add(database: Database, numbers: range) -> None:
    """Add fresh accounts, and others that were lost long ago."""
    fresh = {"access_token_expires_at": NOW + DAY, "updated_at": NOW}
    lost = {
        "access_token_expires_at": NOW - 99 * DAY,
        "updated_at": NOW - 99 * DAY,
        "status": AccountStatus.RECONNECT_REQUIRED,
        "reconnect_reason": "invalid_grant",
    }
    async with database.write() as connection:
        some = select(table).where(table.c.project_id == "old")
        row = dict((await connection.execute(some)).mappings().one())
        rows = [
            row | (lost if n % 2 else fresh) | {"project_id": f"{n}"} for n in numbers
        ]
        await connection.execute(insert(table), rows)
        await connection.execute(text("ANALYZE"))


async def cost_of(database: Database, store: AccountStore) -> float:
    """List what is due, all of it and more, and count what the database does."""
    sent = list[tuple[str, Any]]()

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        if call[2].startswith("SELECT"):
            sent.append((call[2], call[3]))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    saved_before = NOW - 30 * DAY
    found = await store.list_expiring(
        now=NOW, before=NOW, saved_before=saved_before, limit=50
    )
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    assert len(found) == DUE + 1
    return sum([await measured(database, *each) for each in sent])


async def test_due_refreshes_are_found_by_indexes(database: Database) -> None:
    """Four times the accounts: the same pages of memory, the same work."""
    store = AccountStore(database, VAULT)
    await connect(store, database)
    await add(database, range(FEW))
    before = await cost_of(database, store)
    await add(database, range(FEW, MANY))
    assert await cost_of(database, store) <= 1.2 * before + SLACK
