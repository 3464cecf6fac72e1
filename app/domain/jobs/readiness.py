"""Readiness: whether a job would go through, checked before its time. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from app.domain.http_headers import stated_size
from app.domain.posts.signed_url import signed_until

PreflightTimes = tuple[timedelta, ...]
"""How long before its time a job is checked; empty: never."""

TIME_TO_ACT: Final = timedelta(minutes=2)
"""A job with less time left is not checked on its own."""


class ReadinessProblem(Struct, frozen=True):
    """What would stop a job from being posted as things are now."""

    code: str  # stable, for programs
    message: str  # for the person
    pointer: str | None = None  # at the culprit in the job


class Readiness(Struct, frozen=True):
    """The result of a check; nothing is done about it."""

    checked_at: datetime
    problems: tuple[ReadinessProblem, ...] = ()
    video_seconds: float | None = None  # as measured; None: not known
    is_first: bool = False  # told in the answer to a request, and by no event
    # What TikTok decides otherwise than the person chose; it keeps nothing back.
    remarks: tuple[str, ...] = ()
    at_init: bool = False  # found by an attempt, which writes it ahead of its init

    @property
    def ok(self) -> bool:
        """Tell whether nothing was found that would stop the job."""
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
EMPTY: Final = ReadinessProblem(
    "asset_empty", "The video's link leads to an empty file."
)
URL_ENDS: Final = ReadinessProblem(
    "asset_url_expires",
    "The video's link stops working before this post's time.",
    "/assetUrl",
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
    """Return when a job is checked next, None if no more before its time."""
    moments = (scheduled_for - each for each in preflights)
    return min((moment for moment in moments if moment > now), default=None)


def first_preflight(
    scheduled_for: datetime, *, now: datetime, preflights: PreflightTimes
) -> datetime | None:
    """Return the first check of a job that was just given its time.

    At once if a check is overdue and somebody could still act on its result.
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
    """Return the next check of a job whose content changed, but not its time.

    At once if a check was already due: its result no longer applies.
    """
    looked = any(scheduled_for - each <= now < scheduled_for for each in preflights)
    return (
        now if looked else next_preflight(scheduled_for, now=now, preflights=preflights)
    )


def url_problems(
    asset_url: str, asset_urls: Sequence[str], *, at: datetime
) -> Iterator[ReadinessProblem]:
    """List the addresses whose signature ends before a moment, as they say it."""
    if asset_url and _ends_before(asset_url, at):
        yield URL_ENDS
    for place, url in enumerate(asset_urls):
        if _ends_before(url, at):
            pointer = f"/assetUrls/{place}"
            text = f"The link of the photo at {pointer} stops working before its time."
            yield ReadinessProblem(URL_ENDS.code, text, pointer)


def _ends_before(url: str, at: datetime) -> bool:
    end = signed_until(url)
    return end is not None and end <= at


def asset_problem(
    status: int, headers: Mapping[str, str], *, is_photo: bool = False
) -> ReadinessProblem | None:
    """Judge the answer of an asset's server; header names are in lower case.

    https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
    """
    if 300 <= status < 400:
        return REDIRECTS
    size = stated_size(status, headers)
    if status in {200, 416} and size == 0:  # an empty file has no part, not even 0-0
        return EMPTY
    if status not in {200, 206}:
        return UNREACHABLE
    if is_photo:
        return None  # its first bytes say more than the server's headers
    if not _may_be_video(headers.get("content-type", "")):
        return NOT_A_VIDEO
    return TOO_LARGE if size is not None and size > MAX_VIDEO_BYTES else None


def _may_be_video(content_type: str) -> bool:
    """Doubt only a type that names something else: many servers name none."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind not in _OTHER_TYPES and not kind.startswith(_OTHER_FAMILIES)
