"""The machine's clock."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.machine.clock import Clock, SystemClock


def test_now_is_aware_utc() -> None:
    """A time without a zone never enters the house."""
    before = datetime.now(UTC)
    now = SystemClock().now()
    assert now.utcoffset() == timedelta(0)
    assert before <= now <= datetime.now(UTC)


async def test_sleeping_waits_on_the_loop_and_never_for_less_than_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A wait that is already over is no error."""
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", note)
    clock: Clock = SystemClock()
    await clock.sleep(2.5)
    await clock.sleep(-1)
    assert waits == [2.5, 0.0]
