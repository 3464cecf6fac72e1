"""Measure a video or photo at its URL with a few Range requests."""

import asyncio
from contextlib import closing
from typing import Final

from app.domain.http_headers import stated_size
from app.domain.posts.media import Film, Picture
from app.outbound.client import Outbound
from app.outbound.errors import TooSlow
from app.outbound.media.boxes import Movie, read_box, read_movie
from app.outbound.media.ebml import MAGIC, read_webm
from app.outbound.media.pictures import kind_of, sides_of

LONGEST_SECONDS: Final = 15.0
PART_BYTES: Final = 64 * 1024
MOST_MOOV_BYTES: Final = 4 * 1024**2
"""Enough for the tables of ten minutes at 60 frames a second."""

MOST_REQUESTS: Final = 12
_FILM_BOXES: Final = frozenset({"ftyp", "moov", "mdat", "free", "skip", "wide", "uuid"})


class Measurer:
    """Reads others' files; a value that it cannot read stays unknown."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    async def film(self, url: str) -> Film:
        """Measure a video; raises OutboundError if the server does not answer."""
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                return await _Reader(self._outbound, url).film()
        except TimeoutError:
            raise TooSlow("the server took too long") from None

    async def picture(self, url: str) -> Picture:
        """Measure a photo; raises OutboundError if the server does not answer."""
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                return await _Reader(self._outbound, url).picture()
        except TimeoutError:
            raise TooSlow("the server took too long") from None


def is_film(head: bytes) -> bool:
    """Tell whether a file begins like an MP4 or MOV."""
    first = read_box(head, 0, len(head))
    return first is not None and first.name in _FILM_BOXES


def seconds_in(head: bytes, size: int) -> float | None:
    """Return a video's length from its first bytes, None if they do not state it.

    For a fragmented film it is a lower bound.
    """
    if head.startswith(MAGIC):
        return read_webm(head)[1]
    at = 0
    while (box := read_box(head, at, size)) is not None and box.name in _FILM_BOXES:
        if box.name == "moov":
            return read_movie(head[box.start : box.end]).seconds
        at = box.end
    return None


class _Reader:
    """Reads ranges of one file, each with its own request."""

    def __init__(self, outbound: Outbound, url: str) -> None:
        self._outbound = outbound
        self._url = url
        self._size: int | None = None
        self._requests = 0

    async def picture(self) -> Picture:
        head = await self._part(0, PART_BYTES)
        sides = sides_of(head)
        if sides is None and kind_of(head) == "jpeg":  # they may come late
            head = await self._part(0, 8 * PART_BYTES)
            sides = sides_of(head)
        width, height = sides or (None, None)
        return Picture(size=self._size, kind=kind_of(head), width=width, height=height)

    async def film(self) -> Film:
        head = await self._part(0, PART_BYTES)
        if (kind := kind_of(head)) is not None:
            return Film(size=self._size, container=kind, is_video=False)
        if head.startswith(MAGIC):
            container, seconds = read_webm(head)
            return Film(size=self._size, container=container, seconds=seconds)
        if not is_film(head):
            return Film(size=self._size)
        movie = await self._movie(head)
        return Film(
            size=self._size,
            container="mov" if head[8:12] == b"qt  " else "mp4",
            seconds=movie.seconds,
            width=movie.width,
            height=movie.height,
            frame_rate=movie.frame_rate,
            codec=movie.codec,
        )

    async def _movie(self, head: bytes) -> Movie:
        """Find ``moov``, which may be at the end, after gigabytes."""
        at, size = 0, self._size or len(head)
        while at < size and self._requests < MOST_REQUESTS:
            within = at + 16 <= len(head)
            part = head[at:] if within else await self._part(at, PART_BYTES)
            box = read_box(part, 0, size - at)
            if box is None:
                break
            if box.name == "moov":
                length = min(box.end - box.start, MOST_MOOV_BYTES)
                content = part[box.start : box.start + length]
                if len(content) < length:
                    content = await self._part(at + box.start, length)
                return read_movie(content)
            at += box.end
        return Movie()

    async def _part(self, start: int, length: int) -> bytes:
        """Read a range; fewer bytes if the file ends or the server ignores ranges."""
        self._requests += 1
        wanted = {
            "Range": f"bytes={start}-{start + length - 1}",
            "Accept-Encoding": "identity",
        }
        opened = await self._outbound.open(
            "GET", self._url, headers=wanted, seconds=LONGEST_SECONDS
        )
        with closing(opened) as answer:
            if answer.status not in {200, 206} or (start and answer.status != 206):
                return b""
            if (size := stated_size(answer.status, answer.headers)) is not None:
                self._size = size
            part = bytearray()
            async for piece in answer.chunks():
                part += piece
                if len(part) >= length:
                    break
        return bytes(part[:length])
