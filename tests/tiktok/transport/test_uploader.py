"""Chunks over real sockets: in order, bounded, and never told to be more than sent."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from app.domain.posts.upload import Span
from app.machine.sink import Sink
from app.tiktok.transport.session import Http
from app.tiktok.transport.uploader import Uploader
from app.tiktok.upload_answers import ChunkRequest, UploadAnswer
from tests.support.certificates import Certificate
from tests.support.sinks import written
from tests.tiktok import chaos
from tests.tiktok.chaos import response

PIECE = bytes(range(256)) * 256  # 64 KiB
MEGABYTE = 16


class SourceBroke(Exception):
    """What a test's source raises."""


def pieces(count: int = 1, *, fails: bool = False) -> Callable[[Sink], Awaitable[None]]:
    """Pour so many pieces, and then perhaps no more."""

    async def pour(sink: Sink) -> None:
        for _ in range(count):
            if not await written(sink, PIECE):
                return
        if fails:
            raise SourceBroke

    return pour


def chunk(base: str, *, count: int = 1, total: int = 4) -> ChunkRequest:
    """Return a request for the first pieces of a video."""
    return ChunkRequest(
        url=f"{base}/video/?upload_id=1&upload_token=Secret",
        span=Span(0, count * len(PIECE)),
        size=total * len(PIECE),
        content_type="video/mp4",
    )


@asynccontextmanager
async def uploading(http: Http | None = None) -> AsyncIterator[Uploader]:
    """Give an uploader whose connection is closed at the end."""
    uploader = (http or Http()).uploader()
    try:
        yield uploader
    finally:
        await uploader.close()


async def put(
    uploader: Uploader, base: str, *, count: int = 1, silence: float = 30
) -> UploadAnswer:
    """Send some pieces."""
    return await uploader.put(
        chunk(base, count=count, total=max(4, count)),
        pieces(count),
        seconds=60,
        silence=silence,
    )


async def test_a_chunk_arrives_byte_for_byte() -> None:
    """With the headers that TikTok asks for, and its answer's range comes back."""
    seen: list[bytes] = []

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        seen.append(await chaos.read_request(reader))
        writer.write(
            response(
                b"", status=206, Content_Range="bytes 0-65535/262144", X_Tt_Logid="L"
            )
        )

    async with chaos.serving(script) as base, uploading() as uploader:
        answer = await put(uploader, base)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /video/?upload_id=1&upload_token=Secret HTTP/1.1\r\n")
    assert b"\r\nContent-Range: bytes 0-65535/262144" in head
    assert b"\r\nContent-Type: video/mp4\r\n" in head
    assert body == PIECE
    assert answer == UploadAnswer(
        status=206, content_range="bytes 0-65535/262144", sent_all=True, log_id="L"
    )


async def test_chunks_follow_one_another_on_one_connection() -> None:
    """A handshake for each would cost more than it proves."""
    served: list[int] = []

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        served.append(0)
        while True:
            await chaos.read_request(reader)
            served[-1] += 1
            writer.write(response(b"", status=206))

    async with chaos.serving(script) as base, uploading() as uploader:
        for _ in range(3):
            assert (await put(uploader, base)).status == 206
    assert served == [3]


async def test_a_chunk_is_streamed_not_gathered() -> None:
    """While the host takes nothing, the source gives no more than buffers hold."""
    asked = 0
    begin = asyncio.Event()

    async def counted(sink: Sink) -> None:
        nonlocal asked
        for _ in range(20 * MEGABYTE):
            assert await written(sink, PIECE)
            asked += 1

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await begin.wait()
        await chaos.read_request(reader)
        writer.write(response(b"", status=201))

    async with chaos.serving(script) as base, uploading() as uploader:
        sending = asyncio.create_task(
            uploader.put(
                chunk(base, count=20 * MEGABYTE, total=20 * MEGABYTE),
                counted,
                seconds=60,
                silence=60,
            )
        )
        former = -1
        while asked != former or not asked:  # until it asks for no more
            former = asked
            await asyncio.sleep(0.2)
        assert asked < 20 * MEGABYTE
        begin.set()
        assert (await sending).status == 201


async def test_an_answer_before_the_end_stops_the_chunk() -> None:
    """A URL that is over is told at once: nobody wants the rest."""
    asked = 0
    answered = asyncio.Event()

    async def until_answered(sink: Sink) -> None:
        nonlocal asked
        assert await written(sink, PIECE)
        await answered.wait()
        while asked < 1000 and await written(sink, PIECE):
            asked += 1

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(b"", status=403))
        await writer.drain()
        answered.set()
        await reader.read()

    async with chaos.serving(script) as base, uploading() as uploader:
        answer = await uploader.put(
            chunk(base, count=1001, total=1001),
            until_answered,
            seconds=60,
            silence=60,
        )
    assert (answer.status, answer.sent_all) == (403, False)
    assert asked < 1000


async def cut_in_the_middle(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Take a part of the chunk, then reset."""
    await reader.readexactly(1000)
    chaos.reset(writer)


@pytest.mark.parametrize("count", [4, 400])
async def test_a_cut_line_has_no_answer(count: int) -> None:
    """Only a status call tells how much arrived; the error's text has no token."""
    async with chaos.serving(cut_in_the_middle) as base, uploading() as uploader:
        answer = await put(uploader, base, count=count)
    assert answer.status is None
    assert answer.trouble
    assert "Secret" not in repr(answer)
    if count > 100:  # more than the buffers of both sides hold
        assert not answer.sent_all


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\nhalf",
    ],
    ids=["nothing", "garbage", "half an answer"],
)
async def test_an_answer_that_is_none_proves_nothing(raw: bytes) -> None:
    """All was sent, so TikTok may have it."""
    async with chaos.serving(chaos.answering(raw)) as base, uploading() as uploader:
        answer = await put(uploader, base)
    assert (answer.status, answer.sent_all) == (None, True)


async def test_a_host_that_never_answers_is_given_up() -> None:
    """The silence after the last byte is bounded."""
    async with chaos.serving(chaos.stall) as base, uploading() as uploader:
        answer = await put(uploader, base, silence=0.1)
    assert (answer.status, answer.sent_all) == (None, True)
    assert "too long" in answer.trouble


async def test_a_host_that_takes_nothing_is_given_up() -> None:
    """The silence in the middle of a chunk is bounded, too."""

    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with chaos.serving(deaf) as base, uploading() as uploader:
        answer = await put(uploader, base, count=1000, silence=0.2)
    assert (answer.status, answer.sent_all) == (None, False)


async def test_a_slow_source_is_not_the_hosts_silence() -> None:
    """Who waits for the source has its own patience."""

    async def slow(sink: Sink) -> None:
        assert await written(sink, PIECE)
        await asyncio.sleep(0.5)
        assert await written(sink, PIECE)

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await chaos.read_request(reader)
        writer.write(response(b"", status=206))

    async with chaos.serving(script) as base, uploading() as uploader:
        answer = await uploader.put(chunk(base, count=2), slow, seconds=60, silence=0.1)
    assert answer.status == 206


async def test_a_source_that_breaks_is_the_sources_fault() -> None:
    """Its own error comes through, and the host gets no end of the chunk."""
    got: list[bytes] = []

    async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        got.append(await reader.read(-1))

    async with chaos.serving(script) as base, uploading() as uploader:
        with pytest.raises(SourceBroke):
            await uploader.put(
                chunk(base, count=3), pieces(2, fails=True), seconds=60, silence=60
            )
    assert not got or len(got[0]) < 3 * len(PIECE)


@pytest.mark.parametrize("count", [2, 4])
async def test_no_other_number_of_bytes_is_sent_than_announced(count: int) -> None:
    """A wrong chunk is a mistake of ours and never looks like a whole one."""
    async with chaos.serving(chaos.stall) as base, uploading() as uploader:
        with pytest.raises(AssertionError):
            await uploader.put(
                chunk(base, count=3), pieces(count), seconds=60, silence=60
            )


async def test_nobody_there_is_told_as_not_sent() -> None:
    """No byte left, so the same chunk may be sent again."""
    with chaos.refusing() as base:
        async with uploading() as uploader:
            answer = await put(uploader, base)
    assert (answer.status, answer.sent_all) == (None, False)


async def test_a_chunk_goes_over_tls(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host's certificate is checked like that of TikTok's API."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await chaos.read_request(reader)
        writer.write(response(b"", status=201))
        await reader.read()

    async with (
        chaos.serving(script, ssl=certificate.server()) as base,
        uploading() as uploader,
    ):
        assert (await put(uploader, base, count=100)).status == 201
