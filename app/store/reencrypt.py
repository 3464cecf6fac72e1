"""Key rotation: encrypt every token and webhook secret with the first key."""

from collections.abc import Callable
from typing import Final

from msgspec import Struct
from sqlalchemy import Column, Table, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import TokenUnreadable
from app.store.accounts.rows import AccountRows
from app.store.accounts.tables import accounts
from app.store.db.engine import Database
from app.store.db.types import Row
from app.store.db.vault import Vault
from app.store.webhooks.rows import EndpointRows
from app.store.webhooks.tables import webhook_endpoints

_PAGE: Final = 200  # rows whose locks one transaction holds

Reseal = Callable[[Row], dict[str, str]]
"""Re-encrypts a row's secrets if needed; raises TokenUnreadable."""


class Reencrypted(Struct, frozen=True):
    """The result of one pass over all secrets."""

    accounts: int = 0  # encrypted again
    unreadable: int = 0  # no key decrypts them: to be connected again
    webhooks: int = 0  # encrypted again
    unreadable_webhooks: int = 0  # their endpoints have to be set again


async def reencrypt(database: Database, vault: Vault) -> Reencrypted:
    """Encrypt all secrets with the first key; then the others can be removed."""
    tokens, lost_tokens = await _reseal_all(
        database, accounts, AccountRows(vault).resealed
    )
    secrets, lost_secrets = await _reseal_all(
        database, webhook_endpoints, EndpointRows(vault).resealed
    )
    return Reencrypted(tokens, lost_tokens, secrets, lost_secrets)


async def _reseal_all(
    database: Database, table: Table, resealed: Reseal
) -> tuple[int, int]:
    """Go through a table by its primary key; count re-encrypted and unreadable rows."""
    key = list(table.primary_key)
    done = lost = 0
    after: tuple[str, ...] | None = None
    while True:
        async with database.write() as connection:
            page = await _page(connection, table, key, after=after)
            for row in page:
                try:
                    values = resealed(row)
                except TokenUnreadable:
                    lost += 1
                else:
                    done += await _reseal(connection, table, row, values=values)
        if not page:
            return done, lost
        after = tuple(page[-1][column.name] for column in key)


async def _page(
    connection: AsyncConnection,
    table: Table,
    key: list[Column[str]],
    *,
    after: tuple[str, ...] | None,
) -> list[Row]:
    statement = select(table).order_by(*key).limit(_PAGE).with_for_update()
    if after is not None:
        statement = statement.where(tuple_(*key) > after)
    return list((await connection.execute(statement)).mappings().all())


async def _reseal(
    connection: AsyncConnection, table: Table, row: Row, *, values: dict[str, str]
) -> bool:
    if not values:
        return False
    # The page's row locks stop a newer secret from being overwritten.
    named = [column == row[column.name] for column in table.primary_key]
    await connection.execute(update(table).where(*named).values(values))
    return True
