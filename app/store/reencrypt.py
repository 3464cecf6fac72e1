"""Key rotation: seal every token anew with the first key."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import TokenUnreadable
from app.store.account_rows import AccountRows
from app.store.engine import Database
from app.store.rows import Row
from app.store.tables import accounts
from app.store.vault import Vault

_PAGE: Final = 200  # rows whose locks one transaction holds
_accounts = accounts.c
_name = tuple_(_accounts.project_id, _accounts.platform)


@dataclass(frozen=True, slots=True)
class Reencrypted:
    """What one pass over all tokens came to."""

    accounts: int = 0  # sealed anew
    unreadable: int = 0  # no key opens them: these have to be connected again


async def reencrypt(database: Database, vault: Vault) -> Reencrypted:
    """Seal with the first key what another one sealed; the others can go then."""
    rows_of = AccountRows(vault)
    done = unreadable = 0
    after: tuple[str, str] | None = None
    while True:
        async with database.write() as connection:
            page = await _page(connection, after)
            for row in page:
                try:
                    done += await _reseal(connection, row, rows_of.resealed(row))
                except TokenUnreadable:
                    unreadable += 1
        if not page:
            return Reencrypted(done, unreadable)
        after = page[-1]["project_id"], page[-1]["platform"]


async def _page(
    connection: AsyncConnection, after: tuple[str, str] | None
) -> list[Row]:
    order = _accounts.project_id, _accounts.platform
    statement = select(accounts).order_by(*order).limit(_PAGE).with_for_update()
    if after is not None:
        statement = statement.where(_name > after)
    return list((await connection.execute(statement)).mappings().all())


async def _reseal(
    connection: AsyncConnection, row: Row, values: dict[str, str]
) -> bool:
    if not values:
        return False
    # The page's locks keep a refresh from writing a newer pair in between.
    named = _name == (row["project_id"], row["platform"])
    await connection.execute(update(accounts).where(named).values(values))
    return True
