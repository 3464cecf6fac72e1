"""Assets that are served well, badly, slowly, or not at all."""

import asyncio
import hashlib
import random
import struct
import zlib

import httpx
import pytest

from tests.sandbox.support import TikTok, all_served
from tests.support.patience import PATIENCE_SECONDS

VIDEO = "/_sandbox/video.mp4"
JPEG, WEBP, PNG = (f"/_sandbox/photo.{kind}" for kind in ("jpg", "webp", "png"))
BIG = 300_000

BRIEFLY = 0.1
"""Seconds: what is asked for never comes, however long one waits."""


async def fetch(tiktok: TikTok, query: str, **headers: str) -> httpx.Response:
    """Get a video by its query string."""
    return await tiktok.http.get(f"{VIDEO}?{query}", headers=headers)


async def test_seeded_bytes_differ_everywhere(tiktok: TikTok) -> None:
    """No two blocks are alike, so a lost or doubled part changes the hash."""
    whole = (await fetch(tiktok, f"bytes={BIG}&seed=1")).content
    blocks = [whole[at : at + 4096] for at in range(0, BIG - 4096, 4096)]
    assert len(set(blocks)) == len(blocks)
    other = (await fetch(tiktok, f"bytes={BIG}&seed=2")).content
    assert len(whole) == len(other) == BIG
    assert whole != other


@pytest.mark.parametrize(
    "query", ["seed=1", "duration=3", "moov=end&seed=5", "seed=7&fps=30&moov=start"]
)
async def test_parts_are_parts_of_the_whole(tiktok: TikTok, query: str) -> None:
    """Wherever they begin and end."""
    whole = (await fetch(tiktok, f"bytes={BIG}&{query}")).content
    chance = random.Random(1)
    for _ in range(20):
        first = chance.randrange(len(whole))
        last = chance.randrange(first, len(whole))
        part = await fetch(
            tiktok, f"bytes={BIG}&{query}", range=f"bytes={first}-{last}"
        )
        assert part.content == whole[first : last + 1]


async def test_the_digest_of_an_asset_can_be_asked_for(tiktok: TikTok) -> None:
    """The digest of an asset of any length is told without a fetch."""
    whole = (await fetch(tiktok, f"bytes={BIG}&seed=1")).content
    for query in (f"bytes={BIG}&seed=1", f"bytes={BIG}&seed=1&goneAfter=0"):
        digest = (await fetch(tiktok, f"{query}&digest=1")).json()
        assert digest == {"bytes": BIG, "sha256": hashlib.sha256(whole).hexdigest()}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_range_can_be_switched_off(tiktok: TikTok, method: str) -> None:
    """A request for a range gets the whole file and no hint of ranges."""
    answer = await tiktok.http.request(
        method, f"{VIDEO}?bytes=1000&range=0", headers={"range": "bytes=10-19"}
    )
    assert answer.status_code == 200
    assert answer.headers["content-length"] == "1000"
    assert "accept-ranges" not in answer.headers


async def test_an_etag_stays_and_if_range_asks_for_it(tiktok: TikTok) -> None:
    """The part if it is still the same, else the whole."""
    first = await fetch(tiktok, "bytes=1000&etag=v1")
    assert first.headers["etag"] == '"v1"'
    for tag, status in (('"v1"', 206), ('"v2"', 200)):
        headers = {"range": "bytes=0-9", "if-range": tag}
        answer = await fetch(tiktok, "bytes=1000&etag=v1", **headers)
        assert answer.status_code == status
    weak = await fetch(tiktok, 'etag=W/"v1"')
    assert weak.headers["etag"] == 'W/"v1"'


async def test_an_asset_can_change_under_the_eyes(tiktok: TikTok) -> None:
    """Every second GET it is another one: other bytes, another ETag."""
    query = "bytes=1000&changeAfter=2"
    answers = [await fetch(tiktok, query) for _ in range(4)]
    tags = [answer.headers["etag"] for answer in answers]
    assert tags == ['"sandbox-0"'] * 2 + ['"sandbox-1"'] * 2
    assert answers[0].content == answers[1].content != answers[2].content
    stale = {"range": "bytes=0-9", "if-range": tags[-1]}
    assert (await fetch(tiktok, query, **stale)).status_code == 200


async def test_an_asset_can_go_away(tiktok: TikTok) -> None:
    """A link that is good for two; each address has its own count, HEAD counts not."""
    for address, statuses in (("n=1", [200, 200, 404]), ("n=2", [200])):
        query = f"goneAfter=2&{address}"
        await tiktok.http.head(f"{VIDEO}?{query}")
        got = [(await fetch(tiktok, query)).status_code for _ in statuses]
        assert got == statuses


async def test_a_length_can_be_a_lie(tiktok: TikTok) -> None:
    """Too long: the connection ends early. Too short: the rest does not come."""
    with pytest.raises(httpx.RemoteProtocolError):
        await fetch(tiktok, "bytes=1000&length=2000")
    short = await fetch(tiktok, "bytes=1000&length=400")
    assert (short.headers["content-length"], len(short.content)) == ("400", 400)
    lied = await fetch(tiktok, "bytes=1000&total=999", range="bytes=0-9")
    assert lied.headers["content-range"] == "bytes 0-9/999"


async def test_a_length_can_be_missing(tiktok: TikTok) -> None:
    """The body ends where it ends."""
    answer = await fetch(tiktok, "bytes=1000&noLength=1")
    assert "content-length" not in answer.headers
    assert len(answer.content) == 1000


async def test_head_can_say_something_else(tiktok: TikTok) -> None:
    """HEAD can answer another status, length or type than GET."""
    address = f"{VIDEO}?bytes=10&type=binary/octet-stream"
    head = await tiktok.http.head(f"{address}&headLength=7&headType=text/html")
    assert head.headers["content-length"] == "7"
    assert head.headers["content-type"] == "text/html"
    refused = f"{address}&headStatus=405"
    assert (await tiktok.http.head(refused)).status_code == 405
    got = await tiktok.http.get(refused)
    assert (got.status_code, got.headers["content-type"]) == (
        200,
        "binary/octet-stream",
    )


@pytest.mark.parametrize(
    ("query", "status", "location"),
    [
        ("redirect=1", 302, VIDEO),
        ("redirect=1&status=307", 307, VIDEO),
        ("location=http://10.0.0.1/v.mp4", 302, "http://10.0.0.1/v.mp4"),
    ],
)
async def test_an_asset_can_be_elsewhere(
    tiktok: TikTok, query: str, status: int, location: str
) -> None:
    """An asset can redirect to any address, private ones too."""
    answer = await fetch(tiktok, query)
    assert (answer.status_code, answer.headers["location"]) == (status, location)


async def read_on(
    tiktok: TikTok,
    query: str,
    received: bytearray,
    *,
    patience: float = PATIENCE_SECONDS,
) -> None:
    """Read an asset as far as it goes."""
    path = f"{VIDEO}?bytes={BIG}&{query}"
    patient = httpx.Timeout(PATIENCE_SECONDS, read=patience)
    async with tiktok.http.stream("GET", path, timeout=patient) as answer:
        async for piece in answer.aiter_raw():
            received += piece


@pytest.mark.parametrize("query", ["cutAfter=100000", "cutAfter=0"])
async def test_an_asset_can_be_cut_off(tiktok: TikTok, query: str) -> None:
    """An asset's connection can be reset after so many bytes."""
    received = bytearray()
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        await read_on(tiktok, query, received)
    assert len(received) <= 100_000


async def test_an_asset_can_stall(tiktok: TikTok) -> None:
    """An asset can fall silent after so many bytes, until the caller leaves."""
    received = bytearray()
    with pytest.raises(httpx.ReadTimeout):
        await read_on(tiktok, "stallAfter=1000", received, patience=2)
    assert len(received) == 1000
    await asyncio.wait_for(all_served(), timeout=PATIENCE_SECONDS)


async def test_an_asset_can_be_slow(tiktok: TikTok) -> None:
    """Bit by bit, after a while, and whole in the end."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await fetch(
        tiktok, "bytes=1000&seed=1&bytesPerSecond=10000&delaySeconds=0.1"
    )
    assert loop.time() - began >= 0.2
    assert answer.content == (await fetch(tiktok, "bytes=1000&seed=1")).content


async def test_a_slow_asset_ends_when_nobody_listens(tiktok: TikTok) -> None:
    """A caller that gives up leaves no task behind."""
    path = f"bytes={BIG}&bytesPerSecond=100"
    waiting = asyncio.create_task(fetch(tiktok, path))
    done, _ = await asyncio.wait({waiting}, timeout=BRIEFLY)
    assert not done
    waiting.cancel()
    await asyncio.wait_for(all_served(), timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize(
    "query", ["bytes=many", "status=99", "moov=middle", "width=0", "range=perhaps"]
)
async def test_nonsense_about_an_asset_is_refused(tiktok: TikTok, query: str) -> None:
    """422 says what; unknown names alone are ignored."""
    answer = await fetch(tiktok, query)
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["detail"]
    assert (await fetch(tiktok, "bites=1")).status_code == 200


@pytest.mark.parametrize(
    ("path", "media_type", "magic"),
    [
        (JPEG, "image/jpeg", b"\xff\xd8\xff"),
        (WEBP, "image/webp", b"RIFF"),
        (PNG, "image/png", b"\x89PNG"),
    ],
)
async def test_pictures_are_of_their_kind(
    tiktok: TikTok, path: str, media_type: str, magic: bytes
) -> None:
    """Type and first bytes agree; more bytes can be asked for."""
    answer = await tiktok.http.get(path)
    assert answer.headers["content-type"] == media_type
    assert answer.content.startswith(magic)
    longer = await tiktok.http.get(f"{path}?bytes={BIG}")
    assert len(longer.content) == BIG
    assert longer.content.startswith(answer.content)


async def test_a_jpeg_says_its_sides_and_holds_every_block(tiktok: TikTok) -> None:
    """Two bits for each 8 by 8 pixels, the last byte filled up with ones."""
    picture = (await tiktok.http.get(f"{JPEG}?width=100&height=41")).content
    frame = picture.index(b"\xff\xc0")
    assert struct.unpack(">HH", picture[frame + 5 : frame + 9]) == (41, 100)
    scan = picture[picture.index(b"\xff\xda") + 10 : -2]
    assert scan == bytes(13 * 6 * 2 // 8) + b"\x0f"
    assert picture.endswith(b"\xff\xd9")


async def test_a_png_holds_every_line(tiktok: TikTok) -> None:
    """One bit a pixel, and a filter byte a line."""
    picture = (await tiktok.http.get(f"{PNG}?width=9&height=5")).content
    assert struct.unpack(">II", picture[16:24]) == (9, 5)
    start = picture.index(b"IDAT") + 4
    assert zlib.decompress(picture[start : picture.index(b"IEND") - 8]) == bytes(15)


async def test_a_webp_says_its_sides(tiktok: TikTok) -> None:
    """Fourteen bits each, less one, behind the signature of a lossless picture."""
    picture = (await tiktok.http.get(f"{WEBP}?width=1000&height=3")).content
    assert picture[12:16] == b"VP8L"
    assert picture[20] == 0x2F
    bits = int.from_bytes(picture[21:25], "little")
    assert (bits & 0x3FFF, bits >> 14 & 0x3FFF) == (999, 2)
    assert struct.unpack("<I", picture[4:8])[0] == len(picture) - 8
