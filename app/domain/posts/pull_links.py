"""The media gateway's pull URLs of one init: one for a video, one for each photo."""

from base64 import urlsafe_b64encode
from hashlib import sha256

from app.domain.jobs.job import Job
from app.domain.posts.post import MediaType


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


def _token(secret: str, place: int) -> str:
    digest = sha256(f"{secret} photo {place}".encode()).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")
