"""Pictures of one colour, as small as their format allows, in any size."""

import struct
import zlib
from typing import Literal

PictureFormat = Literal["jpeg", "webp", "png"]
MAX_SIDE = 10_000


def picture(kind: PictureFormat, width: int, height: int) -> bytes:
    """Draw a picture; sides are in pixels."""
    match kind:
        case "jpeg":
            return _jpeg(width, height)
        case "webp":
            return _webp(width, height)
        case "png":
            return _png(width, height)


def _jpeg(width: int, height: int) -> bytes:
    """Write a grey baseline JPEG (ITU-T T.81).

    Its code tables have one code each, of one bit: "no difference" and "end of block".
    So a block of 8 by 8 pixels takes two bits, both 0.
    """
    blocks = -(-width // 8) * -(-height // 8)
    whole, rest = divmod(blocks * 2, 8)
    scan = bytes(whole) + (bytes((0xFF >> rest,)) if rest else b"")
    one_code = bytes((1, *([0] * 15), 0))
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"),
            _segment(0xDB, b"\0" + b"\x01" * 64),
            _segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\0"),
            _segment(0xC4, b"\x00" + one_code),
            _segment(0xC4, b"\x10" + one_code),
            _segment(0xDA, b"\x01\x01\0\0\x3f\0"),
            scan,
            b"\xff\xd9",
        )
    )


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _webp(width: int, height: int) -> bytes:
    """Write a lossless WebP (RFC 9649): five codes of one symbol, so no pixel data."""
    bits = (width - 1) | (height - 1) << 14  # then: no alpha, version 0
    at = 32 + 3  # neither transforms, nor a colour cache, nor further codes
    for _ in range(5):
        bits |= 1 << at  # simple, one symbol, of one bit: 0
        at += 4
    body = b"\x2f" + bits.to_bytes(-(-at // 8), "little")
    chunk = struct.pack("<4sI", b"VP8L", len(body)) + body + b"\0" * (len(body) % 2)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunk), b"WEBP") + chunk


def _png(width: int, height: int) -> bytes:
    """Write a black PNG of one bit a pixel (RFC 2083)."""
    lines = zlib.compress(bytes((-(-width // 8) + 1) * height))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", lines), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body))
        + name
        + body
        + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
