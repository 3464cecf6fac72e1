"""The media gateway's pull URLs of an init: one for a video, one for each photo.

Each is fetched or revoked, never both.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Any

from msgspec import Struct
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.jobs.job import Job
from app.domain.posts.post import MediaType
from app.store.db.engine import Database, Store
from app.store.jobs.tables import media_links, schedule_jobs

_links = media_links.c


class MediaLink(Struct, frozen=True):
    """A valid pull URL."""

    asset_url: str
    project_id: str


def pull_links(job: Job) -> tuple[tuple[str, str], ...]:
    """Return tokens, each with its asset's address; none without a gateway.

    A photo's token is derived from the job's, and says nothing about another photo's.
    """
    secret = job.media_token
    if secret is None:
        return ()
    if job.post.media_type is MediaType.VIDEO:
        return ((secret, job.asset_url),)
    return tuple(
        (_token(secret, place), url) for place, url in enumerate(job.asset_urls)
    )


def pull_tokens(job: Job) -> tuple[str, ...]:
    """Return the tokens only, to revoke them together."""
    return tuple(token for token, _ in pull_links(job))


async def open_links(
    database: Database, connection: AsyncConnection, jobs: Iterable[Job]
) -> None:
    """Let the pull URLs of jobs' inits be asked for; harmless if repeated."""
    if links := [link for job in jobs for link in _rows(job)]:
        await connection.execute(database.insert_new(media_links), links)


async def revoke_links(
    connection: AsyncConnection, jobs: Iterable[Job], *, now: datetime
) -> None:
    """Revoke the pull URLs of jobs whose inits are over or given up."""
    if tokens := [token for job in jobs for token in pull_tokens(job)]:
        await connection.execute(
            update(media_links)
            .where(_links.token.in_(tokens), _links.revoked_at.is_(None))
            .values(revoked_at=now)
        )


class MediaStore(Store):
    """Records which links were fetched, and revokes them."""

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


def _rows(job: Job) -> list[dict[str, Any]]:
    return [
        {
            "token": token,
            "job_id": job.id,
            "asset_url": url,
            "created_at": job.init_sent_at,
        }
        for token, url in pull_links(job)
    ]


def _token(secret: str, place: int) -> str:
    digest = sha256(f"{secret} photo {place}".encode()).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")
