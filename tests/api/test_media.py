"""The media gateway: one pull URL per init, and what it gives out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.store.jobs.media_links import MediaStore
from app.store.jobs.tables import media_links
from tests.api.serving import Api, serving
from tests.support.factories import NOW
from tests.tiktok import chaos

VIDEO = bytes(range(256)) * 1024
TOKEN = "t" * 43
PULL = f"/media/{TOKEN}/video.mp4"


async def origin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve the video, whole or from byte 1000 on, like a file server."""
    request = (await chaos.read_request(reader)).decode()
    if "/redirect" in request:
        raw = chaos.response(b"", status=302, Location="/elsewhere")
    elif "/missing" in request:
        raw = chaos.response(b"gone", status=404)
    elif "/half" in request:
        raw = chaos.response(VIDEO)[:-1000]
    elif "ange: bytes=1000-" in request:
        span = f"bytes 1000-{len(VIDEO) - 1}/{len(VIDEO)}"
        raw = chaos.response(VIDEO[1000:], status=206, Content_Range=span)
    else:
        raw = chaos.response(VIDEO, Content_Type="video/mp4", Accept_Ranges="bytes")
        if request.startswith("HEAD"):
            raw = raw[: -len(VIDEO)]
    writer.write(raw)
    await writer.drain()


@asynccontextmanager
async def gateway(url: str, path: str = "/v.mp4") -> AsyncIterator[Api]:
    """Serve the app with a link to a video on a real server."""
    async with (
        chaos.serving(origin) as source,
        serving(
            url,
            media_base_url="https://media.example.com",
            allow_private_urls=True,
        ) as api,
    ):
        job = await api.job()
        link = {
            "token": TOKEN,
            "job_id": job["id"],
            "asset_url": f"{source}{path}",
            "created_at": NOW,
        }
        async with api.database.write() as connection:
            await connection.execute(api.database.insert_new(media_links), link)
        yield api


async def fetched(api: Api) -> bool:
    """Tell whether the link counts as fetched: such a one cannot be withdrawn."""
    return not await MediaStore(api.database).revoke(TOKEN, now=NOW)


async def test_a_pull_url_gives_the_whole_video_without_a_key(
    database_url: str,
) -> None:
    """TikTok has no key of ours; the URL is the secret."""
    async with gateway(database_url) as api:
        answer = await api.stranger().get(PULL)
        assert (answer.status_code, answer.content) == (200, VIDEO)
        assert answer.headers["content-type"] == "video/mp4"
        assert answer.headers["content-length"] == str(len(VIDEO))
        assert await fetched(api)


async def test_a_part_is_given_as_a_part(sqlite_url: str) -> None:
    """Range goes to the asset's server, and its answer comes back."""
    async with gateway(sqlite_url) as api:
        answer = await api.stranger(Range="bytes=1000-").get(PULL)
        assert (answer.status_code, answer.content) == (206, VIDEO[1000:])
        assert answer.headers["content-range"].startswith("bytes 1000-")


async def test_a_head_gives_nothing_out_and_does_not_count(database_url: str) -> None:
    """Who only looked has not got the video."""
    async with gateway(database_url) as api:
        answer = await api.stranger().head(PULL)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == str(len(VIDEO))
        assert not await fetched(api)


async def test_a_withdrawn_link_gives_nothing_to_anybody(database_url: str) -> None:
    """That is what makes a second init safe."""
    async with gateway(database_url) as api:
        assert await MediaStore(api.database).revoke(TOKEN, now=NOW)
        for method in ("GET", "HEAD"):
            answer = await api.stranger().request(method, PULL)
            assert answer.status_code == 404
        assert (await api.stranger().get("/media/made-up/v.mp4")).status_code == 404


async def test_a_link_is_fetched_or_withdrawn_and_never_both(
    database_url: str,
) -> None:
    """Whatever the order in which two workers meet on its row, one of them wins."""
    async with gateway(database_url) as api:
        store = MediaStore(api.database)
        for number in range(40):
            token = f"{TOKEN}{number}"
            job = (await api.client.get("/v1/jobs")).json()["items"][0]["id"]
            link = {
                "token": token,
                "job_id": job,
                "asset_url": "https://x.example/v",
                "created_at": NOW,
            }
            async with api.database.write() as connection:
                await connection.execute(api.database.insert_new(media_links), link)
            given, withdrawn = await asyncio.gather(
                store.fetch(token, now=NOW), store.revoke(token, now=NOW)
            )
            assert (given is not None) != withdrawn


@pytest.mark.parametrize("path", ["/redirect", "/missing"])
async def test_what_is_no_video_is_no_answer(sqlite_url: str, path: str) -> None:
    """TikTok follows no redirect, and would take an error page for the video."""
    async with gateway(sqlite_url, path) as api:
        answer = await api.stranger().get(PULL)
        assert answer.status_code == 502
        assert answer.json()["code"] == "asset_unavailable"


async def test_half_a_video_is_never_a_whole_answer(sqlite_url: str) -> None:
    """Where the asset's server breaks off, our answer ends without its end."""
    async with gateway(sqlite_url, "/half") as api:
        messages = await _raw_messages(api, PULL)
    assert messages[0]["status"] == 200
    assert all(message.get("more_body") for message in messages[1:])


async def test_no_gateway_no_route(sqlite_url: str) -> None:
    """Unless MEDIA_BASE_URL is set, there is nothing under /media."""
    async with serving(sqlite_url) as api:
        answer = await api.stranger().get(PULL)
        assert answer.status_code == 404


async def test_the_log_does_not_hold_the_url(
    sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads logs must not be able to fetch videos."""
    async with gateway(sqlite_url) as api:
        await api.stranger().get(PULL)
    printed = capsys.readouterr()
    assert TOKEN not in printed.out + printed.err


async def _raw_messages(api: Api, path: str) -> list[dict[str, object]]:
    """Call the app as a server does, and keep what it sends."""
    messages: list[dict[str, object]] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"test")],
        "scheme": "http",
        "server": ("test", 80),
        "client": ("test", 1),
        "root_path": "",
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        messages.append(message)

    await api.app(scope, receive, send)  # type: ignore[arg-type]
    return messages


async def test_a_sets_links_are_withdrawn_together_or_not_at_all(
    database_url: str,
) -> None:
    """A set of photos of which one was fetched can be posted no second time."""
    async with gateway(database_url) as api:
        store = MediaStore(api.database)
        job = (await api.client.get("/v1/jobs")).json()["items"][0]["id"]
        links = [
            {
                "token": f"{TOKEN}{place}",
                "job_id": job,
                "asset_url": f"https://x.example/{place}.jpg",
                "created_at": NOW,
            }
            for place in range(3)
        ]
        async with api.database.write() as connection:
            await connection.execute(api.database.insert_new(media_links), links)
        tokens = [str(link["token"]) for link in links]
        assert await store.fetch(tokens[1], now=NOW)
        assert not await store.revoke(*tokens, now=NOW)
        assert await store.fetch(tokens[0], now=NOW)  # it was not withdrawn
        assert await store.revoke(tokens[2], now=NOW)
        assert not await store.revoke(now=NOW)  # nothing is no proof
