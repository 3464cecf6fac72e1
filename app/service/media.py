"""The media gateway: gives TikTok the video of an init, through a URL of our own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from app.domain.clock import Clock
from app.domain.errors import AssetUnavailable, NotFound
from app.outbound import Outbound, OutboundError
from app.store.jobs.media_links import MediaStore

if TYPE_CHECKING:
    from app.outbound.exchange import Response

ANSWER_SECONDS: Final = 30.0
"""How long the asset's server has for the head of its answer."""

_ASKED: Final = ("range", "if-range")
_GOOD: Final = frozenset({200, 206, 416})


class AssetBroken(Exception):
    """The asset's server broke off in the middle of the video."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A video, or a part of one, on its way."""

    _answer: "Response"

    @property
    def status(self) -> int:
        """Return 200, 206 or 416."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers, their names in lower case."""
        return self._answer.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read the video as it comes; raises AssetBroken."""
        try:
            async for chunk in self._answer.chunks():
                yield chunk
        except OutboundError as error:
            raise AssetBroken from error


class MediaService:
    """Streams assets; what it gives out is recorded before the first byte."""

    def __init__(self, *, store: MediaStore, outbound: Outbound, clock: Clock) -> None:
        self._store = store
        self._outbound = outbound
        self._clock = clock

    @asynccontextmanager
    async def open(
        self, token: str, *, method: str, headers: Mapping[str, str]
    ) -> AsyncIterator[Asset]:
        """Ask the asset's server for the video, or for the part that is asked of us.

        A HEAD gives nothing out, so it does not count as fetched. Raises NotFound for
        a link that is unknown or revoked, AssetUnavailable.
        """
        if method == "HEAD":
            link = await self._store.find(token)
        else:
            link = await self._store.fetch(token, now=self._clock.now())
        if link is None:
            raise NotFound
        asked = {name: headers[name] for name in _ASKED if name in headers}
        try:
            async with self._outbound.open(
                method,
                link.asset_url,
                # What is unpacked on the way would not fit its Content-Length.
                headers={**asked, "Accept-Encoding": "identity"},
                seconds=ANSWER_SECONDS,
            ) as answer:
                if answer.status not in _GOOD:
                    # TikTok takes no redirect, and an error page is no video.
                    raise AssetUnavailable(f"its server answered {answer.status}")
                yield Asset(answer)
        except OutboundError as error:
            raise AssetUnavailable(str(error)) from error
