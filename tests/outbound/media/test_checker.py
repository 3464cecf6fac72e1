"""The look at a job's media, which others' jobs wait for."""

import asyncio
import socket

import pytest

from app.domain.posts.post import MediaType, Post
from app.outbound.client import Outbound
from app.outbound.media import checker
from app.outbound.media.checker import Found, MediaChecker
from tests.support.factories import new_job
from tests.support.patience import PATIENCE_SECONDS


async def test_a_set_of_photos_takes_no_longer_than_a_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where one is waited for in vain, the others are not asked one by one."""
    monkeypatch.setattr(checker, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(checker, "ASSET_SECONDS", PATIENCE_SECONDS)
    found = Found()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it never answers
        port = silent.getsockname()[1]
        urls = tuple(f"http://127.0.0.1:{port}/{place}.jpg" for place in range(35))
        photos = Post(media_type=MediaType.PHOTO)
        job = new_job(asset_url="", asset_urls=urls, post=photos)
        async with asyncio.timeout(PATIENCE_SECONDS):
            look = MediaChecker(Outbound(allow_private=True)).look
            await look(job, found, max_seconds=None)
    assert (found.photos, found.problems) == ([], [])
