"""WebM: its length from the first bytes, as a library tells it that reads it whole."""

import io
import struct
from typing import Final

import pymediainfo
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.outbound.client import Outbound
from app.outbound.media.ebml import MAGIC, read_webm
from app.outbound.media.measure import Measurer, seconds_in
from tests.tiktok import chaos
from tests.tiktok.chaos import response

UNKNOWN_SIZE: Final = b"\x01" + b"\xff" * 7


def element(name: int, content: bytes, *, size: bytes | None = None) -> bytes:
    """Make an element."""
    told = size or (1 << 56 | len(content)).to_bytes(8, "big")
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + told + content


def webm(
    ticks: bytes,
    *,
    scale: bytes = b"\x0f\x42\x40",
    kind: bytes = b"webm",
    size: bytes | None = None,
) -> bytes:
    """Make a file that says how long it is, and has a track of VP9."""
    head = element(
        0x1A45DFA3, element(0x4282, kind) + element(0x4287, b"\4") + b"\x42\x85\x81\2"
    )
    times = element(0x2AD7B1, scale) + element(0x4489, ticks)
    info = element(0x1549A966, times + element(0x4D80, b"us"))
    sides = element(0xB0, b"\x02\xd0") + element(0xBA, b"\x05\x00")
    track = element(0xD7, b"\1") + element(0x83, b"\1") + element(0x86, b"V_VP9")
    tracks = element(0x1654AE6B, element(0xAE, track + element(0xE0, sides)))
    body = element(0xEC, bytes(10)) + info + tracks
    return head + element(0x18538067, body, size=size)


@pytest.mark.parametrize(
    ("ticks", "scale"),
    [
        (struct.pack(">d", 12_500.0), b"\x0f\x42\x40"),
        (struct.pack(">f", 12.5), b"\x3b\x9a\xca\x00"),
    ],
    ids=["milliseconds", "seconds"],
)
def test_its_length_is_what_mediainfo_says(ticks: bytes, scale: bytes) -> None:
    """A WebM's length is what mediainfo says, in whatever unit the file counts."""
    made = webm(ticks, scale=scale)
    general = pymediainfo.MediaInfo.parse(io.BytesIO(made)).general_tracks[0]
    assert general.duration == 12_500
    assert read_webm(made) == ("webm", 12.5)
    assert seconds_in(made, len(made)) == 12.5


def test_a_live_recording_may_have_a_segment_of_unknown_size() -> None:
    """What is in it can be read all the same."""
    made = webm(struct.pack(">d", 9000.0), size=UNKNOWN_SIZE)
    assert read_webm(made) == ("webm", 9.0)


@pytest.mark.parametrize(
    "ticks",
    [b"", b"\0" * 3, struct.pack(">d", 0.0), struct.pack(">d", float("nan"))],
    ids=["empty", "odd", "nothing", "no number"],
)
def test_a_length_that_is_none_is_not_told(ticks: bytes) -> None:
    """Only a certain length may reject a post."""
    assert read_webm(webm(ticks)) == ("webm", None)


def test_what_breaks_off_tells_no_length() -> None:
    """The scale may stand in what is missing."""
    made = webm(struct.pack(">d", 12_500.0))
    whole = made.index(b"us") + 2
    assert read_webm(made[:whole]) == ("webm", 12.5)
    assert all(read_webm(made[:end])[1] is None for end in range(whole))


def test_matroska_is_told_from_webm() -> None:
    """Both begin alike."""
    assert read_webm(webm(b"", kind=b"matroska"))[0] == "matroska"


@given(st.binary(max_size=300))
def test_whatever_arrives_raises_nothing(data: bytes) -> None:
    """A hostile file is at most one of which nothing is known."""
    for head in (b"", MAGIC, webm(b"")[:40], webm(b"")[:-60]):
        _, seconds = read_webm(head + data)
        assert seconds is None or seconds > 0


async def test_a_look_at_a_webm_tells_its_length() -> None:
    """The first bytes of a WebM are enough to tell its length."""
    made = webm(struct.pack(">d", 12_500.0)) + bytes(100_000)
    async with chaos.serving(chaos.answering(response(made))) as url:
        film = await Measurer(Outbound(allow_private=True)).film(f"{url}/v.webm")
    assert (film.container, film.seconds, film.size) == ("webm", 12.5, len(made))
