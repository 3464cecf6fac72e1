"""The simulator as a server: starting, stopping, and a crowd of callers."""

import asyncio
import contextlib
import signal
import socket
import sys

import httpx
import pytest

from app.sandbox.server import create_sandbox, running_sandbox, serve
from app.sandbox.settings import SandboxSettings
from tests.sandbox.support import CREATOR, INIT, TikTok, over_a_bare_socket
from tests.support.patience import PATIENCE_SECONDS

SERVE = """
import asyncio
from app.sandbox.server import serve
asyncio.run(serve(port=0, announce=lambda url: print(url, flush=True)))
"""


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_it_serves_until_it_is_told_to_stop(told: signal.Signals) -> None:
    """It says where it listens; a signal ends it well, callers hanging or not."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with httpx.AsyncClient(
        base_url=url, verify=False, timeout=PATIENCE_SECONDS
    ) as client:
        assert (await client.get("/_sandbox/healthz")).status_code == 200
        rule = {"call": "any", "fault": {"kind": "hang"}}
        await client.post("/_sandbox/faults", json=rule)
        hanging = asyncio.create_task(client.post(CREATOR))
        while not (await client.get("/_sandbox/calls")).json()["items"]:
            pass
        process.send_signal(told)
        with pytest.raises(httpx.HTTPError):
            await hanging
    assert await process.wait() == 0


async def test_a_taken_port_is_an_error() -> None:
    """OSError, for the command to put in words."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await serve(port=port)


async def test_it_stops_at_once_whoever_still_waits(tiktok: TikTok) -> None:
    """Hanging callers and posts in progress do not hold it up."""
    settings = SandboxSettings(processing_seconds=3600, pull=False)
    async with (
        httpx.AsyncClient(verify=False, timeout=PATIENCE_SECONDS) as client,
        running_sandbox(settings=settings) as running,
    ):
        crowd = TikTok(
            running,
            httpx.AsyncClient(
                base_url=running.url, verify=False, timeout=PATIENCE_SECONDS
            ),
        )
        await crowd.taken()
        await crowd.fault("creator_info", "hang")
        waiting = asyncio.create_task(client.post(running.url + CREATOR))
        while len(await crowd.read("calls")) < 2:
            pass
        await crowd.http.aclose()
    with pytest.raises(httpx.HTTPError):
        await waiting
    assert not running.sandbox.tasks


async def test_a_crowd_is_served() -> None:
    """A thousand posts at once, over their own connections, each with its own id."""
    settings = SandboxSettings(quotas=None, pull=False, processing_seconds=0)
    async with (
        running_sandbox(settings=settings) as running,
        httpx.AsyncClient(
            base_url=running.url, verify=False, timeout=PATIENCE_SECONDS
        ) as client,
    ):
        crowd = TikTok(running, client)
        answers = await asyncio.gather(
            *(over_a_bare_socket(crowd, INIT, crowd.direct()) for _ in range(1000))
        )
        await crowd.settled()
    assert all(answer.startswith(b"HTTP/1.1 200 OK") for answer in answers)
    posts = list(running.sandbox.posts)
    assert len(posts) == 1000
    assert {post.status for post in posts} == {"PUBLISH_COMPLETE"}
    assert len({post.post_id for post in posts}) == 1000


async def test_two_simulators_share_nothing() -> None:
    """Each has a world of its own."""
    async with running_sandbox() as one, running_sandbox() as other:
        one.sandbox.accounts.revoke("sandbox_user", now=one.sandbox.now())
        assert one.url != other.url
        assert "sandbox_user" in other.sandbox.accounts.current


async def test_faults_on_the_wire_need_a_wire() -> None:
    """Called in memory, a reset says what it lacks instead of pretending."""
    transport = httpx.ASGITransport(app=create_sandbox())
    async with httpx.AsyncClient(
        transport=transport, base_url="http://tiktok"
    ) as client:
        rule = {"call": "creator_info", "fault": {"kind": "reset"}}
        await client.post("/_sandbox/faults", json=rule)
        with pytest.raises(RuntimeError, match="server"):
            await client.post(CREATOR)
