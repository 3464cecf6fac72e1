"""Attempts over real sockets, and what they leave behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from app.domain.jobs.outcome import Fault, Verdict
from app.domain.posts.post import Post, PrivacyLevel
from app.tiktok.client import Calls, TikTok
from app.tiktok.values import InitTaken, PublishStatus
from tests.support.patience import PATIENCE_SECONDS
from tests.tiktok import chaos
from tests.tiktok.chaos import envelope, response

POST = Post(title="Hello", privacy_level=PrivacyLevel.SELF_ONLY)
BODY = envelope({"publish_id": "v_pub_url~v2.1", "status": "PUBLISH_COMPLETE"})


@asynccontextmanager
async def connected(base_url: str) -> AsyncIterator[Calls]:
    """Give the calls of an attempt."""
    tiktok = TikTok(
        base_url=base_url,
        client_key=None,
        client_secret=None,
        timeout=PATIENCE_SECONDS,
    )
    async with tiktok.connect() as calls:
        yield calls


async def init(base_url: str) -> InitTaken | Fault:
    """Send one init on connections of its own."""
    async with connected(base_url) as calls:
        return await calls.init("act.secret", POST, "https://cdn.example.com/v.mp4")


async def cut_off(send: Callable[[float], Awaitable[object]]) -> Fault:
    """Send with more and more seconds, until they end after something was sent."""
    fault: object = None
    for seconds in (0.4, 4.0, 40.0):
        fault = await send(seconds)
        if isinstance(fault, Fault) and fault.verdict is not Verdict.NOT_SENT:
            return fault
    raise AssertionError(f"not sent in time, or not cut off: {fault}")


async def poll(calls: Calls) -> None:
    """Ask for a status and get one."""
    assert isinstance(await calls.status("act.secret", "v"), PublishStatus)


class Connections:
    """Counts connections and how many requests each served."""

    def __init__(self, *answers: bytes) -> None:
        self.served: list[int] = []
        self._answers = answers or (response(BODY),)

    async def script(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer in turn; hang up after the last answer if there are several."""
        number = len(self.served)
        self.served.append(0)
        while True:
            await chaos.read_request(reader)
            self.served[number] += 1
            writer.write(self._answers[sum(self.served) % len(self._answers) - 1])


def descriptors() -> int:
    """Count what this process has open."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


async def all_closed(before: int) -> None:
    """Wait until no more descriptors are open than before."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while descriptors() > before:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
