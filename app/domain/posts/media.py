"""What was measured of a video or photo, and whether TikTok takes it. Pure.

Only a certain breach is a problem; an unknown value is none.
https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from app.domain.jobs.readiness import MAX_VIDEO_BYTES, ReadinessProblem

MAX_PHOTO_BYTES: Final = 20 * 1024**2
MAX_PHOTO_SHORT_SIDE: Final = 1080
"""Pixels; TikTok's page says 1080p, and larger sets were refused."""

SIDES: Final = range(360, 4097)
FRAME_RATES: Final = (23.0, 60.0)
TOLERANCE: Final = 0.5  # frames per second; containers round
DURATION_TOLERANCE: Final = 1.0  # seconds

OTHER_CODECS: Final = {
    "av01": "AV1",
    "mp4v": "MPEG-4 Part 2",
    "jpeg": "Motion JPEG",
    "mjpa": "Motion JPEG",
    "apch": "ProRes",
    "apcn": "ProRes",
    "apcs": "ProRes",
    "apco": "ProRes",
    "ap4h": "ProRes",
}
"""Codecs that TikTok is known to refuse; an unknown codec is no problem."""

PHOTO_TYPES: Final = frozenset({"jpeg", "webp"})


class Film(Struct, frozen=True, kw_only=True):
    """What a video's file says about itself; None: not stated, or not certain."""

    size: int | None = None  # bytes
    container: str | None = None  # mp4, mov, webm or another
    is_video: bool = True
    seconds: float | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None  # if it is constant
    codec: str | None = None  # four letters

    @property
    def is_film(self) -> bool:
        """Tell whether its first bytes say for certain that it is a video."""
        return self.is_video and self.container is not None


class Picture(Struct, frozen=True, kw_only=True):
    """What a photo's file says about itself."""

    size: int | None = None  # bytes
    kind: str | None = None  # jpeg, webp, png, gif, heic
    width: int | None = None
    height: int | None = None


def too_long(seconds: float | None, max_seconds: int | None) -> bool:
    """Tell whether a video is certainly longer than its creator may post."""
    if seconds is None or not max_seconds:
        return False
    return seconds >= max_seconds + DURATION_TOLERANCE


MEDIA_TEXTS: Final[Mapping[str, str]] = {
    "asset_not_a_video": "The video's link leads to {found}, not to a video.",
    "asset_too_large": "The video has {found} bytes; TikTok accepts {most}.",
    "video_too_long": "The video is {found} seconds long; the account may post {most}.",
    "video_picture_size": "The video is {found}; TikTok accepts {least} to {most}"
    " pixels on each side.",
    "video_frame_rate": "The video has {found} frames per second; TikTok accepts"
    " {least} to {most}.",
    "video_codec": "The video is encoded as {found}; TikTok accepts H.264, H.265, VP8"
    " and VP9.",
    "photo_type": "The photo at {place} is {found}; TikTok accepts JPEG and WebP.",
    "photo_too_large": "The photo at {place} has {found} bytes; TikTok accepts {most}.",
    "photo_picture_size": "The photo at {place} is {found}; TikTok accepts {most}"
    " pixels on the shorter side.",
}
"""What is wrong with media, by its code, with what was seen and what is allowed."""


def film_problems(film: Film, max_seconds: int | None) -> Iterator[ReadinessProblem]:
    """List why TikTok would refuse a video."""
    if not film.is_video:
        yield _problem("asset_not_a_video", found=film.container)
        return
    if film.size is not None and film.size > MAX_VIDEO_BYTES:
        yield _problem("asset_too_large", found=film.size, most=MAX_VIDEO_BYTES)
    if film.seconds is not None and too_long(film.seconds, max_seconds):
        yield _problem("video_too_long", found=f"{film.seconds:.0f}", most=max_seconds)
    yield from _picture_problems(film)


def _picture_problems(film: Film) -> Iterator[ReadinessProblem]:
    if film.width and film.height and not {film.width, film.height} <= set(SIDES):
        size = f"{film.width} x {film.height}"
        yield _problem("video_picture_size", found=size, least=SIDES[0], most=SIDES[-1])
    least, most = FRAME_RATES
    rate = film.frame_rate
    if rate is not None and not least - TOLERANCE <= rate <= most + TOLERANCE:
        found, bounds = f"{rate:.1f}", {"least": f"{least:.0f}", "most": f"{most:.0f}"}
        yield _problem("video_frame_rate", found=found, **bounds)
    if (name := OTHER_CODECS.get(film.codec or "")) is not None:
        yield _problem("video_codec", found=name)


def photo_problems(photo: Picture, place: int) -> Iterator[ReadinessProblem]:
    """List why TikTok would refuse a photo; one bad one fails the set."""
    pointer = f"/assetUrls/{place}"
    if photo.kind is not None and photo.kind not in PHOTO_TYPES:
        yield _problem("photo_type", place=pointer, found=photo.kind.upper())
    if photo.size is not None and photo.size > MAX_PHOTO_BYTES:
        yield _problem(
            "photo_too_large", place=pointer, found=photo.size, most=MAX_PHOTO_BYTES
        )
    short = min(photo.width or 0, photo.height or 0)
    if short > MAX_PHOTO_SHORT_SIDE:
        yield _problem(
            "photo_picture_size",
            place=pointer,
            found=f"{photo.width} x {photo.height}",
            most=MAX_PHOTO_SHORT_SIDE,
        )


def _problem(
    code: str, *, place: str | None = None, **seen: object
) -> ReadinessProblem:
    return ReadinessProblem(code, MEDIA_TEXTS[code].format(place=place, **seen), place)
