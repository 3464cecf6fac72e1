"""Reading a video from somebody's server: never a wrong byte, and words for why."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace

import pytest
from msgspec import structs

from app.outbound import exchange
from app.outbound.client import Outbound
from app.outbound.source import Source, SourceFailed, SourceInfo, SourceTrouble
from tests.support.patience import PATIENCE_SECONDS
from tests.support.sinks import Bucket
from tests.tiktok import chaos
from tests.tiktok.chaos import response

VIDEO = bytes(range(256)) * 1000
MOST = 10_000_000
KNOWN = SourceInfo(size=len(VIDEO), etag='"v1"', content_type="video/mp4")


@dataclass
class Server:
    """A file's server with whatever manners a test gives it."""

    body: bytes = VIDEO
    etag: str | None = '"v1"'
    ranges: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, head: str) -> bytes:
        """Answer as RFC 9110 says."""
        asked = dict(
            line.split(": ", 1) for line in head.lower().split("\r\n")[1:] if line
        )
        headers = {"Content_Type": "video/mp4", **self.headers}
        if self.etag:
            headers["ETag"] = self.etag
        wanted = asked.get("range", "").removeprefix("bytes=").removesuffix("-")
        same = asked.get("if-range") in {None, (self.etag or "").lower()}
        if not (self.ranges and wanted and same):
            return response(self.body, status=200, **headers)
        first, size = int(wanted), len(self.body)
        if first >= size:
            return response(b"", status=416, Content_Range=f"bytes */{size}")
        headers["Content_Range"] = f"bytes {first}-{size - 1}/{size}"
        return response(self.body[first:], status=206, **headers)

    async def __call__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one request."""
        head = (await chaos.read_request(reader)).decode()
        self.asked.append(head)
        writer.write(self.answer(head))
        await writer.drain()
        await reader.read()


@asynccontextmanager
async def reading(script: chaos.Script, *, most: int = MOST) -> AsyncIterator[Source]:
    """Give a source at a server of its own."""
    async with chaos.serving(script) as url:
        outbound = Outbound(allow_private=True)
        with closing(Source(outbound, f"{url}/v.mp4", most_bytes=most)) as source:
            yield source


async def take(source: Source, length: int) -> bytes:
    """Read so many bytes."""
    bucket = Bucket()
    await source.pour(length, bucket)
    return bucket.content


async def trouble_of(script: chaos.Script, *, most: int = MOST) -> SourceTrouble:
    """Return why a source cannot be read from its beginning to its end."""
    async with reading(script, most=most) as source:
        with pytest.raises(SourceFailed) as failed:
            await take(source, (await source.open()).size)
    assert str(failed.value)
    return failed.value.trouble


@pytest.mark.parametrize("ranges", [True, False])
async def test_it_is_read_in_order_whatever_the_server_knows_of_ranges(
    ranges: bool,
) -> None:
    """A source is read from the start, whether or not the server knows ranges."""
    async with reading(Server(ranges=ranges)) as source:
        assert await source.open() == KNOWN
        assert await take(source, 100) == VIDEO[:100]
        assert await take(source, len(VIDEO) - 100) == VIDEO[100:]


async def test_no_piece_is_large() -> None:
    """What a slow upload host has not taken is what stays in memory."""
    bucket = Bucket()
    async with reading(Server()) as source:
        await source.open()
        await source.pour(len(VIDEO), bucket)
    assert max(map(len, bucket.pieces)) <= 64 * 1024


async def test_a_full_sink_gets_no_more_than_what_is_under_way() -> None:
    """A fast source waits for a slow upload host, and does not fill our memory."""
    server = Server(body=VIDEO * 30)
    bucket = Bucket(is_full=True)
    async with reading(server) as source:
        await source.open()
        pouring = asyncio.create_task(source.pour(len(server.body), bucket))
        former = -1
        while len(bucket.content) != former:  # until no more comes
            former = len(bucket.content)
            await asyncio.sleep(0.2)
        assert len(bucket.content) <= exchange.READ_BYTES
        bucket.change(is_full=False)
        await pouring
    assert bucket.content == server.body


async def test_a_sink_that_is_over_gets_no_more() -> None:
    """Its host has answered: nobody wants the rest, and nobody waits for it."""
    bucket = Bucket(is_full=True)
    async with reading(Server(body=VIDEO * 30)) as source:
        await source.open()
        pouring = asyncio.create_task(source.pour(len(VIDEO) * 30, bucket))
        await asyncio.sleep(0)  # it has begun
        bucket.change(is_over=True)
        await pouring
    assert len(bucket.content) < len(VIDEO) * 30


async def test_a_full_sink_is_not_the_sources_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The upload host has its own time-out."""
    monkeypatch.setattr(exchange, "READ_SECONDS", 0.01)
    bucket = Bucket(is_full=True)
    async with reading(Server(body=VIDEO * 4)) as source:
        await source.open()
        pouring = asyncio.create_task(source.pour(len(VIDEO) * 4, bucket))
        await asyncio.sleep(0.1)  # several times its time-out
        monkeypatch.setattr(exchange, "READ_SECONDS", PATIENCE_SECONDS)
        assert not pouring.done()
        bucket.change(is_full=False)
        await pouring
    assert bucket.content == VIDEO * 4


async def test_another_worker_goes_on_in_the_middle() -> None:
    """With If-Range, so that a server can say that it is another file by now."""
    server = Server()
    async with reading(server) as source:
        await source.go_on(KNOWN, offset=1000)
        assert await take(source, len(VIDEO) - 1000) == VIDEO[1000:]
    assert 'If-Range: "v1"' in server.asked[0]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize(
    "changed",
    [
        {"etag": '"v2"'},
        {"etag": None},
        {"body": VIDEO + b"x"},
        {"body": VIDEO[:500]},
    ],
    ids=["etag", "no etag", "longer", "shorter"],
)
async def test_another_file_is_never_taken_for_the_rest_of_the_first(
    changed: dict[str, object], ranges: bool
) -> None:
    """Half of one video and half of another are no video."""
    server = replace(Server(ranges=ranges), **changed)  # type: ignore[arg-type]
    async with reading(server) as source:
        with pytest.raises(SourceFailed) as failed:
            await source.go_on(KNOWN, offset=1000)
    assert failed.value.trouble is SourceTrouble.CHANGED


async def test_the_time_of_change_serves_where_there_is_no_etag() -> None:
    """Any name of a version will do."""
    at = {"Last_Modified": "Thu, 26 Nov 2026 12:00:00 GMT"}
    async with reading(Server(etag=None, headers=at)) as source:
        info = await source.open()
        assert info.etag == at["Last_Modified"]


async def test_a_weak_etag_is_compared_but_is_no_condition() -> None:
    """RFC 9110 forbids it in If-Range; equal it must be all the same."""
    server = Server(etag='W/"v1"')
    async with reading(server) as source:
        await source.go_on(structs.replace(KNOWN, etag='W/"v1"'), offset=1000)
        assert await take(source, 10) == VIDEO[1000:1010]
    assert "If-Range" not in server.asked[0]


async def test_a_server_without_ranges_is_told_only_where_one_is_needed() -> None:
    """Another worker cannot go on there."""
    async with reading(Server(ranges=False)) as source:
        with pytest.raises(SourceFailed) as failed:
            await source.go_on(KNOWN, offset=1000)
    assert failed.value.trouble is SourceTrouble.NO_RANGE


async def test_the_wrong_part_is_never_read() -> None:
    """A server that answers with other bytes than asked for gives no part of it."""
    raw = response(
        VIDEO[5:], status=206, ETag='"v1"', Content_Range="bytes 5-255999/256000"
    )
    async with reading(chaos.answering(raw)) as source:
        with pytest.raises(SourceFailed) as failed:
            await source.go_on(KNOWN, offset=1000)
    assert failed.value.trouble is SourceTrouble.NO_RANGE


@pytest.mark.parametrize(
    ("raw", "trouble"),
    [
        (response(VIDEO)[:-1000], SourceTrouble.NO_RANGE),
        (response(b"", status=404), SourceTrouble.UNREACHABLE),
        (response(b"", status=302, Location="http://10.0.0.1/"),
         SourceTrouble.UNREACHABLE),
        (response(VIDEO, Content_Encoding="gzip"), SourceTrouble.UNREACHABLE),
        (b"garbage", SourceTrouble.UNREACHABLE),
        (b"HTTP/1.1 200 OK\r\n\r\n" + VIDEO, SourceTrouble.NO_LENGTH),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            SourceTrouble.NO_LENGTH,
        ),
        (response(b""), SourceTrouble.EMPTY),
    ],
    ids=[
        "broken off", "not found", "redirect", "packed", "garbage", "no length",
        "chunked", "empty",
    ],
)  # fmt: skip
async def test_what_cannot_be_read_has_a_code(
    raw: bytes, trouble: SourceTrouble
) -> None:
    """Each with words for the person; a redirect is an answer and is not followed."""
    assert await trouble_of(chaos.answering(raw)) is trouble


async def test_an_empty_file_has_a_code_of_its_own() -> None:
    """Its length is told: most servers have no range of it and answer 416."""
    assert await trouble_of(Server(body=b"")) is SourceTrouble.EMPTY
    assert await trouble_of(Server(body=b"", ranges=False)) is SourceTrouble.EMPTY


@pytest.mark.parametrize("content_range", ["bytes 0-999/256000", "bytes 0-9/*", "?"])
async def test_a_server_that_gives_parts_alone_is_asked_for_everything(
    content_range: str,
) -> None:
    """Nothing was interrupted: no range is needed for the first byte."""

    async def in_parts(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        ranged = b"range:" in (await chaos.read_request(reader)).lower()
        part = response(VIDEO[:1000], status=206, Content_Range=content_range)
        writer.write(part if ranged else response(VIDEO))
        await writer.drain()
        await reader.read()

    async with reading(in_parts) as source:
        info = await source.open()
        assert await take(source, info.size) == VIDEO


async def test_a_file_that_is_too_large_is_not_begun() -> None:
    """TikTok would refuse it after the last byte."""
    assert await trouble_of(Server(), most=255_999) is SourceTrouble.TOO_LARGE
    async with reading(Server(), most=256_000) as source:
        assert (await source.open()).size == 256_000


async def test_a_private_address_is_refused() -> None:
    """A source's address is as foreign as any other."""
    outbound = Outbound(allow_private=False)
    source = Source(outbound, "https://127.0.0.1/v.mp4", most_bytes=1)
    with pytest.raises(SourceFailed) as failed:
        await source.open()
    assert failed.value.trouble is SourceTrouble.REFUSED


async def test_a_server_that_drips_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A byte now and then keeps a connection open for ever, and the post with it."""
    monkeypatch.setattr(exchange, "READ_SECONDS", 0.1)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await chaos.read_request(reader)
        writer.write(response(VIDEO)[: -len(VIDEO)])
        for byte in VIDEO[: exchange.LEAST_BYTES]:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.001)

    async with reading(drip) as source:
        await source.open()
        with pytest.raises(SourceFailed, match="next to nothing"):
            await take(source, len(VIDEO))


async def test_what_was_looked_at_is_still_to_be_read() -> None:
    """One request serves the look and the upload that follows."""
    server = Server()
    async with reading(server) as source:
        info = await source.open()
        assert await source.peek(1000, seconds=PATIENCE_SECONDS) == VIDEO[:1000]
        assert await source.open() == info
        assert await take(source, info.size) == VIDEO
    assert len(server.asked) == 1


async def test_a_slow_server_is_asked_again_after_the_look() -> None:
    """A look that takes too long costs no post."""
    asked = 0

    async def slow_at_first(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal asked
        asked += 1
        await chaos.read_request(reader)
        whole = response(VIDEO)
        writer.write(whole[:-1000] if asked == 1 else whole)
        await writer.drain()
        await reader.read()

    async with reading(slow_at_first) as source:
        await source.open()
        assert await source.peek(len(VIDEO), seconds=0.01) == b""
        info = await source.open()
        assert await take(source, info.size) == VIDEO
    assert asked == 2


async def test_a_look_at_what_breaks_off_says_so() -> None:
    """A body that is shorter than announced is a failure."""
    async with reading(chaos.answering(response(VIDEO)[:-1000])) as source:
        info = await source.open()
        with pytest.raises(SourceFailed) as failed:
            await source.peek(info.size, seconds=PATIENCE_SECONDS)
    assert failed.value.trouble is SourceTrouble.UNREACHABLE
