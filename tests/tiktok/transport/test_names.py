"""Looking names up: seldom, and once for all who ask."""

import asyncio
import socket
from typing import Any

import pytest

from app.tiktok.transport import dial, names
from app.tiktok.transport.names import Names
from tests.tiktok import chaos


class Resolver:
    """Answers with loopback, or fails; counts, and waits if told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.fails = False
        self.go_on = asyncio.Event()
        self.go_on.set()
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "getaddrinfo", self._look_up)

    async def _look_up(self, *_: object, **__: object) -> list[Any]:
        self.asked += 1
        await self.go_on.wait()
        if self.fails:
            raise socket.gaierror
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
        return [address, address]


async def test_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was looked up is known for a while, each address once."""
    resolver, known = Resolver(monkeypatch), Names()
    for _ in range(3):
        assert await known.addresses("tiktok.example") == ("127.0.0.1",)
    assert resolver.asked == 1


async def test_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """After that while a name is looked up anew."""
    monkeypatch.setattr(names, "REMEMBER_SECONDS", 0.0)
    resolver, known = Resolver(monkeypatch), Names()
    await known.addresses("tiktok.example")
    await known.addresses("tiktok.example")
    assert resolver.asked == 2


async def test_a_failure_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that could not be looked up is looked up again by the next who asks."""
    resolver, known = Resolver(monkeypatch), Names()
    resolver.fails = True
    with pytest.raises(socket.gaierror):
        await known.addresses("tiktok.example")
    resolver.fails = False
    assert await known.addresses("tiktok.example") == ("127.0.0.1",)


async def test_one_answer_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who gives up waiting does not take the answer from the others."""
    resolver, known = Resolver(monkeypatch), Names()
    resolver.go_on.clear()
    asking = [asyncio.create_task(known.addresses("tiktok.example")) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.wait(asking[:1])
    resolver.go_on.set()
    assert await asyncio.gather(*asking[1:]) == [("127.0.0.1",)] * 4
    assert resolver.asked == 1


async def test_forgotten_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that moved away is looked up anew after the first failure."""
    resolver, known = Resolver(monkeypatch), Names()
    with chaos.refusing() as url:
        port = int(url.rpartition(":")[2])
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                await dial.dial(dial.Peer("tiktok.example", port, None), known)
    assert resolver.asked == 2
