"""Statements that are broken off: a tick ends, a worker stops."""

import asyncio
import gc
from contextlib import suppress

import pytest

from app.domain.jobs.job import JobStatus
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from tests.store.claiming import claim
from tests.support.factories import LEASE, store_job
from tests.support.patience import PATIENCE_SECONDS


@pytest.mark.parametrize("step", range(12))
async def test_a_statement_that_is_broken_off_leaves_no_lock(
    sqlite_url: str, step: int
) -> None:
    """Whenever it is cancelled, another process can write right after."""
    broken, other = Database(sqlite_url), Database(sqlite_url)
    await store_job(other, JobStatus.SCHEDULED)
    gc.disable()  # it would close the statement by luck
    try:
        claims = ClaimStore(broken, lease=LEASE)
        task = asyncio.create_task(claim(claims))
        await asyncio.sleep(step / 2000)  # anywhere in the statement
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        async with asyncio.timeout(PATIENCE_SECONDS), other.write():
            pass
    finally:
        gc.enable()
        await broken.close()
        await other.close()
