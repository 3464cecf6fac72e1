"""Upload as a TikTok app would."""

from typing import Any

import httpx

from tests.sandbox.support import INIT, TikTok, code_of

DATA = bytes(range(256)) * 40
"""10,240 bytes: sent whole, or in chunks where they may be small."""


def pushed(size: int, chunk: int | None = None, count: int = 1) -> dict[str, Any]:
    """Write an upload's source_info."""
    return {
        "source": "FILE_UPLOAD",
        "video_size": size,
        "chunk_size": size if chunk is None else chunk,
        "total_chunk_count": count,
    }


async def begun(
    tiktok: TikTok, source: dict[str, Any], path: str = INIT
) -> dict[str, str]:
    """Send an init for an upload, and give its data."""
    info = {"title": "A cat", "privacy_level": "PUBLIC_TO_EVERYONE"}
    answer = await tiktok.post(path, {"post_info": info, "source_info": source})
    assert code_of(answer) == "ok", answer.text
    data: dict[str, str] = answer.json()["data"]
    return data


async def small_chunks(tiktok: TikTok, count: int = 4) -> dict[str, str]:
    """Begin an upload of DATA in chunks of 2,500 bytes, the last with 240 more."""
    await tiktok.settings(minChunkBytes=1)
    return await begun(tiktok, pushed(len(DATA), 2500, count))


async def put(
    tiktok: TikTok,
    url: str,
    span: range,
    *,
    total: int = len(DATA),
    data: bytes = DATA,
    **headers: str,
) -> httpx.Response:
    """Upload a part of DATA."""
    usual = {
        "content-type": "video/mp4",
        "content-range": f"bytes {span.start}-{span.stop - 1}/{total}",
    }
    content = data[span.start : span.stop]
    return await tiktok.http.put(url, content=content, headers={**usual, **headers})
