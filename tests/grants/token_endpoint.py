"""TikTok's token endpoint behind a transport: it rotates, and counts who asks."""

import asyncio
from collections import deque
from urllib.parse import parse_qs

import httpx

from app.tiktok.client import TikTok
from app.tiktok.transport.session import Http

Reply = httpx.Response | Exception


class TokenEndpoint:
    """Trades each refresh token once, as TikTok does.

    ``replies`` go before what it would answer; ``gate`` holds every answer back.
    """

    def __init__(self) -> None:
        self.used: list[str] = []
        self.spent: set[str] = set()
        self.replies: deque[Reply] = deque()
        self.expires_in = 7200
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    def client(self, *, client_key: str | None = "key") -> TikTok:
        """Make a client that talks to it."""
        return TikTok(
            base_url="https://tiktok.test",
            client_key=client_key,
            client_secret="secret",
            http=Http(transport=httpx.MockTransport(self.answer)),
        )

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a refresh."""
        assert request.url.path == "/v2/oauth/token/"
        form = {
            key: value for key, [value] in parse_qs(request.content.decode()).items()
        }
        assert form["grant_type"] == "refresh_token"
        token = form["refresh_token"]
        self.used.append(token)
        self.asked.set()
        await self.gate.wait()
        if self.replies:
            reply = self.replies.popleft()
            if isinstance(reply, Exception):
                raise reply
            return reply
        if token in self.spent:
            return refused("invalid_grant")
        self.spent.add(token)
        return httpx.Response(200, json=self.pair(f"{len(self.used)}"))

    def pair(self, word: str, **changes: object) -> dict[str, object]:
        """Write a pair as TikTok does."""
        return {
            "open_id": "open_1",
            "scope": "user.info.basic,video.publish",
            "access_token": f"act.new{word}",
            "expires_in": self.expires_in,
            "refresh_token": f"rft.new{word}",
            "refresh_expires_in": 180 * 86_400,
            "token_type": "Bearer",
            **changes,
        }


def refused(code: str, status: int = 400) -> httpx.Response:
    """Write a flat OAuth error."""
    return httpx.Response(status, json={"error": code, "error_description": "no"})
