"""Judge the upload host's answer to a chunk. Pure.

https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

import re
from enum import StrEnum
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from app.domain.guarded import Guarded, Hidden
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault, Verdict
from app.domain.posts.upload import Span

_RANGE: Final = re.compile(r"\s*bytes\s+0-(\d{1,19})/(\d{1,19}|\*)\s*", re.ASCII)
_TYPES: Final = ("video/mp4", "video/quicktime", "video/webm")
_SUFFIXES: Final = {".mov": "video/quicktime", ".webm": "video/webm"}


class ChunkVerdict(StrEnum):
    """What became of a chunk."""

    NEXT = "next"  # taken; send the next one
    DONE = "done"  # the video is complete: TikTok begins to post
    AGAIN = "again"  # not taken; send the same one again
    ASK = "ask"  # only a status call tells how much was taken
    URL_OVER = "url_over"  # the URL takes nothing any more
    REFUSED = "refused"  # sizes that TikTok does not take


class UploadAnswer(Struct, frozen=True, kw_only=True):
    """An upload host's answer, or how the connection failed before one came."""

    status: int | None  # of HTTP; None: no readable answer
    content_range: str = ""
    sent_all: bool = False  # the chunk's last byte was handed to the system
    out_of_time: bool = False  # our time-out broke it off
    lacks_resources: bool = False  # our own shortage stopped the connection
    trouble: str = ""  # what went wrong without a status; holds no secret
    log_id: str | None = None


class ChunkRequest(Guarded, frozen=True, kw_only=True):
    """One chunk to send; its repr shows no token."""

    url: Hidden[str]
    span: Span
    size: int  # of the whole video, in bytes
    content_type: str

    def headers(self) -> dict[str, str]:
        """Return the headers that TikTok requires."""
        last = self.span.end - 1
        return {
            "Content-Type": self.content_type,
            "Content-Length": str(self.span.length),
            "Content-Range": f"bytes {self.span.start}-{last}/{self.size}",
        }


def verdict_on(answer: UploadAnswer, span: Span, *, size: int) -> ChunkVerdict:
    """Return what became of a chunk of a video of ``size`` bytes.

    If the connection broke before the whole chunk was sent, TikTok took nothing of it.
    """
    status = answer.status
    if status is None:
        return ChunkVerdict.ASK if answer.sent_all else ChunkVerdict.AGAIN
    match status:
        case HTTPStatus.CREATED | HTTPStatus.PARTIAL_CONTENT if not answer.sent_all:
            return ChunkVerdict.ASK  # it cannot have what it was not sent
        case HTTPStatus.CREATED:
            return ChunkVerdict.DONE
        case HTTPStatus.PARTIAL_CONTENT:
            return _progress(answer.content_range, span, size)
        case HTTPStatus.BAD_REQUEST | HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return ChunkVerdict.REFUSED
        case HTTPStatus.FORBIDDEN | HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            return ChunkVerdict.URL_OVER
        case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.TOO_MANY_REQUESTS:
            return ChunkVerdict.AGAIN
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return ChunkVerdict.AGAIN
        case _:  # 416, and anything unexpected
            return ChunkVerdict.ASK


def fault_of_answer(answer: UploadAnswer) -> Fault | None:
    """Return the fault of an answer, for metrics and traces."""
    if answer.status in {HTTPStatus.CREATED, HTTPStatus.PARTIAL_CONTENT}:
        return None
    return Fault(
        error_class=ErrorClass.TRANSIENT,
        code="upload_failed",
        message=answer.trouble or f"the upload host answered HTTP {answer.status}",
        verdict=Verdict.UNKNOWN if answer.status is None else Verdict.ANSWERED,
        http_status=answer.status,
        log_id=answer.log_id,
    )


def upload_type(content_type: str, url: str) -> str:
    """Return one of the three content types that TikTok accepts."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _TYPES:
        return kind
    path = urlsplit(url).path.lower()
    fits = (kind for end, kind in _SUFFIXES.items() if path.endswith(end))
    return next(fits, _TYPES[0])


def _progress(content_range: str, span: Span, size: int) -> ChunkVerdict:
    """Read ``bytes 0-{uploaded}/{total}``; it is unclear if the end is inclusive."""
    if not content_range:
        return ChunkVerdict.NEXT if span.end < size else ChunkVerdict.ASK
    match = _RANGE.fullmatch(content_range)
    if match is None or match[2] not in {str(size), "*"}:
        return ChunkVerdict.ASK
    if int(match[1]) not in {span.end, span.end - 1}:
        return ChunkVerdict.ASK
    return ChunkVerdict.NEXT if span.end < size else ChunkVerdict.ASK
