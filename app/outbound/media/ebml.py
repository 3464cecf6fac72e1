"""Read WebM and Matroska files, which are nested elements. Pure; no input raises.

RFC 8794 (EBML) and RFC 9559 (Matroska).
"""

import math
import struct
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

EBML: Final = 0x1A45DFA3
MAGIC: Final = EBML.to_bytes(4, "big")
DOC_TYPE: Final = 0x4282
SEGMENT: Final = 0x18538067
INFO: Final = 0x1549A966
TIMESTAMP_SCALE: Final = 0x2AD7B1  # nanoseconds
DURATION: Final = 0x4489  # in that scale

DEFAULT_SCALE: Final = 1_000_000
NANOSECONDS: Final = 1e9
MOST_ELEMENTS: Final = 200


class Element(Struct, frozen=True):
    """An element's id and the position of its content."""

    id: int
    start: int
    end: int  # may be beyond the bytes read


def read_webm(head: bytes) -> tuple[str, float | None]:
    """Read a file's first bytes: its container, and its seconds if they are stated."""
    top = {each.id: each for each in _elements(head, 0, len(head))}
    kind = _content(head, _child(head, top.get(EBML), DOC_TYPE))
    container = "webm" if kind.rstrip(b"\0") == b"webm" else "matroska"
    return container, _seconds(head, _child(head, top.get(SEGMENT), INFO))


def _seconds(data: bytes, info: Element | None) -> float | None:
    if info is None or info.end > len(data):
        return None
    raw = _content(data, _child(data, info, TIMESTAMP_SCALE))
    form = {4: ">f", 8: ">d"}.get(
        len(duration := _content(data, _child(data, info, DURATION)))
    )
    if form is None or len(raw) > 8:
        return None
    scale = int.from_bytes(raw, "big") or DEFAULT_SCALE
    seconds = float(struct.unpack(form, duration)[0] * scale / NANOSECONDS)
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _elements(data: bytes, at: int, end: int) -> Iterator[Element]:
    for _ in range(MOST_ELEMENTS):
        name, size_at = _number(data, at, keeps_marker=True)
        size, start = _number(data, size_at, keeps_marker=False)
        if name is None or start > end:
            return
        # An element of unknown size, as in live recordings, goes to the end.
        at = end if size is None else start + size
        yield Element(name, start, at)


def _number(data: bytes, at: int, *, keeps_marker: bool) -> tuple[int | None, int]:
    """Read a number of variable length, and where it ends; None if it is unknown."""
    length = 9 - data[at].bit_length() if at < len(data) else 9
    raw = data[at : at + length]
    if length > 8 or len(raw) < length:
        return None, len(data) + 1
    value, marker = int.from_bytes(raw, "big"), 1 << 7 * length
    if keeps_marker:
        return value, at + length
    unknown = value == 2 * marker - 1
    return (None if unknown else value - marker), at + length


def _child(data: bytes, inside: Element | None, name: int) -> Element | None:
    if inside is None:
        return None
    children = _elements(data, inside.start, min(inside.end, len(data)))
    return next((each for each in children if each.id == name), None)


def _content(data: bytes, element: Element | None) -> bytes:
    return b"" if element is None else data[element.start : element.end]
