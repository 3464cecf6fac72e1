"""Sign-ins that wait for TikTok's answer; each state works once."""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from msgspec.structs import asdict, replace
from sqlalchemy import ColumnElement, delete, insert, select

from app.domain.errors import TokenUnreadable
from app.domain.guarded import Guarded, Hidden
from app.store.accounts.tables import oauth_states
from app.store.db.engine import Database
from app.store.db.types import Row
from app.store.db.vault import Vault

_KEPT: Final = timedelta(hours=1)
"""How long an expired state is kept, to lead its person back to the frontend."""


class PendingConnect(Guarded, frozen=True, kw_only=True):
    """A sign-in that has begun."""

    project_id: str
    platform: str
    redirect_to: str | None
    code_verifier: Hidden[str | None]
    expires_at: datetime
    bound: bool = False  # only the browser that began it may finish it
    disable_auto_auth: bool = False


class OAuthStateStore:
    """Keeps each state as a hash, with its sign-in."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def add(self, state: str, pending: PendingConnect, *, now: datetime) -> None:
        """Store a state, and delete long expired ones."""
        digest, verifier = _digest(state), pending.code_verifier
        if verifier is not None:
            verifier = self._vault.encrypt(verifier, bound_to=_cell(digest))
        old = delete(oauth_states).where(oauth_states.c.expires_at < now - _KEPT)
        kept = asdict(replace(pending, code_verifier=verifier))
        new = insert(oauth_states).values(state_sha256=digest, **kept)
        async with self._database.write() as connection:
            await connection.execute(old)
            await connection.execute(new)

    async def find(self, state: str) -> PendingConnect | None:
        """Return a state's sign-in; None if unknown, used, or not decryptable."""
        statement = select(oauth_states).where(_is(state))
        row = await self._database.row(statement)
        return self._pending(row)

    async def take(self, state: str) -> PendingConnect | None:
        """Use up a state; None if unknown, used, or not decryptable."""
        statement = delete(oauth_states).where(_is(state)).returning(oauth_states)
        async with self._database.write() as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
        return self._pending(row)

    def _pending(self, row: Row | None) -> PendingConnect | None:
        try:
            return None if row is None else self._read(row)
        except TokenUnreadable:
            return None

    def _read(self, row: Row) -> PendingConnect:
        kept = dict(row)
        cell = _cell(kept.pop("state_sha256"))
        if (sealed := kept["code_verifier"]) is not None:
            kept["code_verifier"] = self._vault.decrypt(sealed, bound_to=cell)
        return PendingConnect(**kept)


def _is(state: str) -> ColumnElement[bool]:
    return oauth_states.c.state_sha256 == _digest(state)


def _digest(state: str) -> str:
    return sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


def _cell(digest: str) -> str:
    return f"{digest}|code_verifier"
