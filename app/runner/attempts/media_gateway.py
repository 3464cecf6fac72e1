"""The media gateway as attempts use it: a pull URL of our own for each init."""

from dataclasses import dataclass
from secrets import token_urlsafe
from urllib.parse import quote, urlsplit

from app.store.jobs.media_links import MediaStore

DEFAULT_NAME = "video.mp4"


@dataclass(frozen=True, slots=True)
class MediaGateway:
    """Hands out links under ``base_url``; the token in them is the secret."""

    base_url: str
    links: MediaStore

    def new_link(self) -> str:
        """Return a token that nobody can guess."""
        return token_urlsafe(32)

    def url(self, token: str, asset_url: str) -> str:
        """Return the pull URL; the asset's name tells TikTok its format."""
        name = urlsplit(asset_url).path.rpartition("/")[2] or DEFAULT_NAME
        return f"{self.base_url.rstrip('/')}/media/{token}/{quote(name, safe='.-_')}"
