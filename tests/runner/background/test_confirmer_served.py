"""The whole way over sockets: TikTok's own webhook corrects the record at once."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
import uvicorn

from app.machine.clock import SystemClock
from app.main import create_app
from app.sandbox.recording import Call
from app.sandbox.script import FaultRule
from app.sandbox.server import RunningSandbox, running_sandbox
from app.sandbox.settings import SandboxSettings
from app.settings import RunnerMode
from tests.api.serving import settings_of
from tests.support.patience import PATIENCE_SECONDS


class Standing(SystemClock):
    """A clock that stands: the time of the first look, in a minute, never comes."""

    def __init__(self) -> None:
        self._now = super().now()

    def now(self) -> datetime:
        """Return when it was made."""
        return self._now


class QuietServer(uvicorn.Server):
    """A server that leaves the signals to the test run."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


@contextlib.asynccontextmanager
async def served(
    database_url: str, tiktok: RunningSandbox
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the API with its own runner; give a client that has a key."""
    app = create_app(
        settings_of(
            database_url,
            runner=RunnerMode.EMBEDDED,
            tiktok_api_base_url=tiktok.url,
            tiktok_client_key=tiktok.sandbox.settings.client_key,
            tiktok_client_secret=tiktok.sandbox.settings.client_secret,
            allow_private_urls=True,
            http_timeout_seconds=PATIENCE_SECONDS,
            sole_publisher=True,
        ),
        clock=Standing(),
    )
    listener = socket.create_server(("127.0.0.1", 0))
    server = QuietServer(uvicorn.Config(app, log_config=None))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
        await asyncio.sleep(0.01)
    _, key = await app.state.services.keys.create("test", None)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=PATIENCE_SECONDS
    ) as client:
        try:
            yield client
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
async def tiktok() -> AsyncIterator[RunningSandbox]:
    """Give a TikTok that tells of a post half a second after its init."""
    weather = SandboxSettings(processing_seconds=0.5, webhook_retry_seconds=0.1)
    async with running_sandbox(settings=weather) as running:
        yield running


async def test_tiktoks_webhook_corrects_a_lost_answer_at_once(
    database_url: str, tiktok: RunningSandbox
) -> None:
    """Posted once, shown as posted, with its ids, a moment after TikTok told of it."""
    lost = {"call": "init", "fault": {"kind": "reset", "taken": True}}
    async with served(database_url, tiktok) as client:
        tiktok.sandbox.apply(
            tiktok.sandbox.settings.model_copy(
                update={"webhook_url": f"{client.base_url}/webhooks/tiktok"}
            ),
            reseed=False,
        )
        tiktok.sandbox.script.add(FaultRule.model_validate(lost))
        await connect(client)
        job = await post_now(client, tiktok)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while job["status"] != "posted":
                await asyncio.sleep(0.05)
                job = (await client.get(f"/v1/jobs/{job['id']}")).json()
        ledger = (await client.get(f"/v1/jobs/{job['id']}/attempts")).json()["items"]
    (post,) = tiktok.sandbox.posts
    assert (job["publishId"], job["postId"]) == (post.publish_id, str(post.post_id))
    assert (job["failureReason"], job["lastError"]) == (None, None)
    assert [row["outcome"] for row in ledger] == ["unconfirmed"]
    assert len(list(tiktok.sandbox.calls.find(call=Call.INIT))) == 1


async def connect(client: httpx.AsyncClient) -> None:
    """Connect the simulator's account."""
    account = {
        "openId": "sandbox_user",
        "accessToken": "act.sandbox",
        "refreshToken": "rft.sandbox",
        "expiresIn": 7200,
        "refreshExpiresIn": 86_400,
        "scope": "video.publish",
    }
    answer = await client.put("/v1/projects/proj_1/accounts/tiktok", json=account)
    assert answer.status_code == 201, answer.text


async def post_now(client: httpx.AsyncClient, tiktok: RunningSandbox) -> dict[str, Any]:
    """Ask for a public post."""
    body = {
        "projectId": "proj_1",
        "assetId": "asset_1",
        "assetUrl": f"{tiktok.url}/_sandbox/video.mp4",
        "post": {"title": "Spring", "privacyLevel": "PUBLIC_TO_EVERYONE"},
    }
    answer = await client.post("/v1/jobs", json=body)
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job
