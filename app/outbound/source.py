"""Read a video from its URL, in order, and from any byte if the server can.

It may take several requests by several workers: each later answer must be about the
same file, or the parts would not fit together.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from app.machine.sink import Sink
from app.outbound.client import Outbound
from app.outbound.errors import OutboundError, Refused, Unreachable
from app.outbound.exchange import LEAST_BYTES, Response

HEAD_SECONDS: Final = 30.0
"""How long a server may take to answer with headers, if there is so much time."""

MOST_IDLE_BREAKS: Final = 2
"""How many connections in a row may break off that brought next to nothing."""

_RANGE: Final = re.compile(r"bytes\s+(\d{1,19})-(\d{1,19})/(\d{1,19})", re.ASCII)


class SourceTrouble(StrEnum):
    """What is wrong with a source, each with a stable code."""

    UNREACHABLE = "asset_unreachable"  # no answer, an error page, or it broke off
    NO_LENGTH = "asset_no_length"  # TikTok needs the size in the init
    NO_RANGE = "asset_no_range"  # it cannot be read from the middle
    CHANGED = "asset_changed"  # it is not the same file any more
    TOO_LARGE = "asset_too_large"
    EMPTY = "asset_empty"
    REFUSED = "asset_refused"  # its address must not be called


class SourceFailed(Exception):
    """The source cannot be read; ``trouble`` says why, the text is for people."""

    def __init__(self, trouble: SourceTrouble, reason: str) -> None:
        super().__init__(reason)
        self.trouble = trouble


class SourceInfo(Struct, frozen=True, kw_only=True):
    """What is known about a file, enough to recognise it later."""

    size: int  # in bytes
    etag: str | None = None  # or Last-Modified, if there is no ETag
    content_type: str = ""


class Source:
    """One file at somebody's server; no request is sent before ``open``."""

    def __init__(
        self,
        outbound: Outbound,
        url: str,
        *,
        most_bytes: int,
        seconds: Callable[[], float] = lambda: HEAD_SECONDS,
    ) -> None:
        """``seconds`` tells how long its server may take to answer with headers."""
        self._outbound = outbound
        self._url = url
        self._most = most_bytes
        self._seconds = seconds
        self._answer: Response | None = None
        self._info: SourceInfo | None = None  # while the next byte is the first
        self._peeked = b""
        self._file: SourceInfo  # set by what opens it
        self._at = 0  # the next byte
        self._began_at = 0  # the connection's first byte
        self._idle_breaks = 0

    async def open(self) -> SourceInfo:
        """Request the file from its first byte; raises SourceFailed.

        A server that ignores ranges sends all of it, which is the same from the start.
        If it is open and nothing was read, no new request is sent.
        """
        if self._info is None:
            await self._ask({"Range": "bytes=0-"})
            if not _is_whole(self._opened):
                await self._ask({})  # some servers limit the length of a part
            self._info = self._checked(offset=0, known=None)
            self._begin(self._info, 0)
        return self._info

    async def go_on(self, known: SourceInfo, *, offset: int) -> None:
        """Request the rest of a partly read file; raises SourceFailed."""
        headers = {"Range": f"bytes={offset}-"}
        if offset and known.etag is not None and _may_be_condition(known.etag):
            headers["If-Range"] = known.etag
        await self._ask(headers)
        self._checked(offset=offset, known=known)
        self._begin(known, offset)

    def _begin(self, file: SourceInfo, offset: int) -> None:
        self._file, self._at, self._began_at = file, offset, offset

    async def peek(self, length: int, *, seconds: float) -> bytes:
        """Return the next ``length`` bytes, which ``pour`` will pass on.

        Empty if they take longer than ``seconds``: then it has to be opened again.
        Raises SourceFailed.
        """
        pieces = aiter(self._opened.chunks())
        try:
            async with asyncio.timeout(seconds):
                while len(self._peeked) < length:
                    self._peeked += await _next(pieces)
        except TimeoutError:
            self.close()
            return b""
        return self._peeked[:length]

    async def pour(self, length: int, sink: Sink) -> None:
        """Write exactly the next ``length`` bytes into a sink; raises SourceFailed.

        Fewer if the sink is over. If the connection breaks off, another one goes on.
        """
        self._info = None
        peeked, self._peeked = self._peeked[:length], self._peeked[length:]
        if peeked:
            sink.write(peeked)
        self._at += len(peeked)
        length -= len(peeked)
        while (broken := await self._poured(length, sink)) is not None:
            length = self._opened.lacking
            self._count_break(broken)
            await self.go_on(self._file, offset=self._at)

    async def _poured(self, length: int, sink: Sink) -> Unreachable | None:
        """Write from the present connection; return how it broke off, if it did.

        Raises SourceFailed for a server that is too slow: it would be the next time.
        """
        answer = self._opened
        try:
            await answer.pour(length, sink)
        except Unreachable as error:
            return error
        except OutboundError as error:
            raise _unreachable(str(error)) from error
        finally:
            self._at += length - answer.lacking
        return None

    def _count_break(self, broken: Unreachable) -> None:
        """Raise SourceFailed if connections bring next to nothing any more."""
        idle = self._at - self._began_at < LEAST_BYTES
        self._idle_breaks = self._idle_breaks + 1 if idle else 0
        if self._idle_breaks > MOST_IDLE_BREAKS:
            raise _unreachable(str(broken)) from broken

    @property
    def _opened(self) -> Response:
        if self._answer is None:
            raise AssertionError("a source is read only once it is open")
        return self._answer

    async def _ask(self, headers: Mapping[str, str]) -> None:
        self.close()
        headers = {"Accept-Encoding": "identity", **headers}
        try:
            self._answer = await self._outbound.open(
                "GET", self._url, headers=headers, seconds=self._seconds()
            )
        except Refused as error:
            raise SourceFailed(SourceTrouble.REFUSED, str(error)) from error
        except OutboundError as error:
            raise _unreachable(str(error)) from error

    def _checked(self, *, offset: int, known: SourceInfo | None) -> SourceInfo:
        """Check that the answer is the requested part of the file."""
        answer = self._opened
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise _unreachable("it packs what was to come as it is")
        info = _info(answer.status, answer.headers, offset)
        if known is not None and not _is_same(info, known):
            raise SourceFailed(SourceTrouble.CHANGED, "it is another file by now")
        if answer.status != 206 and offset:
            raise SourceFailed(SourceTrouble.NO_RANGE, "its server gives no part of it")
        if info.size > self._most:
            raise SourceFailed(
                SourceTrouble.TOO_LARGE, f"it has {info.size} of {self._most} bytes"
            )
        return info

    def close(self) -> None:
        """Close the connection; it may be opened again."""
        if self._answer is not None:
            self._answer.close()
        self._answer = self._info = None
        self._peeked = b""


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    try:
        return await anext(pieces)
    except StopAsyncIteration:
        raise _unreachable("it ended before its announced length") from None
    except OutboundError as error:
        raise _unreachable(str(error)) from error


def _info(status: int, headers: Mapping[str, str], offset: int) -> SourceInfo:
    """Read what an answer says about the whole file."""
    if status == 206:
        size = _size_of_part(headers.get("content-range", ""), offset)
    elif status == 200:
        size = _number(headers.get("content-length", ""))
    elif status == 416 and offset:
        raise SourceFailed(SourceTrouble.CHANGED, "it is shorter than it was")
    else:
        raise _unreachable(f"its server answered {status}")
    if size is None:
        raise SourceFailed(SourceTrouble.NO_LENGTH, "its server tells no length")
    if not size:
        raise SourceFailed(SourceTrouble.EMPTY, "it has no bytes")
    return SourceInfo(
        size=size,
        etag=headers.get("etag") or headers.get("last-modified"),
        content_type=headers.get("content-type", ""),
    )


def _is_whole(answer: Response) -> bool:
    """Tell whether an answer to a request for everything is that, or an error."""
    if answer.status != 206:
        return answer.status != 416
    match = _RANGE.fullmatch(answer.headers.get("content-range", "").strip())
    return match is not None and match[1] == "0" and int(match[2]) + 1 == int(match[3])


def _size_of_part(content_range: str, offset: int) -> int | None:
    """Return the full size; raises SourceFailed if it is another range."""
    match = _RANGE.fullmatch(content_range.strip())
    if match is None:
        return None
    first, last, size = map(int, match.groups())
    if first != offset or last != size - 1:
        raise SourceFailed(SourceTrouble.NO_RANGE, "its server gives another part")
    return size


def _is_same(info: SourceInfo, known: SourceInfo) -> bool:
    """Tell whether it is still the same file.

    If the server names no version, only the length can be compared.
    """
    return info.size == known.size and info.etag == known.etag


def _may_be_condition(etag: str) -> bool:
    # A weak ETag is not allowed in If-Range, but is compared anyway. RFC 9110, 13.1.5
    return not etag.startswith("W/") and etag.isascii() and etag.isprintable()


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _unreachable(reason: str) -> SourceFailed:
    return SourceFailed(SourceTrouble.UNREACHABLE, reason)
