"""How many may be connected, and who makes room for whom."""

import asyncio
import socket
import sys

import pytest
from starlette.types import Receive, Scope, Send

from tests.serving.server import Caller, Recorder, Served, reply, served, until

needs_loopback_net = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8"
)

ASK = b"GET /%d HTTP/1.1\r\n%b\r\n"
KNOWN = b"Authorization: known\r\n"


async def filled(running: Served, count: int) -> list[Caller]:
    """Connect so many callers, one after the other."""
    callers = []
    for _ in range(count):
        callers.append(await running.connect())
        await running.becomes(len(running.callers))
    return callers


async def is_open(caller: Caller, *, head: bytes = b"") -> bool:
    """Ask something; True if there is an answer."""
    await caller.send(ASK % (9, head))
    try:
        return (await caller.answer())[0] == 200
    except (asyncio.IncompleteReadError, ConnectionError):
        return False


async def test_the_longest_silent_stranger_makes_room() -> None:
    """Whoever comes finds a place while somebody without a key waits."""
    async with served(Recorder(), connections=3) as running:
        first, second, third = await filled(running, 3)
        newcomer = await running.connect()
        assert await first.rest() == b""
        for caller in (second, third, newcomer):
            assert await is_open(caller)
        await running.becomes(3)


async def test_who_has_a_key_is_kept_longer_than_a_stranger() -> None:
    """Rest is no reason to be hung up on while strangers are there."""
    async with served(Recorder(), connections=3) as running:
        known, resting, silent = await filled(running, 3)
        assert await is_open(known, head=KNOWN)
        assert await is_open(resting)
        await running.connect()
        assert await silent.rest() == b""
        await running.connect()
        assert await resting.rest() == b""
        assert await is_open(known, head=KNOWN)


async def test_resting_callers_with_keys_make_room_last() -> None:
    """Even they cost nobody else a place: the longest resting goes."""
    async with served(Recorder(), connections=2) as running:
        first, second = await filled(running, 2)
        assert await is_open(first, head=KNOWN)
        assert await is_open(second, head=KNOWN)
        assert await is_open(await running.connect(), head=KNOWN)
        assert await first.rest() == b""
        assert await is_open(second, head=KNOWN)


async def test_a_key_in_a_former_request_does_not_help_for_ever() -> None:
    """Who asks without a key is a stranger from then on."""
    async with served(Recorder(), connections=2) as running:
        first, second = await filled(running, 2)
        assert await is_open(first, head=KNOWN)
        assert await is_open(first)
        assert await is_open(second, head=KNOWN)
        await running.connect()
        assert await first.rest() == b""


async def test_nobody_is_cut_off_who_is_being_answered() -> None:
    """If all are, the newcomer is told to come back, and soon finds a place."""
    app, go = Recorder(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        await reply(send, b"done")

    app.behave["/slow"] = slow
    async with served(app, connections=2) as running:
        busy = await filled(running, 2)
        for caller in busy:
            await caller.send(b"GET /slow HTTP/1.1\r\n\r\n")
        await until(lambda: len(app.paths) == 2)
        for _ in range(5):
            said = await (await running.connect()).rest()
            assert said.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"retry-after: " in said
            assert b'"code":"too_many_connections"' in said
        go.set()
        for caller in busy:
            assert await caller.answer() == (200, b"done")
        assert await is_open(await running.connect())


async def test_a_flood_of_connections_stays_within_the_number() -> None:
    """However many come at once, no more are open than may be; the last gets in."""
    async with served(Recorder(), connections=20) as running:
        await asyncio.gather(*(running.connect() for _ in range(200)))
        await running.becomes(20)
        assert await is_open(await running.connect())


async def test_what_is_closed_is_forgotten() -> None:
    """A place is free again, whoever hung up and in the middle of what."""
    async with served(Recorder(), connections=5) as running:
        for half in (b"", b"GET", ASK % (1, b""), b"POST / HTTP/1.1\r\n", ASK * 2):
            caller = await running.connect()
            await caller.send(half)
            caller.hang_up()
        await running.becomes(0)


async def come_from(running: Served, address: str) -> Caller:
    """Connect from one of this machine's addresses."""
    sock = socket.socket()
    sock.bind((address, 0))
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, running.address)
    caller = Caller(*await asyncio.open_connection(sock=sock, limit=2**20))
    running.callers.append(caller)
    return caller


@needs_loopback_net
async def test_a_crowd_makes_room_among_its_own() -> None:
    """One address's sockets never push out another's, who waited longer or rests."""
    async with served(Recorder(), connections=16) as running:
        silent = await come_from(running, "127.0.0.2")
        resting = await come_from(running, "127.0.0.3")
        assert await is_open(resting, head=KNOWN)
        crowd = [await come_from(running, "127.0.0.4") for _ in range(50)]
        await running.becomes(16)
        assert await crowd[0].rest() == b""
        assert await is_open(silent)
        assert await is_open(resting, head=KNOWN)
        newcomer = await come_from(running, "127.0.0.5")
        assert await is_open(newcomer, head=KNOWN)
        assert await is_open(silent)
        await running.becomes(16)


@needs_loopback_net
async def test_a_crowd_without_anybody_to_go_is_turned_away() -> None:
    """While all its own are being answered, others keep their places."""
    app, go = Recorder(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        await reply(send, b"done")

    app.behave["/slow"] = slow
    async with served(app, connections=8) as running:
        silent = await come_from(running, "127.0.0.2")
        crowd = [await come_from(running, "127.0.0.4") for _ in range(7)]
        for caller in crowd:
            await caller.send(b"GET /slow HTTP/1.1\r\n\r\n")
        await until(lambda: len(app.paths) == 7)
        said = await (await come_from(running, "127.0.0.4")).rest()
        assert said.startswith(b"HTTP/1.1 503 ")
        assert await is_open(silent)
        go.set()
