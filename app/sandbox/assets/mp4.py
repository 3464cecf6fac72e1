"""A little MP4 by hand: it says how long, large and fast it is, and shows nothing.

The boxes are those of ISO 14496-12, the decoder's record that of ISO 14496-15. Probers
read them; the frames themselves are filling, which no decoder would show.
"""

import struct
from dataclasses import dataclass
from typing import Literal

from app.sandbox.assets.content import Content

SCALE = 90_000
"""Ticks a second, in which common frame rates are whole."""

LEAST_FRAME = 16
MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


@dataclass(frozen=True, slots=True)
class Shape:
    """Say what the video claims to be; its length comes out in whole frames."""

    seconds: float
    width: int
    height: int
    frame_rate: float
    codec: str

    @property
    def delta(self) -> int:
        """Give the ticks of one frame."""
        return max(round(SCALE / self.frame_rate), 1)

    @property
    def frames(self) -> int:
        """Count the frames, at least one."""
        return max(round(self.seconds * SCALE / self.delta), 1)

    @property
    def ticks(self) -> int:
        """Give the duration in ticks."""
        return self.frames * self.delta


def mp4(
    shape: Shape, *, size: int, moov: Literal["start", "end"], seed: int | None
) -> Content:
    """Make a video of this shape and at least this size, its index at either end."""
    kind = _box(b"ftyp", b"mp42", struct.pack(">I", 0), b"mp42isom")
    index = len(_movie(shape, LEAST_FRAME, 0))
    before = len(kind) + (index if moov == "start" else 0) + 16
    after = index if moov == "end" else 0
    filling = max(size - before - after, shape.frames * LEAST_FRAME)
    movie = _movie(shape, filling // shape.frames, before)
    media = struct.pack(">I4sQ", 1, b"mdat", 16 + filling)
    if moov == "start":
        return Content(kind + movie + media, filling, b"", seed)
    return Content(kind + media, filling, movie, seed)


def _movie(shape: Shape, frame_bytes: int, media_at: int) -> bytes:
    return _box(b"moov", _movie_header(shape), _track(shape, frame_bytes, media_at))


def _movie_header(shape: Shape) -> bytes:
    times = struct.pack(">IIII", 0, 0, SCALE, shape.ticks)
    speed = struct.pack(">IH10x", 0x10000, 0x100)
    return _full(b"mvhd", times, speed, MATRIX, bytes(24), struct.pack(">I", 2))


def _track(shape: Shape, frame_bytes: int, media_at: int) -> bytes:
    header = _full(
        b"tkhd",
        struct.pack(">IIIII", 0, 0, 1, 0, shape.ticks),
        bytes(16),
        MATRIX,
        struct.pack(">II", shape.width << 16, shape.height << 16),
        flags=3,
    )
    # 0x55C4 is the language: undetermined.
    times = struct.pack(">IIIIHH", 0, 0, SCALE, shape.ticks, 0x55C4, 0)
    handler = _full(b"hdlr", bytes(4), b"vide", bytes(12), b"video\0")
    location = _full(b"url ", flags=1)
    references = _full(b"dref", struct.pack(">I", 1), location)
    information = _box(
        b"minf",
        _full(b"vmhd", bytes(8), flags=1),
        _box(b"dinf", references),
        _samples(shape, frame_bytes, media_at),
    )
    return _box(
        b"trak", header, _box(b"mdia", _full(b"mdhd", times), handler, information)
    )


def _samples(shape: Shape, frame_bytes: int, media_at: int) -> bytes:
    frames = shape.frames
    return _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), _entry(shape)),
        _full(b"stts", struct.pack(">III", 1, frames, shape.delta)),
        _full(b"stsc", struct.pack(">IIII", 1, 1, frames, 1)),
        _full(b"stsz", struct.pack(">II", frame_bytes, frames)),
        _full(b"co64", struct.pack(">IQ", 1, media_at)),
    )


def _entry(shape: Shape) -> bytes:
    name = shape.codec.encode().ljust(4)[:4]
    sides = struct.pack(">HH", shape.width & 0xFFFF, shape.height & 0xFFFF)
    resolution = struct.pack(">IIIH32xHh", 0x480000, 0x480000, 0, 1, 24, -1)
    start = struct.pack(">6xH16x", 1)
    record = _avc_record(shape) if name == b"avc1" else b""
    return _box(name, start, sides, resolution, record)


def _avc_record(shape: Shape) -> bytes:
    sequence, picture = _sequence_set(shape), bytes.fromhex("68ce3880")
    return _box(
        b"avcC",
        bytes((1, 66, 0, 51, 0xFF, 0xE1)),
        struct.pack(">H", len(sequence)),
        sequence,
        struct.pack(">BH", 1, len(picture)),
        picture,
    )


def _sequence_set(shape: Shape) -> bytes:
    """Write the sequence parameter set (ITU-T H.264, 7.3.2.1.1), baseline profile."""
    across, down = -(-shape.width // 16), -(-shape.height // 16)
    right, bottom = (across * 16 - shape.width) // 2, (down * 16 - shape.height) // 2
    bits = "".join(
        (
            *map(_golomb, (0, 0, 2, 1)),  # id, frame numbers, order, references
            "0",
            _golomb(across - 1),
            _golomb(down - 1),
            "11",  # frames only, 8 x 8 inference
            "1" + "".join(map(_golomb, (0, right, 0, bottom))),
            "0",  # no further hints
            "1",
        )
    )
    bits += "0" * (-len(bits) % 8)
    raw = bytes((66, 0, 51)) + int(bits, 2).to_bytes(len(bits) // 8, "big")
    for low in range(4):
        # Three bytes that would look like a start code are kept apart.
        raw = raw.replace(bytes((0, 0, low)), bytes((0, 0, 3, low)))
    return b"\x67" + raw


def _golomb(number: int) -> str:
    digits = f"{number + 1:b}"
    return "0" * (len(digits) - 1) + digits


def _full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body
