"""Queries of the health check."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import TIMESTAMP, Text, func, select

from app.store.accounts.rows import UNREADABLE, AccountRows
from app.store.accounts.tables import accounts
from app.store.db.engine import Database
from app.store.db.vault import Vault

SAMPLE: Final = 5
"""How many accounts are decrypted to tell whether the encryption keys fit."""

_SERVER: Final = select(
    func.clock_timestamp(type_=TIMESTAMP(timezone=True)),
    func.current_setting("synchronous_standby_names", type_=Text()),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """The findings."""

    keys_fit: bool
    clock_ahead: timedelta  # our clock minus the database's
    is_replicated: bool  # a commit waits for a standby, too


class HealthStore:
    """Checks what stops work although the database answers."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._rows = AccountRows(vault)

    async def look(self, *, now: datetime) -> Vitals:
        """Decrypt a few tokens and compare clocks; raises StoreUnavailable."""
        async with self._database.read() as connection:
            found = await connection.execute(select(accounts).limit(SAMPLE))
            rows = found.mappings().all()
            theirs, standbys = now, ""
            if not self._database.is_sqlite:  # SQLite's clock is the machine's
                theirs, standbys = (await connection.execute(_SERVER)).one()
        read = (self._rows.read(row) for row in rows)
        return Vitals(
            keys_fit=all(account.reconnect_reason != UNREADABLE for account in read),
            clock_ahead=now - theirs,
            is_replicated=bool(standbys),
        )
