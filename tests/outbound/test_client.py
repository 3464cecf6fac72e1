"""Requests to servers of others, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field

import pytest

from app.outbound.client import Outbound
from app.outbound.errors import OutboundError, Refused, TooSlow, Unreachable
from tests.tiktok.chaos import answering, read_request, response, serving

ANYBODY = Outbound(allow_private=True)


@dataclass
class Listener:
    """Counts who connects."""

    port: int = 0
    connects: int = 0
    asked: list[str] = field(default_factory=list)

    async def resolve(self, host: str, _port: int) -> Sequence[str]:
        """Answer as a hostile name server would: our own machine, at the second ask."""
        self.asked.append(host)
        return ("127.0.0.1",)


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    """Listen on loopback."""
    listener = Listener()

    async def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener.connects += 1
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener


async def get(outbound: Outbound, url: str, **options: float) -> tuple[int, bytes]:
    """Fetch a whole body."""
    opened = await outbound.open("GET", url, seconds=options.get("seconds", 5))
    with closing(opened) as answer:
        return answer.status, b"".join([chunk async for chunk in answer.chunks()])


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://localhost/",
        "https://169.254.169.254/latest/meta-data/",
        "https://rebound.example/",
        "https://user@rebound.example/",
        "https://rebound.example:{port}/",
        "http://rebound.example/",
        "http://127.0.0.1:{port}/",
        "ftp://rebound.example/",
        "file:///etc/passwd",
        "https:///",
    ],
)
async def test_no_spelling_of_our_own_machine_is_ever_connected_to(url: str) -> None:
    """Refused before a packet leaves: the listener never hears of it."""
    async with listening() as listener:
        outbound = Outbound(allow_private=False, resolve=listener.resolve)
        with pytest.raises(OutboundError):
            await get(outbound, url.format(port=listener.port))
        assert listener.connects == 0


@pytest.mark.parametrize(
    "url", ["https://h.example:99999/x", "https://h.example:abc/x", "https://[::1/x"]
)
@pytest.mark.parametrize("private", [True, False])
async def test_an_impossible_url_is_refused(url: str, private: bool) -> None:
    """Creation refuses it too; a row that has one must not look like our mistake."""
    with pytest.raises(Refused):
        await get(Outbound(allow_private=private), url)


async def test_one_private_address_among_public_ones_spoils_them_all() -> None:
    """Which address is called would be the attacker's choice."""

    async def both(_host: str, _port: int) -> Sequence[str]:
        return ("93.184.215.14", "127.0.0.1")

    with pytest.raises(Refused):
        await get(Outbound(allow_private=False, resolve=both), "https://both.example/")


async def test_a_name_is_resolved_once_and_that_address_is_called() -> None:
    """Between a check and a second look-up the name could have moved."""
    async with serving(answering(response(b"ok"))) as url:
        listener = Listener()
        outbound = Outbound(allow_private=True, resolve=listener.resolve)
        port = url.rpartition(":")[2]
        assert await get(outbound, f"http://moving.example:{port}/") == (200, b"ok")
    assert listener.asked == ["moving.example"]


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    """A redirect is an answer and is not followed: it could lead anywhere."""
    raw = response(b"", status=302, Location="http://127.0.0.1:1/")
    async with serving(answering(raw)) as url:
        assert await get(ANYBODY, url) == (302, b"")


async def test_a_server_that_never_answers_is_too_slow() -> None:
    """The time is bounded over all."""

    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.Event().wait()

    async with serving(hang) as url:
        with pytest.raises(TooSlow):
            await get(ANYBODY, url, seconds=0.1)


async def test_half_a_body_is_not_taken_for_a_whole_one() -> None:
    """A connection that breaks off is an error, whatever came before."""
    raw = response(b"0123456789")[:-4]
    async with serving(answering(raw)) as url:
        with pytest.raises(Unreachable):
            await get(ANYBODY, url)


async def test_nobody_there_is_unreachable() -> None:
    """A refused connection has no other name."""
    async with serving(answering(b"")) as url:
        pass
    with pytest.raises(Unreachable):
        await get(ANYBODY, url)


async def test_the_environments_proxy_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy would resolve the name by itself."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with serving(answering(response(b"ok"))) as url:
        assert await get(ANYBODY, url) == (200, b"ok")


async def test_an_address_that_swallows_everything_keeps_nobody() -> None:
    """A name's other addresses are tried beside it."""

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return ("10.255.255.1", "127.0.0.1")

    outbound = Outbound(allow_private=True, resolve=resolve)
    async with serving(answering(response(b"here"))) as url:
        named = url.replace("127.0.0.1", "receiver.example.com")
        assert await get(outbound, named) == (200, b"here")
