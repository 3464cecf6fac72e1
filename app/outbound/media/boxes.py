"""Read MP4 and MOV files, which are nested boxes. Pure; no input raises.

ISO/IEC 14496-12; QuickTime File Format.
"""

import struct
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

MOST_BOXES: Final = 200
_UNKNOWN: Final = {0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF}


class Box(Struct, frozen=True):
    """A box's name and the position of its content."""

    name: str
    start: int  # of its content
    end: int


class Movie(Struct, frozen=True, kw_only=True):
    """The content of ``moov``."""

    seconds: float | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None  # if it is constant
    codec: str | None = None


def read_box(data: bytes, at: int, end: int) -> Box | None:
    """Read the header of the box at a position; None if there is none.

    ``end`` is the end of the enclosing box, which may be beyond ``data``.
    """
    if at < 0 or at + 8 > len(data):
        return None
    size, name = struct.unpack_from(">I4s", data, at)
    head = 8
    if size == 1:
        if at + 16 > len(data):
            return None
        (size,) = struct.unpack_from(">Q", data, at + 8)
        head = 16
    elif size == 0:
        size = end - at
    if size < head or not name.isascii():
        return None
    return Box(name.decode("ascii"), at + head, at + size)


def read_movie(moov: bytes) -> Movie:
    """Read the content of ``moov``: the length, and the first video track."""
    children = {box.name: box for box in _boxes(moov, 0, len(moov))}
    if "mvex" in children:
        return Movie()  # fragmented: this is only a part
    seconds = None
    if (mvhd := children.get("mvhd")) is not None:
        seconds = _seconds(moov[mvhd.start : mvhd.end])
    for box in _boxes(moov, 0, len(moov)):
        if box.name == "trak":
            track = _track(moov, box)
            if track is not None:
                width, height, rate, codec = track
                return Movie(
                    seconds=seconds,
                    width=width,
                    height=height,
                    frame_rate=rate,
                    codec=codec,
                )
    return Movie(seconds=seconds)


def _boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    at = start
    for _ in range(MOST_BOXES):
        box = read_box(data, at, end)
        if box is None or box.end > len(data):
            return
        yield box
        at = box.end


def _find(data: bytes, inside: Box, *path: str) -> Box | None:
    for name in path:
        boxes = _boxes(data, inside.start, inside.end)
        found = next((box for box in boxes if box.name == name), None)
        if found is None:
            return None
        inside = found
    return inside


def _track(
    data: bytes, trak: Box
) -> tuple[int | None, int | None, float | None, str | None] | None:
    """Read a video track; None for another kind."""
    handler = _find(data, trak, "mdia", "hdlr")
    if handler is None or data[handler.start + 8 : handler.start + 12] != b"vide":
        return None
    width, height = _sides(data, _find(data, trak, "tkhd"))
    tables = _find(data, trak, "mdia", "minf", "stbl")
    times = _find(data, trak, "mdia", "mdhd")
    rate = codec = None
    if tables is not None:
        codec = _codec(data, _find(data, tables, "stsd"))
        rate = _rate(data, _find(data, tables, "stts"), times)
    return width, height, rate, codec


def _seconds(content: bytes) -> float | None:
    """Read the time scale and duration of ``mvhd`` or ``mdhd``."""
    try:
        if content[0] == 1:
            scale, duration = struct.unpack_from(">IQ", content, 20)
        else:
            scale, duration = struct.unpack_from(">II", content, 12)
    except (struct.error, IndexError):
        return None
    if not scale or duration in _UNKNOWN:
        return None
    return float(duration / scale)


def _sides(data: bytes, tkhd: Box | None) -> tuple[int | None, int | None]:
    """Read width and height: the last eight bytes, in 16.16 fixed point."""
    if tkhd is None or tkhd.end - tkhd.start < 8:
        return None, None
    width, height = struct.unpack_from(">II", data, tkhd.end - 8)
    return (width >> 16) or None, (height >> 16) or None


def _codec(data: bytes, stsd: Box | None) -> str | None:
    if stsd is None or stsd.end - stsd.start < 16:
        return None
    name = data[stsd.start + 12 : stsd.start + 16]
    return name.decode("ascii") if name.isascii() else None


def _rate(data: bytes, stts: Box | None, mdhd: Box | None) -> float | None:
    """Return the frame rate if all frames have the same duration."""
    if stts is None or mdhd is None or stts.end - stts.start < 16:
        return None
    entries, count, delta = struct.unpack_from(">III", data, stts.start + 4)
    content = data[mdhd.start : mdhd.end]
    scale_at = 20 if content[:1] == b"\1" else 12
    if entries != 1 or not delta or not count or len(content) < scale_at + 4:
        return None
    (scale,) = struct.unpack_from(">I", content, scale_at)
    return float(scale / delta) if scale else None
