"""Looking our own hosts up: seldom, once for all, and from memory in bad times."""

import asyncio
import socket

import pytest

from app.machine import look_ups as names
from app.machine.look_ups import Names
from tests.support.resolver import Resolver, resolving

HOST = "tiktok.example"
AWAY = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """Give a resolver that answers."""
    return resolving(monkeypatch)


async def test_remembered(resolver: Resolver) -> None:
    """Looked-up names are remembered for a while, each address once."""
    known = Names()
    for _ in range(3):
        assert await known.addresses(HOST) == ("127.0.0.1",)
    assert len(resolver.asked) == 1


async def test_for_a_while(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    """After that while a name is looked up anew, and where it is now counts."""
    monkeypatch.setattr(names, "REMEMBER_SECONDS", 0.0)
    known = Names()
    await known.addresses(HOST)
    resolver.addresses = ("127.0.0.2",)
    assert await known.addresses(HOST) == ("127.0.0.2",)
    assert len(resolver.asked) == 2


async def test_a_failure_is_not_remembered(resolver: Resolver) -> None:
    """A name that could never be looked up is looked up again by the next who asks."""
    known = Names()
    resolver.failure = AWAY
    with pytest.raises(socket.gaierror):
        await known.addresses(HOST)
    resolver.failure = None
    assert await known.addresses(HOST) == ("127.0.0.1",)


async def test_without_a_resolver_a_host_is_where_it_was(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing one is asked again after a while, not by each who asks."""
    known = Names()
    await known.addresses(HOST)
    known.forget(HOST)
    resolver.failure = AWAY
    for _ in range(3):
        assert await known.addresses(HOST) == ("127.0.0.1",)
    assert len(resolver.asked) == 2


async def test_a_resolver_that_hangs_is_not_waited_for(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is one that may answer in half a minute; its late answer is taken."""
    monkeypatch.setattr(names, "STALE_AFTER_SECONDS", 0.01)
    known = Names()
    await known.addresses(HOST)
    known.forget(HOST)
    resolver.hanging.add(HOST)
    for _ in range(3):
        assert await known.addresses(HOST) == ("127.0.0.1",)
    assert len(resolver.asked) == 2
    resolver.go_on()


async def test_one_answer_for_all(resolver: Resolver) -> None:
    """Who gives up waiting does not take the answer from the others."""
    known = Names()
    resolver.hanging.add(HOST)
    asking = [asyncio.create_task(known.addresses(HOST)) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.wait(asking[:1])
    resolver.go_on()
    assert await asyncio.gather(*asking[1:]) == [("127.0.0.1",)] * 4
    assert len(resolver.asked) == 1


async def test_an_address_is_no_name(resolver: Resolver) -> None:
    """Nobody has to be asked where it is."""
    for address in ("192.0.2.1", "::1"):
        assert await Names().addresses(address) == (address,)
    assert resolver.asked == []
