"""Looking names up on others' behalf: bounded, and with a share for each."""

import asyncio
import socket
import subprocess
import sys

import pytest

from app.machine.look_ups import LookUps
from tests.support.patience import PATIENCE_SECONDS
from tests.support.repository import ROOT
from tests.support.resolver import Resolver, resolving
from tests.support.shortages import no_descriptors


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """Give a resolver that answers."""
    return resolving(monkeypatch)


async def begun(resolver: Resolver, count: int) -> None:
    """Wait until so many names were asked for."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(resolver.asked) < count:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.01)


async def test_slow_names_of_one_keep_nobody_else_waiting(resolver: Resolver) -> None:
    """However many names of a project's hang, another's is answered."""
    dead = [f"dead{number}.example" for number in range(24)]
    resolver.hanging.update(dead)
    look_ups = LookUps(at_once=8, each=4)
    waiting = [
        asyncio.create_task(look_ups.addresses(host, share="proj_1")) for host in dead
    ]
    await begun(resolver, 4)
    found = await look_ups.addresses("alive.example", share="proj_2")
    assert found == ("127.0.0.1",)
    assert len(resolver.asked) == 5
    resolver.go_on()
    assert await asyncio.gather(*waiting) == [("127.0.0.1",)] * 24


async def test_never_more_than_so_many_at_a_time(resolver: Resolver) -> None:
    """However many ask: threads are not endless."""
    hosts = [f"dead{number}.example" for number in range(12)]
    resolver.hanging.update(hosts)
    look_ups = LookUps(at_once=3, each=2)
    waiting = [
        asyncio.create_task(look_ups.addresses(host, share=host)) for host in hosts
    ]
    await begun(resolver, 3)
    for each in waiting:
        each.cancel()  # a thread that waits is not free because nobody listens
    await asyncio.wait(waiting)
    last = asyncio.create_task(look_ups.addresses("late.example"))
    await asyncio.sleep(0)
    assert len(resolver.asked) == 3
    resolver.go_on()
    assert await last == ("127.0.0.1",)


async def test_a_failure_is_told_to_all_who_wait(resolver: Resolver) -> None:
    """A failure is told to all who wait; the next request asks again."""
    resolver.failure = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    look_ups = LookUps(at_once=3)
    asking = (look_ups.addresses("nobody.example") for _ in range(3))
    for each in await asyncio.gather(*asking, return_exceptions=True):
        assert each is resolver.failure
    resolver.failure = None
    assert await look_ups.addresses("nobody.example") == ("127.0.0.1",)


async def test_a_name_that_is_none(resolver: Resolver) -> None:
    """A name that the resolver cannot encode is an error like others."""
    resolver.failure = UnicodeError("label too long")
    with pytest.raises(UnicodeError):
        await LookUps(at_once=1).addresses("x.example")


async def test_a_shortage_is_told_from_an_unknown_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A missing descriptor is no unknown name, though both read alike."""
    away = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    resolving(monkeypatch, failure=away)
    with no_descriptors(), pytest.raises(OSError, match="Too many open files"):
        await LookUps(at_once=1).addresses("tiktok.example")


def test_no_program_waits_for_a_look_up_at_its_end() -> None:
    """A resolver may take half a minute, and nobody is interested any more."""
    code = """
import asyncio, socket, time
from app.machine.look_ups import LookUps
socket.getaddrinfo = lambda *_, **__: time.sleep(600)

async def main():
    asking = asyncio.create_task(LookUps(at_once=1).addresses("dead.example"))
    await asyncio.sleep(0)
    asking.cancel()

asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
