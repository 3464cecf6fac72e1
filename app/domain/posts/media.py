"""What was measured of a video or a photo, and whether TikTok takes it. Pure.

Only a certain breach is a problem: what cannot be told is no verdict.
https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from app.domain.jobs.readiness import MAX_VIDEO_BYTES, ReadinessProblem

MAX_PHOTO_BYTES: Final = 20 * 1024**2
MAX_PHOTO_SHORT_SIDE: Final = 1080
"""Pixels; TikTok's page says 1080p, and larger sets were refused."""

SIDES: Final = range(360, 4097)
FRAME_RATES: Final = (23.0, 60.0)
TOLERANCE: Final = 0.5  # frames per second; containers round
DURATION_TOLERANCE: Final = 1.0  # seconds

CODECS: Final = frozenset(
    {"avc1", "avc3", "hvc1", "hev1", "dvh1", "dvhe", "vp08", "vp09"}
)
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
"""Codecs that are known not to be taken; any other is no verdict."""

PHOTO_TYPES: Final = frozenset({"jpeg", "webp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """What a video's file says of itself; None: it does not say, or not for certain."""

    size: int | None = None  # bytes
    container: str | None = None  # mp4, mov, webm, or what it is instead
    is_video: bool = True
    seconds: float | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None  # of a constant one
    codec: str | None = None  # four letters


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a photo's file says of itself."""

    size: int | None = None  # bytes
    kind: str | None = None  # jpeg, webp, png, gif, heic
    width: int | None = None
    height: int | None = None


def too_long(seconds: float | None, max_seconds: int | None) -> bool:
    """Tell whether a video is longer than its creator may post, for certain."""
    if seconds is None or not max_seconds:
        return False
    return seconds >= max_seconds + DURATION_TOLERANCE


def film_problems(film: Film, max_seconds: int | None) -> Iterator[ReadinessProblem]:
    """List why TikTok would refuse a video, with what was seen and what is allowed."""
    if not film.is_video:
        text = f"What lies behind the video's link is no video but {film.container}."
        yield ReadinessProblem("asset_not_a_video", text)
        return
    if film.size is not None and film.size > MAX_VIDEO_BYTES:
        text = f"The video has {film.size} bytes; TikTok takes {MAX_VIDEO_BYTES}."
        yield ReadinessProblem("asset_too_large", text)
    if too_long(film.seconds, max_seconds):
        yield ReadinessProblem(
            "video_too_long",
            f"The video has {film.seconds:.0f} seconds; this account may post"
            f" {max_seconds}.",
        )
    yield from _picture_problems(film)


def _picture_problems(film: Film) -> Iterator[ReadinessProblem]:
    if film.width and film.height and not {film.width, film.height} <= set(SIDES):
        yield ReadinessProblem(
            "video_picture_size",
            f"The video is {film.width} x {film.height}; TikTok takes {SIDES[0]} to"
            f" {SIDES[-1]} pixels on each side.",
        )
    least, most = FRAME_RATES
    rate = film.frame_rate
    if rate is not None and not least - TOLERANCE <= rate <= most + TOLERANCE:
        yield ReadinessProblem(
            "video_frame_rate",
            f"The video has {rate:.1f} frames per second; TikTok takes {least:.0f} to"
            f" {most:.0f}.",
        )
    if (name := OTHER_CODECS.get(film.codec or "")) is not None:
        yield ReadinessProblem(
            "video_codec",
            f"The video is coded as {name}; TikTok takes H.264, H.265, VP8 and VP9.",
        )


def photo_problems(photo: Picture, place: int) -> Iterator[ReadinessProblem]:
    """List why TikTok would refuse a photo; one bad one fails the set."""
    pointer = f"/assetUrls/{place}"
    if photo.kind is not None and photo.kind not in PHOTO_TYPES:
        text = f"is {photo.kind.upper()}; TikTok takes JPEG and WebP"
        yield _of_photo("photo_type", text, pointer)
    if photo.size is not None and photo.size > MAX_PHOTO_BYTES:
        text = f"has {photo.size} bytes; TikTok takes {MAX_PHOTO_BYTES}"
        yield _of_photo("photo_too_large", text, pointer)
    if photo.width and photo.height:
        short = min(photo.width, photo.height)
        if short > MAX_PHOTO_SHORT_SIDE:
            yield _of_photo(
                "photo_picture_size",
                f"is {photo.width} x {photo.height}; TikTok takes"
                f" {MAX_PHOTO_SHORT_SIDE} pixels on the shorter side",
                pointer,
            )


def _of_photo(code: str, text: str, pointer: str) -> ReadinessProblem:
    return ReadinessProblem(code, f"The photo at {pointer} {text}.", pointer)
