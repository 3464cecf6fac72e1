"""Whether a database can be used: its revision, writes, encryption keys and clock."""

import os
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from msgspec import Struct
from sqlalchemy import (
    TIMESTAMP,
    Text,
    column,
    func,
    insert,
    literal,
    select,
    table,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.accounts.rows import UNREADABLE, AccountRows
from app.store.accounts.tables import accounts, oauth_states
from app.store.db.engine import Database
from app.store.db.migrate import VERSION_TABLE, newest_revision
from app.store.db.vault import Vault

SAMPLE: Final = 5
"""How many accounts are decrypted to tell whether the encryption keys fit."""

_SERVER: Final = select(
    func.clock_timestamp(type_=TIMESTAMP(timezone=True)),
    func.current_setting("synchronous_standby_names", type_=Text()),
)


class DatabaseLook(Struct, frozen=True, kw_only=True):
    """The result of a short look at a database."""

    revision: str  # empty before the first
    is_migrated: bool
    is_writable: bool


async def is_migrated(database: Database) -> bool:
    """Tell whether the database has the tables this program needs.

    A later revision has them too, since revisions only add: an old version works on
    while a new one is rolled out. Raises StoreUnavailable.
    """
    async with database.read() as connection:
        return await _revision(connection) >= newest_revision()


async def look_at(database: Database) -> DatabaseLook:
    """Check whether all tables exist and can be written to.

    Writes nothing, unless a write failed lately: then it tries one and rolls it back.
    Raises StoreUnavailable.
    """
    async with database.read() as connection:
        revision = await _revision(connection)
        writable = await _may_write(connection)
        if not writable:
            # A session keeps its settings even if the server has become a standby.
            await connection.invalidate()
    migrated = revision >= newest_revision()
    if migrated and writable and database.trouble.of_writes:
        await _try_to_write(database)
    return DatabaseLook(revision=revision, is_migrated=migrated, is_writable=writable)


class Vitals(Struct, frozen=True, kw_only=True):
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


async def _revision(connection: AsyncConnection) -> str:
    if not await _has_version_table(connection):
        return ""
    versions = table(VERSION_TABLE, column("version_num"))
    found = await connection.execute(select(versions.c.version_num))
    return max(found.scalars(), default="")


async def _has_version_table(connection: AsyncConnection) -> bool:
    if connection.dialect.name == "postgresql":
        by_name = select(func.to_regclass(VERSION_TABLE).is_not(None))
        return bool((await connection.execute(by_name)).scalar_one())
    names = table("sqlite_master", column("name"))
    there = select(literal(1)).where(names.c.name == VERSION_TABLE)
    return (await connection.execute(there)).first() is not None


async def _may_write(connection: AsyncConnection) -> bool:
    if connection.dialect.name == "postgresql":
        # On a standby it is on, too.
        setting = select(func.current_setting("transaction_read_only"))
        return str((await connection.execute(setting)).scalar_one()) == "off"
    found = await connection.execute(text("PRAGMA database_list"))
    return all(os.access(row.file, os.W_OK) for row in found if row.name == "main")


async def _try_to_write(database: Database) -> None:
    """Write a row and roll it back; raises StoreUnavailable if that fails."""
    row = {
        "state_sha256": f"probe-{uuid4()}",
        "project_id": "",
        "platform": "",
        "expires_at": func.current_timestamp(),
    }
    async with database.write() as connection:
        await connection.execute(insert(oauth_states).values(row))
        await connection.rollback()
