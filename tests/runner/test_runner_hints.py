"""An idle runner: woken by another process's hint, and cheap until then."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import event

from app.sandbox.recording import Call
from app.store.db.notify import DueHints
from tests.runner.stage import Clock, Stage, Worker, staged

LOOKS = 5


class Sleepless(Clock):
    """A clock on which nobody wakes up by himself, but for the first few times."""

    def __init__(self, short_sleeps: int = 0) -> None:
        super().__init__()
        self.left = short_sleeps
        self.asleep = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Sleep for good, or not at all."""
        if self.left:
            self.left -= 1
            return
        self.asleep.set()
        await asyncio.Event().wait()


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Stage]:
    """Give a Postgres that several processes share."""
    async with staged(postgres_url) as stage:
        yield stage


async def test_a_post_now_of_another_process_starts_without_a_look_at_the_clock(
    shared: Stage,
) -> None:
    """The hint wakes a worker whose next look would be never."""
    api, worker = await shared.worker(), await shared.worker()
    await shared.connect(api, "proj_1")
    clock = Sleepless()
    deps = structs.replace(worker.runner._deps, clock=clock)
    runner = shared.runner(deps, worker.runner._rules, worker.runner._capacity)
    stop = asyncio.Event()
    hints = DueHints(worker.container.database, clock)
    async with hints.waking(runner.wake):
        running = asyncio.create_task(runner.run(stop))
        await clock.asleep.wait()
        await shared.job(api, scheduled_for=None)
        await shared.until_called(Call.CREATOR_INFO)
        stop.set()
        await running


async def test_an_idle_look_is_one_statement_that_reads(
    stage: Stage, worker: Worker
) -> None:
    """Nothing is claimed, so nothing is written, until something can be due."""
    clock = Sleepless(short_sleeps=LOOKS)
    deps = structs.replace(worker.runner._deps, clock=clock)
    runner = stage.runner(deps, worker.runner._rules, worker.runner._capacity)
    sent: list[str] = []

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        sent.append(call[2].split()[0])

    engine = worker.container.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    stop = asyncio.Event()
    running = asyncio.create_task(runner.run(stop))
    await clock.asleep.wait()
    stop.set()
    await running
    statements = [word for word in sent if word != "BEGIN"]
    last_claim = len(statements) - statements[::-1].index("WITH")  # before any look
    assert statements[last_claim:] == ["SELECT"] * (LOOKS + 1)
