"""The simulator really fetches each video."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.sandbox.support import TikTok


@contextlib.asynccontextmanager
async def asset(raw: bytes, *, then_wait: bool = False) -> AsyncIterator[str]:
    """Serve these raw bytes as the answer to anything."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()
        if then_wait:
            await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v.mp4"
        over.set()


async def outcome(tiktok: TikTok, video_url: str) -> dict[str, object]:
    """Post this video and read what became of it."""
    await tiktok.taken(video_url=video_url)
    await tiktok.settled()
    post: dict[str, object] = (await tiktok.read("posts"))[-1]
    return {name: post[name] for name in ("status", "failReason", "bytesPulled")}


async def test_every_byte_is_counted(tiktok: TikTok) -> None:
    """A big video is streamed to its end."""
    url = f"{tiktok.url}/_sandbox/video.mp4?bytes=1000001"
    assert await outcome(tiktok, url) == {
        "status": "PUBLISH_COMPLETE",
        "failReason": None,
        "bytesPulled": 1_000_001,
    }


@pytest.mark.parametrize("query", ["status=404", "status=500", "redirect=1", "bytes=0"])
async def test_a_bad_asset_fails_the_post(tiktok: TikTok, query: str) -> None:
    """Errors, redirects and empty files end in video_pull_failed."""
    assert await outcome(tiktok, f"{tiktok.url}/_sandbox/video.mp4?{query}") == {
        "status": "FAILED",
        "failReason": "video_pull_failed",
        "bytesPulled": 0,
    }


async def test_a_video_cut_short_fails_the_post(tiktok: TikTok) -> None:
    """Fewer bytes than announced are no video."""
    async with asset(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1234") as url:
        assert await outcome(tiktok, url) == {
            "status": "FAILED",
            "failReason": "video_pull_failed",
            "bytesPulled": 4,
        }


async def test_a_video_that_stalls_fails_at_the_deadline(tiktok: TikTok) -> None:
    """The deadline is for the whole download, not for each chunk."""
    await tiktok.settings(pullTimeoutSeconds=0.2)
    stalled = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1234"
    async with asset(stalled, then_wait=True) as url:
        result = await outcome(tiktok, url)
    assert result["failReason"] == "video_pull_failed"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v.mp4", "http://[/v.mp4"])
async def test_an_address_that_leads_nowhere_fails_the_post(
    tiktok: TikTok, url: str
) -> None:
    """Nobody listening, or no address at all."""
    assert (await outcome(tiktok, url))["failReason"] == "video_pull_failed"


async def test_pulling_can_be_switched_off(tiktok: TikTok) -> None:
    """With pulling off, every video counts as fetched."""
    await tiktok.settings(pull=False)
    assert await outcome(tiktok, "https://cdn.example.com/v.mp4") == {
        "status": "PUBLISH_COMPLETE",
        "failReason": None,
        "bytesPulled": 0,
    }
