"""Pull through the media gateway: from our own URL, a new one for each init.

So we know whether TikTok fetched the media, and can revoke a URL it never fetched.
"""

from secrets import token_urlsafe
from urllib.parse import quote, urlsplit

from msgspec import Struct

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault, Unconfirmed
from app.domain.posts.post import MediaType
from app.runner.attempts.ways.pull import Pull
from app.runner.attempts.ways.way import Void
from app.store.jobs.media_links import MediaStore, pull_links

DEFAULT_NAMES = {MediaType.VIDEO: "video.mp4", MediaType.PHOTO: "photo.jpg"}


class GatewayPull(Pull):
    """One attempt's pull from the gateway."""

    async def give_up(self, fault: Fault) -> Void | Unconfirmed:
        """Revoke the URLs: void, unless TikTok fetched something."""
        if await self._effects.revoke_media(self._state.job):
            return Void(fault)
        return Unconfirmed(fault=fault)


class MediaGateway(Struct, frozen=True):
    """Makes pull URLs under ``base_url``; their token is a secret."""

    base_url: str
    links: MediaStore

    def new_link(self) -> str:
        """Return a random token."""
        return token_urlsafe(32)

    def urls(self, job: Job) -> tuple[str, ...]:
        """Return the pull URLs, ending in the asset's name, which shows its format."""
        unnamed = DEFAULT_NAMES[job.post.media_type]
        return tuple(
            self._url(token, urlsplit(url).path.rpartition("/")[2] or unnamed)
            for token, url in pull_links(job)
        )

    def _url(self, token: str, name: str) -> str:
        return f"{self.base_url.rstrip('/')}/media/{token}/{quote(name, safe='.-_')}"
