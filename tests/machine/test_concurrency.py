"""Several ways to the same thing, of which one may lead nowhere."""

import asyncio
from contextlib import suppress

import pytest

from app.machine import concurrency
from app.machine.concurrency import race


@pytest.fixture(autouse=True)
def short_head_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for nobody long."""
    monkeypatch.setattr(concurrency, "HEAD_START_SECONDS", 0.01)


async def never() -> str:
    """Lead nowhere."""
    await asyncio.Event().wait()
    return "never"


async def at_once() -> str:
    """Lead there."""
    return "there"


async def refused() -> str:
    """Say no."""
    raise OSError("refused")


async def test_a_way_that_leads_nowhere_keeps_nobody() -> None:
    """The next is tried beside it."""
    assert await race([never, at_once], drop=len) == "there"


async def test_a_way_that_is_closed_lets_the_next_begin() -> None:
    """When one attempt fails, the next begins at once."""
    assert await race([refused, at_once, never], drop=len) == "there"


async def test_if_none_leads_there_the_last_failure_is_raised() -> None:
    """The caller learns why."""
    with pytest.raises(OSError, match="refused"):
        await race([refused, refused], drop=len)


async def test_what_comes_too_late_is_dropped() -> None:
    """A connection that nobody wants is closed."""
    dropped, ready = list[str](), asyncio.Event()

    async def late() -> str:
        with suppress(asyncio.CancelledError):
            await ready.wait()
        return "late"

    assert await race([late, at_once], drop=dropped.append) == "there"
    assert dropped == ["late"]
