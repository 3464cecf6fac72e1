"""What a team would write around a job queue to publish one post.

creator_info, init and one status call, through one client that is kept. What the next
step relies on is committed before it. Needs nothing of ours: it runs where the queues
are installed.
"""

import json
import resource
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import asyncpg
import httpx

SCHEMA = """
CREATE TABLE posts (
  id bigint PRIMARY KEY,
  token text NOT NULL,
  video_url text NOT NULL,
  title text NOT NULL,
  status text NOT NULL DEFAULT 'scheduled',
  init_sent_at timestamptz,
  publish_id text,
  posted_at timestamptz
)
"""
FILL = """
INSERT INTO posts (id, token, video_url, title)
SELECT n, 'act.' || n, 'https://cdn.example.com/v.mp4', 'A post of no words'
FROM generate_series(1, $1::bigint) n
"""
CREATOR_INFO = "/v2/post/publish/creator_info/query/"
INIT = "/v2/post/publish/video/init/"
STATUS = "/v2/post/publish/status/fetch/"

Call = Callable[[str, str, Any], Awaitable[Any]]
"""Takes a path, an access token and a body; returns the answer's ``data``."""


class Pool(Protocol):
    """Where the posts' rows are written."""

    async def fetchrow(self, query: str, *values: object) -> Any:  # noqa: ANN401  the peer's interface
        """Run a query and return its first row."""

    async def execute(self, query: str, *values: object) -> object:
        """Run a statement in a transaction of its own."""


async def publish(call: Call, pool: Pool, number: int) -> None:
    """Publish one post; raises whatever goes wrong."""
    post = await pool.fetchrow(
        "SELECT token, video_url, title FROM posts WHERE id = $1", number
    )
    token = post["token"]
    creator = await call(CREATOR_INFO, token, {})
    assert "SELF_ONLY" in creator["privacy_level_options"]
    await pool.execute(
        "UPDATE posts SET status = 'processing', init_sent_at = now() WHERE id = $1",
        number,
    )
    taken = await call(INIT, token, _init(post["title"], post["video_url"]))
    await pool.execute(
        "UPDATE posts SET publish_id = $2 WHERE id = $1", number, taken["publish_id"]
    )
    status = await call(STATUS, token, {"publish_id": taken["publish_id"]})
    assert status["status"] == "PUBLISH_COMPLETE"
    await pool.execute(
        "UPDATE posts SET status = 'posted', posted_at = now() WHERE id = $1", number
    )


def _init(title: str, video_url: str) -> object:
    return {
        "post_info": {
            "title": title,
            "privacy_level": "SELF_ONLY",
            "disable_comment": True,
            "disable_duet": True,
            "disable_stitch": True,
            "brand_content_toggle": False,
            "brand_organic_toggle": False,
        },
        "source_info": {"source": "PULL_FROM_URL", "video_url": video_url},
    }


def with_httpx(base_url: str) -> tuple[Call, Callable[[], Awaitable[None]]]:
    """Call with one client of httpx's, as its documentation advises."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    client = httpx.AsyncClient(base_url=base_url, limits=limits, timeout=30.0)

    async def call(path: str, token: str, body: object) -> Any:  # noqa: ANN401  any JSON
        headers = {"Authorization": f"Bearer {token}"}
        answer = await client.post(path, headers=headers, json=body)
        answer.raise_for_status()
        return answer.json()["data"]

    return call, client.aclose


def with_aiohttp(base_url: str) -> tuple[Call, Callable[[], Awaitable[None]]]:
    """Call with one session of aiohttp's."""
    session = aiohttp.ClientSession(base_url, connector=aiohttp.TCPConnector(limit=0))

    async def call(path: str, token: str, body: object) -> Any:  # noqa: ANN401  any JSON
        headers = {"Authorization": f"Bearer {token}"}
        async with session.post(path, headers=headers, json=body) as answer:
            answer.raise_for_status()
            return json.loads(await answer.read())["data"]

    return call, session.close


CLIENTS = {"httpx": with_httpx, "aiohttp": with_aiohttp}


async def fill(pool: asyncpg.Pool, posts: int) -> None:
    """Make the table and its rows."""
    await pool.execute(SCHEMA)
    await pool.execute(FILL, posts)
    await pool.execute("ANALYZE")


def resident_kib() -> int:
    """Return the memory that this process holds. Linux alone tells."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize() // 1024
