"""Read a photo's kind and size from its first bytes. Pure; no input raises."""

import struct
from typing import Final

Sides = tuple[int, int]

_HEIC: Final = (b"heic", b"heix", b"mif1", b"hevc", b"msf1")
_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's start-of-frame markers, which are followed by the size."""
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length


def kind_of(head: bytes) -> str | None:
    """Recognise a file by its first bytes; None if unknown."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:6] in {b"GIF87a", b"GIF89a"}:
        return "gif"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        return "heic"
    return None


def sides_of(head: bytes) -> Sides | None:
    """Read width and height; None if they are not in these bytes."""
    try:
        match kind_of(head):
            case "jpeg":
                return _jpeg(head)
            case "webp":
                return _webp(head)
            case "png":
                width, height = struct.unpack_from(">II", head, 16)
                return width, height
            case _:
                return None
    except (struct.error, IndexError):
        return None


def _jpeg(head: bytes) -> Sides | None:
    at = 2
    while at + 4 <= len(head):
        if head[at] != 0xFF:
            return None
        marker = head[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker in _BARE:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", head, at + 2)
        if marker in _SIZES:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        at += 2 + length
    return None


def _webp(head: bytes) -> Sides | None:
    match head[12:16]:
        case b"VP8X":
            width = int.from_bytes(head[24:27], "little") + 1
            height = int.from_bytes(head[27:30], "little") + 1
            return width, height
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", head, 26)
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return None
