"""API keys: their hashes, never their secrets."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import (
    Column,
    Table,
    Text,
    UniqueConstraint,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from app.domain.api_key import Actor, ApiKey, KeyAccess
from app.domain.errors import NotFound, StoreUnavailable
from app.store.db.engine import Store
from app.store.db.metadata import metadata
from app.store.db.types import Row, UtcDateTime

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("project_id", Text),  # NULL: every project
    Column("secret_sha256", Text, nullable=False),  # 256 random bits need no salt
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Column("access", Text, nullable=False, server_default="write"),
    Column("expires_at", UtcDateTime),  # NULL: never
    Column("last_used_at", UtcDateTime),
    UniqueConstraint("secret_sha256"),
)

_keys = api_keys.c


class KeyStore(Store):
    """The keys that callers authenticate with."""

    async def add(
        self,
        *,
        name: str,
        project_id: str | None,
        secret_sha256: str,
        now: datetime,
        access: KeyAccess = KeyAccess.WRITE,
        expires_at: datetime | None = None,
    ) -> ApiKey:
        """Store a new key."""
        statement = (
            insert(api_keys)
            .values(
                id=str(uuid7()),
                name=name,
                project_id=project_id,
                secret_sha256=secret_sha256,
                created_at=now,
                access=access,
                expires_at=expires_at,
            )
            .returning(api_keys)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(statement)).mappings().one()
        return _key_from_row(row)

    async def list(self) -> tuple[ApiKey, ...]:
        """Return every key, oldest first, revoked ones too."""
        statement = select(api_keys).order_by(_keys.created_at, _keys.id)
        rows = await self._database.rows(statement)
        return tuple(_key_from_row(row) for row in rows)

    async def revoke(self, key_id: str, *, now: datetime) -> ApiKey:
        """Revoke a key; the first revocation's time stays. Raises NotFound."""
        async with self._database.write() as connection:
            await connection.execute(
                update(api_keys)
                .where(_keys.id == key_id, _keys.revoked_at.is_(None))
                .values(revoked_at=now)
            )
            statement = select(api_keys).where(_keys.id == key_id)
            row = (await connection.execute(statement)).mappings().one_or_none()
        if row is None:
            raise NotFound("no key has this id")
        return _key_from_row(row)

    async def good(self, key_ids: Collection[str], *, now: datetime) -> frozenset[str]:
        """Return those of the keys that are neither revoked nor expired."""
        if not key_ids:
            return frozenset()
        statement = select(_keys.id).where(
            _keys.id.in_(sorted(key_ids)),
            _keys.revoked_at.is_(None),
            or_(_keys.expires_at.is_(None), _keys.expires_at > now),
        )
        async with self._database.read() as connection:
            return frozenset((await connection.execute(statement)).scalars())

    def note_use(self, key_id: str, *, now: datetime) -> None:
        """Write in the background that a key was used."""
        _ = self._database.spawn(self._write_use(key_id, now))

    async def _write_use(self, key_id: str, now: datetime) -> None:
        statement = update(api_keys).where(_keys.id == key_id).values(last_used_at=now)
        try:
            async with self._database.write() as connection:
                await connection.execute(statement)
        except StoreUnavailable:
            return  # the next use will be written

    async def find(self, secret_sha256: str) -> ApiKey | None:
        """Return the key with this hash unless it is revoked."""
        statement = select(api_keys).where(
            _keys.secret_sha256 == secret_sha256, _keys.revoked_at.is_(None)
        )
        row = await self._database.row(statement)
        return None if row is None else _key_from_row(row)


async def actor(connection: AsyncConnection, key_id: str) -> Actor:
    """Return the key with this id, by the name that it has, if it has one."""
    statement = select(_keys.name).where(_keys.id == key_id)
    name = (await connection.execute(statement)).scalar_one_or_none()
    return Actor(key_id, name or "")


def _key_from_row(row: Row) -> ApiKey:
    told = {name: row[name] for name in row if name != "secret_sha256"}
    return ApiKey(**told | {"access": KeyAccess(row["access"])})
