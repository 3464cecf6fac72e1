"""Look at the first bytes of a picture: its format and its sides."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["jpeg", "webp", "png"]
NO_FRAME = (0xC4, 0xC8, 0xCC)
"""JPEG markers among C0 to CF that begin no frame."""

SIZE_BYTES = {b"VP8X": 10, b"VP8L": 5, b"VP8 ": 10}
"""How much of a WebP's first chunk tells its sides."""

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Picture:
    """Hold what a picture says of itself; `sides` is None where it says nothing."""

    format: Format
    sides: tuple[int, int] | None


def look_at_picture(head: bytes) -> Picture | None:
    """Recognise a picture by its first bytes; None if it is no known one."""
    if head.startswith(b"\xff\xd8\xff"):
        return Picture("jpeg", _jpeg_sides(head))
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Picture("webp", _webp_sides(head))
    if head.startswith(PNG):
        return Picture("png", None)
    return None


def _jpeg_sides(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in NO_FRAME:
            return _big(head[at + 7 : at + 9]), _big(head[at + 5 : at + 7])
        at += 2 + _big(head[at + 2 : at + 4])
    return None


def _webp_sides(head: bytes) -> tuple[int, int] | None:
    kind, body = head[12:16], head[20:30]
    if len(body) < SIZE_BYTES.get(kind, 0):
        return None
    if kind == b"VP8X":
        return _little(body[4:7]) + 1, _little(body[7:10]) + 1
    if kind == b"VP8L":
        bits = _little(body[1:5])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return _little(body[6:8]) & 0x3FFF, _little(body[8:10]) & 0x3FFF
    return None


def _big(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _little(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
