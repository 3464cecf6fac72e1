"""Wrong keys are answered late: per peer, for a bounded time, in bounded memory."""

import asyncio
from datetime import datetime, timedelta

from app.service.caller_limits import (
    FORGOTTEN_AFTER,
    FREE,
    MOST_PEERS,
    MOST_SECONDS,
    WAITING,
    WAITING_EACH,
    FailedAuthentications,
)
from tests.support.factories import NOW


class SleepyClock:
    """A clock that notes who sleeps; ``gate`` lets them."""

    def __init__(self) -> None:
        self.time = NOW
        self.slept: list[float] = []
        self.gate = asyncio.Event()
        self.gate.set()

    def now(self) -> datetime:
        """Return where the hands stand."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Sleep until the gate is open."""
        self.slept.append(seconds)
        await self.gate.wait()


async def fail(guard: FailedAuthentications, peer: str, times: int) -> list[bool]:
    """Fail so many times, one after the other."""
    return [await guard.failed(peer) for _ in range(times)]


async def test_a_few_failures_are_answered_at_once_and_more_ever_later() -> None:
    """Twenty are free; then the wait doubles, up to a second."""
    clock = SleepyClock()
    guard = FailedAuthentications(clock)
    assert all(await fail(guard, "192.0.2.1", FREE))
    assert clock.slept == []
    assert all(await fail(guard, "192.0.2.1", 6))
    assert clock.slept == [0.125, 0.25, 0.5, 1.0, 1.0, 1.0]
    await fail(guard, "192.0.2.1", 5000)
    assert max(clock.slept) == MOST_SECONDS


async def test_one_peers_failures_are_not_anothers() -> None:
    """But all addresses of one IPv6 customer are, and all spellings of an IPv4 one."""
    clock = SleepyClock()
    guard = FailedAuthentications(clock)
    await fail(guard, "192.0.2.1", FREE)
    await guard.failed("192.0.2.2")
    await guard.failed("")
    await guard.failed("unix:socket")
    assert clock.slept == []
    await guard.failed("::ffff:192.0.2.1")
    assert len(clock.slept) == 1
    for number in range(FREE):
        await guard.failed(f"2001:db8:0:1::{number:x}")
    await guard.failed("2001:db8:0:2::1")
    assert len(clock.slept) == 1
    await guard.failed("2001:db8:0:1:ffff::1%eth0")
    assert len(clock.slept) == 2


async def test_a_minute_of_peace_is_forgiven() -> None:
    """After a minute without failures, nobody is delayed."""
    clock = SleepyClock()
    guard = FailedAuthentications(clock)
    await fail(guard, "192.0.2.1", FREE + 1)
    clock.time += FORGOTTEN_AFTER - timedelta(seconds=1)
    await guard.failed("192.0.2.1")
    assert len(clock.slept) == 2
    clock.time += FORGOTTEN_AFTER
    await fail(guard, "192.0.2.1", FREE)
    assert len(clock.slept) == 2


async def test_only_so_many_wait() -> None:
    """Each waiting answer keeps a connection: the rest is hung up on at once."""
    clock = SleepyClock()
    guard = FailedAuthentications(clock)
    peers = [f"192.0.2.{number}" for number in range(20)]
    for peer in peers:
        await fail(guard, peer, FREE)
    clock.gate.clear()
    tasks = [
        asyncio.create_task(guard.failed(peer))
        for peer in peers
        for _ in range(WAITING_EACH + 1)
    ]
    while len(clock.slept) < WAITING:  # noqa: ASYNC110 - seen from outside
        await asyncio.sleep(0)
    refused = [task for task in tasks if task.done()]
    assert len(refused) == len(tasks) - WAITING
    assert not any(task.result() for task in refused)
    clock.gate.set()
    assert sum(await asyncio.gather(*tasks)) == WAITING
    assert guard._waiting.total() == len(guard._waiting) == 0
    assert await guard.failed(peers[0])


async def test_memory_is_bounded() -> None:
    """Whoever failed longest ago is forgotten first."""
    clock = SleepyClock()
    guard = FailedAuthentications(clock)
    await fail(guard, "first", FREE)
    await fail(guard, "kept", FREE)
    for number in range(MOST_PEERS - 1):
        await guard.failed(str(number))
    assert len(guard._failures) == MOST_PEERS
    await guard.failed("first")
    assert clock.slept == []
    await guard.failed("kept")
    assert clock.slept == []
    await fail(guard, "last", FREE + 1)
    assert len(guard._failures) == MOST_PEERS
    assert len(clock.slept) == 1
