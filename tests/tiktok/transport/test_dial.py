"""A name with several addresses, over real sockets."""

import asyncio
from contextlib import suppress

import pytest

from app.domain.jobs.outcome import Fault, Verdict
from app.machine import concurrency
from app.machine.look_ups import Names
from app.tiktok.transport import connection as opening
from app.tiktok.transport.connection import Connection
from app.tiktok.values import InitTaken
from tests.support.patience import PATIENCE_SECONDS
from tests.support.resolver import resolving
from tests.tiktok import chaos
from tests.tiktok.attempts import BODY, Connections, all_closed, descriptors, init
from tests.tiktok.chaos import answering, response


def named(url: str) -> str:
    """Return a URL with a name in place of its address."""
    return url.replace("127.0.0.1", "tiktok.example")


async def test_an_address_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """If one address refuses, the next is tried at once."""
    monkeypatch.setattr(concurrency, "HEAD_START_SECONDS", 60.0)
    async with chaos.serving(answering(response(BODY))) as url:
        resolving(monkeypatch, "127.0.0.9", "127.0.0.1")
        assert isinstance(await init(named(url)), InitTaken)


async def test_all_addresses_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """If every address refuses, nothing was sent."""
    with chaos.refusing() as url:
        resolving(monkeypatch, "127.0.0.1", "127.0.0.9")
        fault = await init(named(url))
    assert isinstance(fault, Fault)
    assert (fault.verdict, fault.code) == (Verdict.NOT_SENT, "connect_failed")


async def test_an_address_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """If one address is silent, the next is tried beside it and wins."""
    monkeypatch.setattr(concurrency, "HEAD_START_SECONDS", 0.05)
    with chaos.never_accepting() as silent:
        port = int(silent.rpartition(":")[2])
        answer = answering(response(BODY))
        async with chaos.serving(answer, host="127.0.0.9", port=port):
            resolving(monkeypatch, "127.0.0.1", "127.0.0.9")
            before = descriptors()
            assert isinstance(await init(named(silent)), InitTaken)
            await all_closed(before)


async def test_the_slower_address_is_hung_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that comes to stand although it was given up is hung up."""
    monkeypatch.setattr(concurrency, "HEAD_START_SECONDS", 0.0)
    real = opening._open

    async def hardly_stopped(address: str, peer: opening.Peer) -> Connection:
        if address == "127.0.0.9":
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return await real(address, peer)

    monkeypatch.setattr(opening, "_open", hardly_stopped)
    seen = Connections()
    async with chaos.serving(seen.script) as url:
        port = int(url.rpartition(":")[2])
        async with chaos.serving(seen.script, host="127.0.0.9", port=port):
            resolving(monkeypatch, "127.0.0.9", "127.0.0.1")
            before = descriptors()
            assert isinstance(await init(named(url)), InitTaken)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while len(seen.served) < 2:  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.01)
            await all_closed(before)
    assert sum(seen.served) == 1


async def test_forgotten_where_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that moved away is looked up anew after the first failure."""
    resolver, known = resolving(monkeypatch), Names()
    with chaos.refusing() as url:
        port = int(url.rpartition(":")[2])
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                await opening.dial(opening.Peer("tiktok.example", port, None), known)
    assert len(resolver.asked) == 2
