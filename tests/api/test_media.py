"""The media gateway: one pull URL per init, and what it gives out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any, cast

import httpx
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from app.service import media
from app.store.jobs.media_links import MediaStore
from app.store.jobs.tables import media_links
from tests.api.serving import Api, serving
from tests.support.factories import NOW
from tests.support.loopback import on_loopback
from tests.support.patience import PATIENCE_SECONDS
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
    elif "/signed" in request and not (
        request.startswith("GET") and "ange: bytes=0-0" in request
    ):
        raw = chaos.response(b"", status=403)
    elif "/huge" in request:
        raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (5 * 1024**3)
    elif "ange: bytes=0-0" in request and "/whole" not in request:
        span = f"bytes 0-0/{len(VIDEO)}"
        raw = chaos.response(VIDEO[:1], status=206, Content_Range=span)
    elif "/page" in request:
        page = b"<meta http-equiv=refresh content='0;url=//evil.example'>"
        raw = chaos.response(page, Content_Type="text/html; charset=utf-8")
    else:
        raw = chaos.response(VIDEO, Content_Type="video/mp4", Accept_Ranges="bytes")
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
    """A HEAD request sends no byte of the video and does not count as a fetch."""
    async with gateway(database_url) as api:
        answer = await api.stranger().head(PULL)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-length"] == str(len(VIDEO))
        assert not await fetched(api)


async def test_a_withdrawn_link_gives_nothing_to_anybody(database_url: str) -> None:
    """A withdrawn link gives nothing, which makes a second init safe."""
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
            assert given != withdrawn


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


@pytest.mark.parametrize("token", ["%00", "a%00b", "%ff", "%F0%9F%8E%89", "x" * 5000])
async def test_what_can_be_no_link_is_not_found(database_url: str, token: str) -> None:
    """No database has to make sense of whatever a stranger asks for."""
    async with serving(database_url, media_base_url="https://media.example.com") as api:
        for method in ("GET", "HEAD"):
            answer = await api.stranger().request(method, f"/media/{token}/v.mp4")
            assert answer.status_code == 404, method


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

    body = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, object]:
        if not body:
            await asyncio.Event().wait()  # nobody hangs up
        return body.pop()

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


# What a stream may be, and for how long


async def test_a_page_is_no_page_here(sqlite_url: str) -> None:
    """Whatever an asset's server says, no browser runs it on the API's origin."""
    async with gateway(sqlite_url, "/page.mov") as api:
        answer = await api.stranger().get(PULL)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/quicktime"
    assert answer.headers["content-disposition"] == "attachment"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("claimed", "path", "given"),
    [
        ("video/mp4", "/v", "video/mp4"),
        ("VIDEO/WebM; codecs=vp9", "/v.mp4", "video/webm"),
        ("image/jpeg", "/v.webp", "image/jpeg"),
        ("text/html", "/v.mp4", "video/mp4"),
        ("application/octet-stream", "/a.b/photo.JPG?x=.png", "image/jpeg"),
        ("image/svg+xml", "/photo.webp", "image/webp"),
        ("binary/octet-stream", "/v.webm", "video/webm"),
        ("", "/nothing", "video/mp4"),
    ],
)
def test_the_type_is_one_that_tiktok_takes(claimed: str, path: str, given: str) -> None:
    """The claimed one if it is one of these, else what the name says."""
    assert media._type_of(claimed, f"https://cdn.example.com{path}") == given


@pytest.mark.parametrize("path", ["/signed.mp4", "/whole.mp4"])
async def test_a_link_that_is_signed_for_get_answers_a_head(
    sqlite_url: str, path: str
) -> None:
    """A GET's first byte tells as much as a HEAD, ranges or not."""
    async with gateway(sqlite_url, path) as api:
        answer = await api.stranger().head(PULL)
        assert answer.status_code == 200
        assert answer.headers["content-length"] == str(len(VIDEO))
        assert "content-range" not in answer.headers
        assert not await fetched(api)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_more_than_tiktok_takes_is_not_begun(
    sqlite_url: str, method: str
) -> None:
    """What is announced as larger than 4 GB is no video for TikTok."""
    async with gateway(sqlite_url, "/huge") as api:
        answer = await api.stranger().request(method, PULL)
    assert answer.status_code == 502


async def test_several_ranges_are_not_asked_for(sqlite_url: str) -> None:
    """Their answer would be no video; the whole one is right, too."""
    async with gateway(sqlite_url) as api:
        answer = await api.stranger(Range="bytes=0-1,5-6").get(PULL)
    assert (answer.status_code, answer.content) == (200, VIDEO)


class Endless:
    """An asset's server that never comes to an end, and sees who hangs up."""

    def __init__(self, piece: bytes = b"x" * 65536) -> None:
        self.open = 0
        self.left = asyncio.Event()
        self._piece = piece

    async def script(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Send until the other side leaves."""
        await chaos.read_request(reader)
        self.open += 1
        try:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000000\r\n\r\n")
            while True:
                writer.write(self._piece)
                await writer.drain()
                await asyncio.sleep(0)
        except ConnectionError:
            pass
        finally:
            self.open -= 1
            self.left.set()


@asynccontextmanager
async def streaming(url: str, source: Endless) -> AsyncIterator[tuple[Api, str]]:
    """Serve the gateway in front of a server that never ends."""
    async with chaos.serving(source.script) as origin:
        settings: dict[str, Any] = {
            "media_base_url": "https://media.example.com",
            "allow_private_urls": True,
        }
        async with serving(url, **settings) as api:
            job = await api.job()
            links = [
                {
                    "token": f"{TOKEN}{number}",
                    "job_id": job["id"],
                    "asset_url": f"{origin}/v.mp4",
                    "created_at": NOW,
                }
                for number in range(media.MOST_STREAMS)
            ]
            async with api.database.write() as connection:
                await connection.execute(api.database.insert_new(media_links), links)
            yield api, f"/media/{TOKEN}"


async def test_who_hangs_up_is_not_pulled_for(sqlite_url: str) -> None:
    """An abandoned pull ends at the asset's server, too."""
    source = Endless()
    async with (
        streaming(sqlite_url, source) as (api, path),
        on_loopback(api.app) as address,
        httpx.AsyncClient() as client,
    ):
        for _ in range(3):
            source.left.clear()
            async with client.stream("GET", f"{address}{path}0/v.mp4") as answer:
                assert answer.status_code == 200
                await anext(answer.aiter_raw())
            async with asyncio.timeout(PATIENCE_SECONDS):
                await source.left.wait()
            assert source.open == 0


async def test_each_link_and_each_process_has_its_bound(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond it 503 with Retry-After, and a link that found no place is unfetched."""
    monkeypatch.setattr(media, "MOST_STREAMS", 5)
    monkeypatch.setattr(media, "MOST_EACH", 3)
    source = Endless()
    async with AsyncExitStack() as stack:
        api, path = await stack.enter_async_context(streaming(sqlite_url, source))
        address = await stack.enter_async_context(on_loopback(api.app))
        client = await stack.enter_async_context(httpx.AsyncClient())

        async def status_of(number: int) -> int:
            url = f"{address}{path}{number}/v.mp4"
            answer = await stack.enter_async_context(client.stream("GET", url))
            if answer.status_code == 503:
                assert "retry-after" in answer.headers
            return answer.status_code

        assert [await status_of(0) for _ in range(4)] == [200, 200, 200, 503]
        assert [await status_of(1) for _ in range(2)] == [200, 200]
        assert await status_of(2) == 503
        assert await MediaStore(api.database).revoke(f"{TOKEN}2", now=NOW)


@pytest.mark.parametrize(
    ("seconds_each", "piece", "reason"),
    [
        (31.0, b"x" * 100, "next to nothing passes"),
        (20.0, b"x" * 65536, "not over in an hour"),
    ],
)
async def test_a_stream_that_takes_for_ever_is_cut(
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    seconds_each: float,
    piece: bytes,
    reason: str,
) -> None:
    """Under a kilobyte a second, or over an hour in all."""
    source, ticks = Endless(piece), count()
    async with streaming(sqlite_url, source) as (api, path):
        service = api.services.media
        assert service is not None
        slow = replace(service, now=lambda: next(ticks) * seconds_each)
        monkeypatch.setattr(api.services, "media", slow)
        with capture_logs() as lines:
            messages = await _raw_messages(api, f"{path}0/v.mp4")
    assert messages[0]["status"] == 200
    assert all(message.get("more_body") for message in messages[1:])
    assert reason in [line.get("reason") for line in lines]


async def test_what_grows_beyond_4_gb_is_cut(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it was announced or not."""
    monkeypatch.setattr(media, "MAX_VIDEO_BYTES", len(VIDEO) // 2)
    monkeypatch.setattr(media, "_check_size", lambda _: None)
    async with gateway(sqlite_url) as api:
        messages = await _raw_messages(api, PULL)
    passed = sum(len(cast(bytes, each["body"])) for each in messages[1:])
    assert passed <= len(VIDEO) // 2
    assert messages[-1]["more_body"]


# TikTok's proof of whose domain it is


async def test_tiktoks_file_is_there(sqlite_url: str) -> None:
    """Below /media/, for everybody, with or without the gateway."""
    file = ("tiktokA1.txt", "tiktok-developers-site-verification=A1:b")
    async with serving(sqlite_url, media_verification=":".join(file)) as api:
        answer = await api.stranger().get(f"/media/{file[0]}")
        assert (answer.status_code, answer.text) == (200, file[1])
        assert answer.headers["content-type"].startswith("text/plain")
        assert (await api.stranger().head(f"/media/{file[0]}")).status_code == 200
        for other in ("tiktokA2.txt", "tiktoka1.txt", ""):
            assert (await api.stranger().get(f"/media/{other}")).status_code == 404
    async with serving(sqlite_url) as api:
        assert (await api.stranger().get(f"/media/{file[0]}")).status_code == 404
