"""Our own HTTP/1.1 towards strangers: TLS, odd answers, bounded memory."""

import asyncio
import ssl
from contextlib import closing
from pathlib import Path

import pytest

from app.outbound.client import Outbound
from app.outbound.errors import Refused, Unreachable
from app.outbound.exchange import MOST_HEAD_BYTES, READ_BYTES
from tests.support.certificates import Certificate, make_certificate
from tests.support.patience import PATIENCE_SECONDS
from tests.support.sinks import Bucket
from tests.tiktok import chaos
from tests.tiktok.chaos import answering, response, serving

BODY = bytes(range(256)) * 8000
ANYBODY = Outbound(allow_private=True)


async def get(
    url: str, *, method: str = "GET", outbound: Outbound = ANYBODY
) -> tuple[int, bytes]:
    """Fetch a whole body."""
    opened = await outbound.open(method, url, seconds=PATIENCE_SECONDS)
    with closing(opened) as answer:
        return answer.status, b"".join([piece async for piece in answer.chunks()])


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Make a certificate that nobody trusts."""
    return make_certificate(tmp_path)


async def served_with_tls(certificate: Certificate) -> asyncio.Server:
    """Serve a body over TLS."""

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response(BODY))
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0, ssl=certificate.server())


async def test_a_body_comes_whole_over_tls(certificate: Certificate) -> None:
    """A body arrives complete over TLS from a server with a trusted certificate."""
    async with await served_with_tls(certificate) as server:
        outbound = Outbound(allow_private=True)
        trusting = ssl.create_default_context(cafile=str(certificate.path))
        vars(outbound)["_tls"] = trusting
        port = server.sockets[0].getsockname()[1]
        url = f"https://127.0.0.1:{port}/v.mp4"
        assert await get(url, outbound=outbound) == (200, BODY)
        bucket = Bucket()
        with closing(await outbound.open("GET", url)) as answer:
            await answer.pour(len(BODY), bucket)
        assert bucket.content == BODY


async def test_a_certificate_that_nobody_vouches_for_is_not_taken(
    certificate: Certificate,
) -> None:
    """Anybody could have made it."""
    async with await served_with_tls(certificate) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable):
            await get(f"https://127.0.0.1:{port}/v.mp4")


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + BODY,
        b"HTTP/1.1 100 Continue\r\n\r\n" + response(BODY),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"%x\r\n%b\r\n0\r\nX: y\r\n\r\n" % (len(BODY), BODY),
    ],
    ids=["until it hangs up", "after a word to wait", "in chunks"],
)
async def test_every_framing_gives_the_same_body(raw: bytes) -> None:
    """Content-Length, chunks and the end of the connection give the same body."""

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await chaos.read_request(reader)
        writer.write(raw)
        writer.close()

    async with serving(answer) as url:
        assert await get(url) == (200, BODY)


async def test_an_answer_to_head_has_no_body() -> None:
    """Though it says how long one would be."""
    async with serving(answering(response(BODY)[: -len(BODY)])) as url:
        assert await get(url, method="HEAD") == (200, b"")


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (2 * MOST_HEAD_BYTES),
        b"HTTP/1.1 100 Continue\r\n\r\n" * MOST_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"",
    ],
    ids=["a head without end", "only words to wait", "two lengths", "no HTTP", "none"],
)
async def test_what_is_no_answer_is_unreachable(raw: bytes) -> None:
    """What is no HTTP answer counts as unreachable, and is not read for ever."""
    async with serving(answering(raw)) as url:
        with pytest.raises(Unreachable):
            await get(url)


async def test_what_nobody_reads_is_not_taken_in() -> None:
    """A fast server waits for a slow upload, and does not fill our memory."""
    async with serving(answering(response(BODY * 4))) as url:
        opened = await ANYBODY.open("GET", url, seconds=PATIENCE_SECONDS)
        with closing(opened) as answer:
            pieces = aiter(answer.chunks())
            first = await anext(pieces)
            await asyncio.sleep(0)
            assert answer._held <= READ_BYTES
            rest = [piece async for piece in pieces]
    assert first + b"".join(rest) == BODY * 4


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v.mp4\r\nX: y", {}),
        ("/a b", {}),
        ("/v.mp4", {"If-Range": '"a"\r\nX: y'}),
        ("/v.mp4", {"If-Range": '"a"\0'}),
    ],
)
async def test_nothing_smuggles_a_line_into_a_request(
    path: str, headers: dict[str, str]
) -> None:
    """An ETag is a stranger's word, and a URL may be, too."""
    async with serving(answering(response(b"ok"))) as url:
        with pytest.raises(Refused):
            await ANYBODY.open("GET", url + path, headers=headers)
