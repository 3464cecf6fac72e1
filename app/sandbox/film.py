"""Look at the head of an MP4: duration, sides and frame rate, if they stand there."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Film:
    """Hold what a video says of itself; what it does not say is None."""

    seconds: float | None
    sides: tuple[float, float] | None
    frame_rate: float | None


def look_at_film(head: bytes) -> Film | None:
    """Read the movie box (ISO 14496-12); None unless it lies whole within the head."""
    if head[4:8] != b"ftyp":
        return None
    try:
        return next((_film(body) for body in _inside(head, b"moov")), None)
    except (struct.error, ValueError, ZeroDivisionError):
        return None


def _film(moov: bytes) -> Film:
    seconds = next((_seconds(body) for body in _inside(moov, b"mvhd")), None)
    for track in _inside(moov, b"trak"):
        media = next(_inside(track, b"mdia"), b"")
        if next(_inside(media, b"hdlr"), b"")[8:12] == b"vide":
            return Film(seconds, _sides(track), _frame_rate(media))
    return Film(seconds, None, None)


def _seconds(header: bytes) -> float | None:
    # mvhd and mdhd begin alike: version, two times, time scale, duration.
    if header[:1] == b"\x01":
        scale, duration = struct.unpack_from(">IQ", header, 20)
    else:
        scale, duration = struct.unpack_from(">II", header, 12)
    return float(duration / scale) if scale else None


def _sides(track: bytes) -> tuple[float, float] | None:
    header = next(_inside(track, b"tkhd"), b"")
    if len(header) < 8:
        return None
    width, height = struct.unpack(">II", header[-8:])  # fixed point, 16.16
    return width / 65536, height / 65536


def _frame_rate(media: bytes) -> float | None:
    header = next(_inside(media, b"mdhd"), b"")
    table = next(_inside(next(_inside(media, b"minf"), b""), b"stbl"), b"")
    times = next(_inside(table, b"stts"), b"")
    if not header or len(times) < 16:
        return None
    scale = struct.unpack_from(">I", header, 20 if header[:1] == b"\x01" else 12)[0]
    count = struct.unpack_from(">I", times, 4)[0]
    entries = list(struct.iter_unpack(">II", times[8 : 8 + 8 * count]))
    ticks = sum(frames * delta for frames, delta in entries)
    return float(sum(frames for frames, _ in entries) * scale / ticks)


def _inside(data: bytes, wanted: bytes) -> Iterator[bytes]:
    """Yield the bodies of the boxes of this type that lie whole within the data."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            size, start = struct.unpack_from(">Q", data, start)[0], at + 16
        if size < start - at:
            return
        if kind == wanted and at + size <= len(data):
            yield data[start : at + size]
        at += size
