"""What the simulator's tests share: a client that speaks TikTok, a hand-set clock."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from app.sandbox.server import RunningSandbox

INIT = "/v2/post/publish/video/init/"
INBOX = "/v2/post/publish/inbox/video/init/"
CONTENT = "/v2/post/publish/content/init/"
CANCEL = "/v2/post/publish/cancel/"
STATUS = "/v2/post/publish/status/fetch/"
CREATOR = "/v2/post/publish/creator_info/query/"
VIDEOS = "/v2/video/list/"
USER = "/v2/user/info/"
TOKEN = "/v2/oauth/token/"
REVOKE = "/v2/oauth/revoke/"
AUTHORIZE = "/v2/auth/authorize/"

APP = {"client_key": "sandbox_key", "client_secret": "sandbox_secret"}


@dataclass(slots=True)
class HandClock:
    """A clock that moves only by hand; calling it gives epoch seconds."""

    seconds: float = 1_790_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.seconds


class TikTok:
    """Calls the simulator as a TikTok app would, and scripts it."""

    def __init__(self, running: RunningSandbox, client: httpx.AsyncClient) -> None:
        self.world = running.sandbox
        self.url = running.url
        self.http = client

    async def post(
        self, path: str, body: object = None, *, token: str | None = "act.sandbox"
    ) -> httpx.Response:
        """Call an endpoint with a JSON body and a bearer token."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self.http.post(path, json=body, headers=headers)

    async def init(self, token: str = "act.sandbox", **info: object) -> httpx.Response:
        """Send a direct init; `info` changes its post_info."""
        return await self.post(INIT, self.direct(**info), token=token)

    async def taken(self, token: str = "act.sandbox", **info: object) -> str:
        """Send an init that is taken, and give its publish_id."""
        answer = await self.init(token, **info)
        publish_id: str = answer.json()["data"]["publish_id"]
        return publish_id

    async def status(
        self, publish_id: str, *, token: str = "act.sandbox"
    ) -> dict[str, Any]:
        """Ask how far a post is."""
        answer = await self.post(STATUS, {"publish_id": publish_id}, token=token)
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def form(self, path: str, **fields: str) -> httpx.Response:
        """Call an OAuth endpoint with the app's credentials."""
        return await self.http.post(path, data={**APP, **fields})

    async def fault(
        self,
        call: str,
        kind: str,
        *,
        rule: Mapping[str, Any] | None = None,
        **more: object,
    ) -> int:
        """Script a fault; `rule` says when it strikes."""
        body = {"call": call, **(rule or {}), "fault": {"kind": kind, **more}}
        answer = await self.http.post("/_sandbox/faults", json=body)
        assert answer.status_code == 201, answer.text
        number: int = answer.json()["id"]
        return number

    async def account(self, **fields: object) -> dict[str, Any]:
        """Add an account."""
        answer = await self.http.post("/_sandbox/accounts", json=fields)
        assert answer.status_code == 201, answer.text
        account: dict[str, Any] = answer.json()
        return account

    async def settings(self, **changes: object) -> None:
        """Change settings."""
        answer = await self.http.post("/_sandbox/settings", json=changes)
        assert answer.status_code == 200, answer.text

    async def read(self, name: str, **query: str | float) -> list[dict[str, Any]]:
        """Read a list of the control routes."""
        answer = await self.http.get(f"/_sandbox/{name}", params=query)
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def act(self, publish_id: str, act: str, **more: object) -> httpx.Response:
        """Let something happen to a post."""
        return await self.http.post(f"/_sandbox/posts/{publish_id}/{act}", json=more)

    async def newest(self) -> dict[str, Any]:
        """Read the post that was taken last."""
        return (await self.read("posts"))[-1]

    async def settled(self) -> None:
        """Wait until nothing goes on in the background any more."""
        while self.world.tasks:
            await asyncio.gather(*self.world.tasks)

    def photos(
        self, *urls: str, mode: str = "DIRECT_POST", **more: object
    ) -> dict[str, Any]:
        """Write the body of a content init; without URLs for one sound photo."""
        sound = f"{self.url}/_sandbox/photo.jpg"
        return {
            "media_type": "PHOTO",
            "post_mode": mode,
            "post_info": {"title": "Cats", "privacy_level": "PUBLIC_TO_EVERYONE"},
            "source_info": {
                "source": "PULL_FROM_URL",
                "photo_images": list(urls or (sound,)),
                "photo_cover_index": 0,
            },
            **more,
        }

    def direct(self, **info: object) -> dict[str, Any]:
        """Write a direct init's body."""
        video_url = info.pop("video_url", f"{self.url}/_sandbox/video.mp4")
        return {
            "post_info": {
                "title": "A cat",
                "privacy_level": "PUBLIC_TO_EVERYONE",
                **info,
            },
            "source_info": {"source": "PULL_FROM_URL", "video_url": video_url},
        }


def code_of(answer: httpx.Response) -> str:
    """Read the verdict from TikTok's envelope."""
    code: str = answer.json()["error"]["code"]
    return code


async def over_a_bare_socket(tiktok: TikTok, path: str, body: object) -> bytes:
    """Send a request on a connection of its own, and read all that comes."""
    host, port = tiktok.url.removeprefix("http://").split(":")
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n"
        "authorization: Bearer act.sandbox\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode() + content)
    raw = await reader.read()
    writer.close()
    await writer.wait_closed()
    return raw


async def all_served() -> None:
    """Wait until the simulator works on no request any more."""
    await asyncio.gather(
        *(task for task in asyncio.all_tasks() if "run_asgi" in str(task.get_coro()))
    )
