"""A simulator on a real socket, with posts that are processed at once."""

from collections.abc import AsyncIterator

import httpx
import pytest

from app.sandbox.server import running_sandbox
from app.sandbox.settings import SandboxSettings
from app.tiktok.client import Calls
from app.tiktok.client import TikTok as Client
from tests.sandbox.receiver import Receiver, receiving
from tests.sandbox.support import HandClock, TikTok
from tests.support.patience import PATIENCE_SECONDS

NO_TLS = False  # plain HTTP; reading the certificates would cost 50 ms a test


@pytest.fixture
def clock() -> HandClock:
    """Give the simulator's clock."""
    return HandClock()


@pytest.fixture
async def tiktok(clock: HandClock) -> AsyncIterator[TikTok]:
    """Give a client of a fresh simulator."""
    settings = SandboxSettings(processing_seconds=0, webhook_retry_seconds=0)
    async with (
        running_sandbox(settings=settings, now=clock) as running,
        httpx.AsyncClient(
            base_url=running.url, verify=NO_TLS, timeout=PATIENCE_SECONDS
        ) as client,
    ):
        yield TikTok(running, client)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give the app's callback URL, with a server behind it."""
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def events(tiktok: TikTok, receiver: Receiver) -> Receiver:
    """Give the callback URL that the app has told TikTok."""
    await tiktok.settings(webhookUrl=receiver.url)
    return receiver


@pytest.fixture
async def calls(tiktok: TikTok) -> AsyncIterator[Calls]:
    """Give the client's calls, aimed at the simulator."""
    client = Client(
        base_url=tiktok.url, client_key="sandbox_key", client_secret="sandbox_secret"
    )
    async with client.connect() as calls:
        yield calls
