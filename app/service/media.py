"""The media gateway: serves TikTok the media of an init under our own URLs."""

import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from msgspec import Struct, field

from app.domain.errors import AssetUnavailable, GatewayBusy, NotFound
from app.domain.http_headers import stated_size
from app.domain.jobs.readiness import MAX_VIDEO_BYTES
from app.machine.clock import Clock
from app.machine.descriptors import MEDIA
from app.outbound.client import Outbound
from app.outbound.dialer import on_behalf_of
from app.outbound.errors import OutboundError
from app.store.jobs.media_links import MediaLink, MediaStore

if TYPE_CHECKING:
    from app.outbound.exchange import Response

ANSWER_SECONDS: Final = 30.0
"""How long the asset's server may take to answer with headers."""

LONGEST_SECONDS: Final = 3600.0
"""The longest stream: TikTok gives up a pull after that time."""

PACE_SECONDS: Final = 30.0
LEAST_BYTES_IN_PACE: Final = 30 * 1024
"""The least rate of a stream; slower ones are broken off."""

MOST_STREAMS: Final = MEDIA
MOST_EACH: Final = 8
"""Streams per link: TikTok needs one, or a few for ranges."""

_TYPES: Final = {
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
}
"""What TikTok takes. https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide"""

_ONE_RANGE: Final = re.compile(r"bytes=(\d{1,19}-\d{0,19}|-\d{1,19})", re.ASCII)
_ASKED: Final = ("range", "if-range")
_GOOD: Final = frozenset({200, 206, 416})
_PASSED_ON: Final = ("accept-ranges", "content-range", "etag", "last-modified")


class AssetBroken(Exception):
    """The asset's server broke off in the middle, or was too slow."""


class Asset(Struct, frozen=True):
    """A video or photo, or a range of one, being streamed."""

    status: int  # 200, 206 or 416
    headers: Mapping[str, str]  # names in lower case
    _answer: "Response"
    _now: Callable[[], float]  # seconds

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Stream it while it is fast enough; raises AssetBroken."""
        began = since = self._now()
        passed = in_pace = 0
        try:
            async for chunk in self._answer.chunks():
                passed, in_pace = passed + len(chunk), in_pace + len(chunk)
                now = self._now()
                if passed > MAX_VIDEO_BYTES:
                    raise AssetBroken("larger than TikTok takes")
                if now - began > LONGEST_SECONDS:
                    raise AssetBroken("not over in an hour")
                if now - since > PACE_SECONDS:
                    if in_pace < LEAST_BYTES_IN_PACE:
                        raise AssetBroken("next to nothing passes")
                    since, in_pace = now, 0
                yield chunk
        except OutboundError as error:
            raise AssetBroken(str(error)) from error


class MediaService(Struct, frozen=True, kw_only=True):
    """Streams assets; each fetch is recorded before the first byte."""

    store: MediaStore
    outbound: Outbound
    clock: Clock
    now: Callable[[], float] = time.monotonic  # in seconds
    _streams: Counter[str] = field(default_factory=Counter)

    @asynccontextmanager
    async def open(
        self, token: str, *, headers: Mapping[str, str]
    ) -> AsyncIterator[Asset]:
        """Request the asset, or the requested range, from its server.

        Raises NotFound for a link that is unknown or revoked, GatewayBusy,
        AssetUnavailable.
        """
        link, asked = await self._link(token), {}
        if _ONE_RANGE.fullmatch(headers.get("range", "")):
            asked = {name: headers[name] for name in _ASKED if name in headers}
        with self._place(token):
            # From here on it counts as fetched; a refused stream does not.
            if not await self.store.fetch(token, now=self.clock.now()):
                raise NotFound
            async with self._asked(link, asked) as answer:
                _check_size(answer)
                headers = _headers(answer, link.asset_url)
                yield Asset(answer.status, headers, answer, self.now)

    async def look(self, token: str) -> Mapping[str, str]:
        """Return the headers that a GET would get, without recording a fetch.

        It requests the first byte by GET: a signed URL may be valid for GET only.
        Raises what ``open`` raises.
        """
        link = await self._link(token)
        with self._place(token):
            async with self._asked(link, {"range": "bytes=0-0"}) as answer:
                size = _check_size(answer)
                headers = _headers(answer, link.asset_url)
        headers.pop("content-range", None)
        headers.pop("content-length", None)
        if size is not None:
            headers["content-length"] = str(size)
        if answer.status == 206:
            headers["accept-ranges"] = "bytes"
        return headers

    async def _link(self, token: str) -> MediaLink:
        # Ours are plain; Postgres fails on some other texts, such as NUL.
        if not (token.isascii() and token.isprintable()):
            raise NotFound
        if (link := await self.store.find(token)) is None:
            raise NotFound
        return link

    @asynccontextmanager
    async def _asked(
        self, link: MediaLink, headers: Mapping[str, str]
    ) -> AsyncIterator["Response"]:
        # A decompressed body would not match its Content-Length.
        asked = {**headers, "Accept-Encoding": "identity"}
        try:
            with on_behalf_of(link.project_id):
                opened = await self.outbound.open(
                    "GET", link.asset_url, headers=asked, seconds=ANSWER_SECONDS
                )
                with closing(opened) as answer:
                    if answer.status not in _GOOD:
                        # TikTok follows no redirect, and an error page is no video.
                        raise AssetUnavailable(f"its server answered {answer.status}")
                    yield answer
        except OutboundError as error:
            raise AssetUnavailable(str(error)) from error

    @contextmanager
    def _place(self, token: str) -> Iterator[None]:
        """Occupy one of the limited streams; raises GatewayBusy."""
        if self._streams.total() >= MOST_STREAMS or self._streams[token] >= MOST_EACH:
            raise GatewayBusy
        self._streams[token] += 1
        try:
            yield
        finally:
            self._streams[token] -= 1
            if not self._streams[token]:
                del self._streams[token]


def _check_size(answer: "Response") -> int | None:
    """Return the asset's full size, if its server states it.

    Raises AssetUnavailable if TikTok would not take that much.
    """
    size = stated_size(answer.status, answer.headers)
    if size is not None and size > MAX_VIDEO_BYTES:
        raise AssetUnavailable("it is larger than TikTok takes")
    return size


def _headers(answer: "Response", url: str) -> dict[str, str]:
    """Return the headers to pass on, without any that a browser would act on."""
    passed_on: dict[str, str] = {
        name: answer.headers[name] for name in _PASSED_ON if name in answer.headers
    }
    if (length := answer.headers.get("content-length")) is not None:
        passed_on["content-length"] = length
    return {
        **passed_on,
        "content-type": _type_of(answer.headers.get("content-type", ""), url),
        "content-disposition": "attachment",
        "content-security-policy": "default-src 'none'; sandbox",
        "x-content-type-options": "nosniff",
    }


def _type_of(claimed: str, url: str) -> str:
    """Return a type that TikTok takes: the stated one, or the file name's."""
    plain = claimed.partition(";")[0].strip().lower()
    if plain in _TYPES.values():
        return plain
    name = urlsplit(url).path.rpartition("/")[2].lower()
    return _TYPES.get(f".{name.rpartition('.')[2]}", "video/mp4")
