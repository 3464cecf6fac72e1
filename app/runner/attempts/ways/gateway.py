"""The media gateway: TikTok pulls from a URL of our own, a new one for each init.

So we know whether it came for the media, and can withdraw what it never came for.
"""

from dataclasses import dataclass
from secrets import token_urlsafe
from urllib.parse import quote, urlsplit

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault, Unconfirmed
from app.domain.posts.post import MediaType
from app.domain.posts.pull_links import pull_links
from app.runner.attempts.ways.pull import Pull
from app.runner.attempts.ways.way import Void
from app.store.jobs.media_links import MediaStore

DEFAULT_NAMES = {MediaType.VIDEO: "video.mp4", MediaType.PHOTO: "photo.jpg"}


class GatewayPull(Pull):
    """One attempt's pull from the gateway."""

    async def give_up(self, fault: Fault) -> Void | Unconfirmed:
        """Withdraw the media: void, unless TikTok has some of it."""
        if await self._effects.revoke_media(self._state.job):
            return Void(fault)
        return Unconfirmed(fault=fault)


@dataclass(frozen=True, slots=True)
class MediaGateway:
    """Hands out links under ``base_url``; the token in them is the secret."""

    base_url: str
    links: MediaStore

    def new_link(self) -> str:
        """Return a token that nobody can guess."""
        return token_urlsafe(32)

    def urls(self, job: Job) -> tuple[str, ...]:
        """Return the pull URLs; an asset's name tells TikTok its format."""
        unnamed = DEFAULT_NAMES[job.post.media_type]
        return tuple(
            self._url(token, urlsplit(url).path.rpartition("/")[2] or unnamed)
            for token, url in pull_links(job)
        )

    def _url(self, token: str, name: str) -> str:
        return f"{self.base_url.rstrip('/')}/media/{token}/{quote(name, safe='.-_')}"
