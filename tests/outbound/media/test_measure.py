"""Measured as the libraries measure it that read whole files."""

import io
from collections.abc import AsyncIterator

import httpx
import pymediainfo
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.outbound.client import Outbound
from app.outbound.media.at_once import MOST_AT_A_TIME, SPARED_SECONDS, AtOnce
from app.outbound.media.boxes import read_box, read_movie
from app.outbound.media.measure import Measurer
from app.outbound.media.pictures import kind_of, sides_of
from app.sandbox.server import RunningSandbox, running_sandbox
from tests.tiktok import chaos
from tests.tiktok.chaos import response

ANYBODY = Outbound(allow_private=True)


@pytest.fixture
async def assets() -> AsyncIterator[RunningSandbox]:
    """Serve real little films and pictures."""
    async with running_sandbox() as sandbox:
        yield sandbox


async def fetched(url: str) -> bytes:
    """Fetch all of a file."""
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).content


@pytest.mark.parametrize("moov", ["start", "end"])
@pytest.mark.parametrize(
    "film", ["duration=12.5&fps=30", "duration=601&fps=25&width=720&height=1280"]
)
async def test_a_film_is_measured_as_mediainfo_does(
    assets: RunningSandbox, film: str, moov: str
) -> None:
    """Some kilobytes are enough, wherever the file's tables are."""
    url = f"{assets.url}/_sandbox/video.mp4?{film}&moov={moov}"
    measured = await Measurer(ANYBODY).film(url)
    whole = await fetched(url)
    info = pymediainfo.MediaInfo.parse(io.BytesIO(whole))
    video = info.video_tracks[0]
    assert measured.size == len(whole)
    assert measured.seconds == pytest.approx(info.general_tracks[0].duration / 1000)
    assert (measured.width, measured.height) == (video.width, video.height)
    assert measured.frame_rate == pytest.approx(float(video.frame_rate))
    assert (measured.container, measured.codec) == ("mp4", "avc1")


def picture(kind: str, sides: tuple[int, int], **more: object) -> bytes:
    """Make a picture."""
    made = io.BytesIO()
    Image.new("RGB", sides).save(made, kind, **more)
    return made.getvalue()


@pytest.mark.parametrize("sides", [(1, 1), (1080, 1927), (4000, 3000)])
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"exif": b"Exif\0\0" + b"x" * 60_000}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"lossless": False}),
        ("WEBP", {"exif": b"Exif\0\0" + b"x" * 100}),
        ("PNG", {}),
    ],
)
def test_a_picture_is_measured_as_pillow_does(
    kind: str, more: dict[str, object], sides: tuple[int, int]
) -> None:
    """A picture's first bytes are enough to measure it as Pillow does."""
    made = picture(kind, sides, **more)[: 128 * 1024]
    assert kind_of(made) == kind.lower()
    assert sides_of(made) == sides


@given(st.binary(max_size=300))
def test_whatever_arrives_raises_nothing(data: bytes) -> None:
    """A hostile file is at most one of which nothing is known."""
    read_movie(data)
    read_box(data, 0, len(data))
    for magic in (b"\xff\xd8\xff", b"RIFF1234WEBPVP8X", b"\x89PNG\r\n\x1a\n"):
        sides_of(magic + data)


@pytest.mark.parametrize(
    "raw",
    [
        response(b"", status=404),
        response(b"x"),
        response(b"\0" * 100_000),
        response(b"\0\0\0\x18ftypisom" + b"\xff" * 100),
        response(b"\0\0\0\x08moov"),
    ],
    ids=["not found", "tiny", "zeros", "a box without end", "empty"],
)
async def test_what_cannot_be_told_is_no_verdict(raw: bytes) -> None:
    """What a file does not say is not guessed: neither length nor sides."""
    async with chaos.serving(chaos.answering(raw)) as url:
        film = await Measurer(ANYBODY).film(f"{url}/v.mp4")
    assert film.is_video
    assert (film.seconds, film.width, film.frame_rate) == (None, None, None)


async def test_a_film_in_fragments_has_no_length_that_is_certain(
    assets: RunningSandbox,
) -> None:
    """What its head says is not all of it."""
    whole = await fetched(f"{assets.url}/_sandbox/video.mp4?duration=9")
    at = whole.index(b"moov") + 4
    mvex = b"\0\0\0\x08mvex"
    assert read_movie(whole[at:]).seconds == pytest.approx(9, abs=0.1)
    assert read_movie(mvex + whole[at:]).seconds is None


async def test_a_file_that_is_no_film_is_told_so(assets: RunningSandbox) -> None:
    """A picture under a film's name."""
    film = await Measurer(ANYBODY).film(f"{assets.url}/_sandbox/photo.png")
    assert (film.is_video, film.container) == (False, "png")


async def test_a_host_that_does_not_answer_is_spared() -> None:
    """A silent host is not asked for a minute: no posts wait for it."""
    time = 0.0
    at_once = AtOnce(ANYBODY, now=lambda: time)
    asked = 0

    async def count(reader: object, writer: object) -> None:
        nonlocal asked
        asked += 1

    async with chaos.serving(count) as url:
        for _ in range(3):
            assert await at_once.seconds(f"{url}/v.mp4") is None
        assert asked == 1
        time = SPARED_SECONDS + 1
        assert await at_once.seconds(f"{url}/v.mp4") is None
        assert asked == 2
    assert MOST_AT_A_TIME >= 1
