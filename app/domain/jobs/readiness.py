"""Whether a job is ready for its time, looked at ahead of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

PreflightTimes = tuple[timedelta, ...]
"""How long before its time a job is looked at; empty: never."""

TIME_TO_ACT: Final = timedelta(minutes=2)
"""With less than that until its time, a job is not looked at for its own sake."""


@dataclass(frozen=True, slots=True)
class ReadinessProblem:
    """What would keep a job from being posted as things stand."""

    code: str  # stable, for programs
    message: str  # for the person
    pointer: str | None = None  # at the culprit in the job


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a look ahead of time came to; nothing is done about it."""

    checked_at: datetime
    problems: tuple[ReadinessProblem, ...] = ()
    video_seconds: float | None = None  # as measured; None: it could not be told

    @property
    def ok(self) -> bool:
        """Tell whether nothing was found that would keep the job back."""
        return not self.problems


MAX_VIDEO_BYTES: Final = 4 * 1024**3
"""https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide"""

REDIRECTS: Final = ReadinessProblem(
    "asset_redirects",
    "The video's link redirects to another address, which TikTok does not follow.",
)
UNREACHABLE: Final = ReadinessProblem(
    "asset_unreachable", "The video cannot be downloaded from its link at the moment."
)
REFUSED: Final = ReadinessProblem(
    "asset_refused", "The video's link leads to an address that is not public."
)
NOT_A_VIDEO: Final = ReadinessProblem(
    "asset_not_a_video", "The video's link does not lead to a video."
)
TOO_LARGE: Final = ReadinessProblem(
    "asset_too_large", "The video is larger than the 4 GB that TikTok accepts."
)
_OTHER_FAMILIES: Final = ("text/", "image/", "audio/", "font/")
_OTHER_TYPES: Final = frozenset(
    {
        "application/json",
        "application/pdf",
        "application/xml",
        "application/xhtml+xml",
        "application/zip",
    }
)

GOES_OUT_LATE: Final = ReadinessProblem(
    "goes_out_late",
    "More posts are due in the same minute than TikTok accepts: this one may go out"
    " some minutes late.",
)


def next_preflight(
    scheduled_for: datetime, *, now: datetime, preflights: PreflightTimes
) -> datetime | None:
    """Return when a job is looked at next, None if no more before its time."""
    moments = (scheduled_for - each for each in preflights)
    return min((moment for moment in moments if moment > now), default=None)


def first_preflight(
    scheduled_for: datetime, *, now: datetime, preflights: PreflightTimes
) -> datetime | None:
    """Return when a job is looked at first that was just given its time.

    At once if a look should have been before, and somebody could still act upon it.
    """
    missed = any(scheduled_for - each <= now for each in preflights)
    in_time = scheduled_for - now >= TIME_TO_ACT
    return (
        now
        if missed and in_time
        else next_preflight(scheduled_for, now=now, preflights=preflights)
    )


def preflight_after_change(
    scheduled_for: datetime, *, now: datetime, preflights: PreflightTimes
) -> datetime | None:
    """Return when a job is looked at again whose content changed, not its time.

    At once if a look has been due before: its verdict was on what is no more.
    """
    looked = any(scheduled_for - each <= now < scheduled_for for each in preflights)
    return (
        now if looked else next_preflight(scheduled_for, now=now, preflights=preflights)
    )


def asset_problem(
    status: int, headers: Mapping[str, str], *, is_photo: bool = False
) -> ReadinessProblem | None:
    """Judge what an asset's address answered; header names are in lower case.

    https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
    """
    if 300 <= status < 400:
        return REDIRECTS
    if status not in {200, 206}:
        return UNREACHABLE
    if is_photo:
        return None  # its first bytes tell more than a server does
    if not _may_be_video(headers.get("content-type", "")):
        return NOT_A_VIDEO
    size = _size(headers)
    return TOO_LARGE if size is not None and size > MAX_VIDEO_BYTES else None


def _may_be_video(content_type: str) -> bool:
    """Doubt only a type that says otherwise: many servers know none."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind not in _OTHER_TYPES and not kind.startswith(_OTHER_FAMILIES)


def _size(headers: Mapping[str, str]) -> int | None:
    """Return the whole video's size in bytes, None if it is not told."""
    # Of a part, Content-Length tells the part's size. RFC 9110, 14.4
    whole = headers.get("content-range", "").rpartition("/")[2]
    text = whole or headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() else None
