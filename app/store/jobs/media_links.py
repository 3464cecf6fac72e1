"""The pull URLs of the media gateway: one per init, fetched or revoked, never both."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update

from app.store.db.engine import Database
from app.store.jobs.tables import media_links, schedule_jobs

_links = media_links.c


@dataclass(frozen=True, slots=True)
class MediaLink:
    """A pull URL that may be answered."""

    asset_url: str
    project_id: str


class MediaStore:
    """Who fetched what, and what must not be fetched any more."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, token: str) -> MediaLink | None:
        """Return a link that is not revoked, without counting it as fetched."""
        statement = (
            select(_links.asset_url, schedule_jobs.c.project_id)
            .join_from(media_links, schedule_jobs)
            .where(_links.token == token, _links.revoked_at.is_(None))
        )
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).one_or_none()
        return None if row is None else MediaLink(*row)

    async def fetch(self, token: str, *, now: datetime) -> bool:
        """Record that the media are about to be given out; False if they must not be.

        Committed before the first byte: what is not recorded was not fetched.
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
        """Withdraw an init's links of which nobody fetched one; False if somebody did.

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
                    raise _Fetched  # all or none: what TikTok has of it can be posted
        except _Fetched:
            return False
        return bool(tokens)


class _Fetched(Exception):
    """Somebody fetched one of several; what was withdrawn is given out again."""
