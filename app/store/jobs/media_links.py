"""The pull URLs of the media gateway: one per init, fetched or revoked, never both."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update

from app.store.db.engine import Database
from app.store.jobs.tables import media_links, schedule_jobs

_links = media_links.c


@dataclass(frozen=True, slots=True)
class MediaLink:
    """A valid pull URL."""

    asset_url: str
    project_id: str


class MediaStore:
    """Records which links were fetched, and revokes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, token: str) -> MediaLink | None:
        """Return a valid link, without recording a fetch."""
        statement = (
            select(_links.asset_url, schedule_jobs.c.project_id)
            .join_from(media_links, schedule_jobs)
            .where(_links.token == token, _links.revoked_at.is_(None))
        )
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else MediaLink(*row)

    async def fetch(self, token: str, *, now: datetime) -> bool:
        """Record a fetch before it is answered; False if the link is revoked.

        Committed before the first byte is sent: without a record nothing was fetched.
        """
        statement = (
            update(media_links)
            .where(_links.token == token, _links.revoked_at.is_(None))
            .values(fetched_at=func.coalesce(_links.fetched_at, now))
            .returning(_links.token)
        )
        async with self._database.single() as connection:
            return (await connection.execute(statement)).scalar() is not None

    async def revoke(self, *tokens: str, now: datetime) -> bool:
        """Revoke an init's links if none was fetched; False if one was.

        The two statements meet on one row: either the fetch sees the revocation or
        the revocation sees the fetch.
        """
        statement = (
            update(media_links)
            .where(_links.token.in_(tokens), _links.fetched_at.is_(None))
            .values(revoked_at=func.coalesce(_links.revoked_at, now))
            .returning(_links.token)
        )
        if len(tokens) == 1:
            async with self._database.single() as connection:
                return (await connection.execute(statement)).scalar() is not None
        try:
            async with self._database.write() as connection:
                revoked = (await connection.execute(statement)).scalars().all()
                if len(revoked) < len(tokens):
                    raise _Fetched  # all or none: TikTok may post what it has
        except _Fetched:
            return False
        return bool(tokens)


class _Fetched(Exception):
    """One of several links was fetched; the revocations are rolled back."""
