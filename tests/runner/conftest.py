"""The runner's stage, once on SQLite and once on Postgres."""

from collections.abc import AsyncIterator

import pytest

from tests.runner.stage import Stage, Worker, staged


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    """Give a simulated TikTok and a fresh database."""
    async with staged(database_url) as stage:
        yield stage


@pytest.fixture
async def worker(stage: Stage) -> Worker:
    """Give one process, with a connected account."""
    worker = await stage.worker()
    await stage.connect(worker, "proj_1")
    return worker
