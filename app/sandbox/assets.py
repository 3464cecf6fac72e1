"""A video of any size to schedule, and bad ones, so that no other server is needed."""

import re
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

DEFAULT_BYTES = 4096
MAX_BYTES = 4 * 1024**3
"""TikTok's limit for one video."""

CHUNK = 64 * 1024
MP4_HEAD = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


async def video(request: Request) -> Response:
    """Serve ?bytes=N of video, whole or in part; ?status= and ?redirect=1 go wrong."""
    query = request.query_params
    if query.get("redirect") == "1":
        return RedirectResponse(request.url.path, status_code=302)
    status = _number(query.get("status"), default=200, largest=599)
    if status != 200:
        return Response(status_code=max(status, 200))
    size = _number(query.get("bytes"), default=DEFAULT_BYTES, largest=MAX_BYTES)
    span = _span(request.headers.get("range"), size)
    if span is None:
        headers = {"content-range": f"bytes */{size}"}
        return Response(status_code=416, headers=headers)
    return _part(request, span, size)


def _part(request: Request, span: range, size: int) -> Response:
    partial = "range" in request.headers
    headers = {"accept-ranges": "bytes", "content-length": str(len(span))}
    if partial:
        headers["content-range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
    body = _bytes(range(0) if request.method == "HEAD" else span)
    return StreamingResponse(
        body, 206 if partial else 200, headers=headers, media_type="video/mp4"
    )


async def _bytes(span: range) -> AsyncIterator[bytes]:
    for start in range(span.start, span.stop, CHUNK):
        stop = min(start + CHUNK, span.stop)
        head = MP4_HEAD[start:stop]
        yield head + bytes(stop - start - len(head))


def _span(header: str | None, size: int) -> range | None:
    if header is None:
        return range(size)
    match = RANGE.match(header)
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return range(max(size - int(last), 0), size)
    span = range(int(first), min(int(last) + 1 if last else size, size))
    return span or None


def _number(text: str | None, *, default: int, largest: int) -> int:
    return min(int(text), largest) if text and text.isdecimal() else default
