"""FILE_UPLOAD: what init asks for, what the upload URL takes, and what it says."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.sandbox.server import running_sandbox
from app.sandbox.settings import SandboxSettings
from tests.sandbox.support import (
    INBOX,
    INIT,
    HandClock,
    TikTok,
    code_of,
    over_a_bare_socket,
)
from tests.sandbox.uploading import DATA, begun, pushed, put, small_chunks

MB = 1_000_000


@pytest.mark.parametrize(
    ("path", "prefix"), [(INIT, "v_pub_file~v2-1."), (INBOX, "v_inbox_file~v2.")]
)
async def test_an_init_names_where_to_upload_to(
    tiktok: TikTok, path: str, prefix: str
) -> None:
    """The URL leads to the address that was called, and carries a token."""
    data = await begun(tiktok, pushed(100), path)
    assert data["publish_id"].startswith(prefix)
    assert data["upload_url"].startswith(f"{tiktok.url}/video/?upload_id=")
    assert "upload_token=" in data["upload_url"]
    assert len(data["upload_url"]) <= 256
    assert await tiktok.status(data["publish_id"]) == {
        "status": "PROCESSING_UPLOAD",
        "uploaded_bytes": 0,
    }


async def test_the_upload_host_can_be_another(tiktok: TikTok) -> None:
    """TikTok's upload hosts are not its API's either."""
    await tiktok.settings(uploadBaseUrl="http://upload.example:81")
    data = await begun(tiktok, pushed(100))
    assert data["upload_url"].startswith("http://upload.example:81/video/?")


@pytest.mark.parametrize(
    "source",
    [
        pushed(1),
        pushed(4_999_999),
        pushed(5 * MB),
        pushed(64 * MB),
        pushed(12 * MB, 10 * MB, 1),
        pushed(65 * MB, 10 * MB, 6),
        pushed(64 * MB + 1, 32 * MB, 2),
        pushed(127 * MB, 60 * MB, 2),
        pushed(4000 * MB, 64 * MB, 62),
        pushed(4000 * MB, 5 * MB, 800),
    ],
)
async def test_a_plan_by_tiktoks_rules_is_taken(
    tiktok: TikTok, source: dict[str, Any]
) -> None:
    """Whole up to 64 MB, else chunks of 5 to 64 MB, the rest in the last."""
    await begun(tiktok, source)


@pytest.mark.parametrize(
    "source",
    [
        pushed(0),
        pushed(4000 * MB + 1, 64 * MB, 62),
        pushed(4 * MB, 2 * MB, 2),
        pushed(4 * MB, 5 * MB, 0),
        pushed(20 * MB, 4 * MB, 5),
        pushed(65 * MB),
        pushed(130 * MB, 65 * MB, 2),
        pushed(65 * MB, 10 * MB, 7),
        pushed(65 * MB, 10 * MB, 5),
        pushed(100 * MB, 64 * MB, 1),
        pushed(100, 0, 1),
        pushed(100) | {"video_size": "100"},
        pushed(100) | {"chunk_size": True},
        {"source": "FILE_UPLOAD", "video_size": 100},
        {"source": "SMOKE_SIGNALS"},
    ],
)
@pytest.mark.parametrize("path", [INIT, INBOX])
async def test_a_plan_against_tiktoks_rules_is_refused(
    tiktok: TikTok, source: dict[str, Any], path: str
) -> None:
    """invalid_params, and no post comes of it."""
    info = {"title": "A cat", "privacy_level": "SELF_ONLY"}
    answer = await tiktok.post(path, {"post_info": info, "source_info": source})
    assert (answer.status_code, code_of(answer)) == (400, "invalid_params")
    assert await tiktok.read("posts") == []


async def test_a_thousand_chunks_are_the_most(tiktok: TikTok) -> None:
    """One more is refused."""
    await tiktok.settings(minChunkBytes=1)
    await begun(tiktok, pushed(1000, 1, 1000))
    body = {"source_info": pushed(1001, 1, 1001)}
    assert code_of(await tiktok.post(INBOX, body)) == "invalid_params"


async def test_a_small_video_is_uploaded_whole(tiktok: TikTok) -> None:
    """201, the very bytes, and the post goes its way to its id."""
    data = await begun(tiktok, pushed(len(DATA)))
    answer = await put(tiktok, data["upload_url"], range(len(DATA)))
    assert answer.status_code == 201
    assert answer.headers["content-range"] == f"bytes 0-{len(DATA)}/{len(DATA)}"
    await tiktok.settled()
    status = await tiktok.status(data["publish_id"])
    assert (status["status"], status["uploaded_bytes"]) == (
        "PUBLISH_COMPLETE",
        len(DATA),
    )
    assert len(status["publicaly_available_post_id"]) == 1
    (post,) = await tiktok.read("posts")
    assert (post["transfer"], post["videoUrl"]) == ("push", None)
    assert post["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert (post["uploadSize"], post["uploadedBytes"]) == (len(DATA), len(DATA))


async def test_a_draft_is_uploaded_to_the_inbox(tiktok: TikTok) -> None:
    """The same bytes, another end."""
    data = await begun(tiktok, pushed(len(DATA)), INBOX)
    await put(tiktok, data["upload_url"], range(len(DATA)))
    await tiktok.settled()
    status = await tiktok.status(data["publish_id"])
    assert status["status"] == "SEND_TO_USER_INBOX"


async def test_chunks_come_in_their_order(tiktok: TikTok) -> None:
    """206 says how much is there, 201 that it is all; nothing starts before that."""
    data = await small_chunks(tiktok)
    url = data["upload_url"]
    for number in range(3):
        start = 2500 * number
        answer = await put(tiktok, url, range(start, start + 2500))
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes 0-{start + 2500}/{len(DATA)}"
        await tiktok.settled()
        assert await tiktok.status(data["publish_id"]) == {
            "status": "PROCESSING_UPLOAD",
            "uploaded_bytes": start + 2500,
        }
        (post,) = await tiktok.read("posts")
        assert (post["publishedAt"], post["sha256"]) == (None, None)
    last = await put(tiktok, url, range(7500, len(DATA)))
    assert last.status_code == 201
    await tiktok.settled()
    (post,) = await tiktok.read("posts")
    assert post["status"] == "PUBLISH_COMPLETE"
    assert post["sha256"] == hashlib.sha256(DATA).hexdigest()


async def test_status_goes_on_to_processing_once_all_is_there(tiktok: TikTok) -> None:
    """PROCESSING_DOWNLOAD is what comes between the last byte and the end."""
    await tiktok.settings(processingSeconds=3600)
    data = await begun(tiktok, pushed(len(DATA)))
    await put(tiktok, data["upload_url"], range(len(DATA)))
    assert await tiktok.status(data["publish_id"]) == {
        "status": "PROCESSING_DOWNLOAD",
        "uploaded_bytes": len(DATA),
    }


@pytest.mark.parametrize(
    "span", [range(2500), range(2400, 5000), range(2501, 5000), range(5000, 7500)]
)
async def test_a_range_that_does_not_go_on_is_416(tiktok: TikTok, span: range) -> None:
    """Only the byte after the last one that is there may come first."""
    data = await small_chunks(tiktok)
    await put(tiktok, data["upload_url"], range(2500))
    answer = await put(tiktok, data["upload_url"], span)
    assert answer.status_code == 416
    assert (await tiktok.status(data["publish_id"]))["uploaded_bytes"] == 2500
    assert (await put(tiktok, data["upload_url"], range(2500, 5000))).status_code == 206


async def test_the_last_chunk_again_is_416(tiktok: TikTok) -> None:
    """There is nothing left to send, whatever became of the first answer."""
    data = await begun(tiktok, pushed(len(DATA)))
    answers = [
        await put(tiktok, data["upload_url"], range(len(DATA))) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 416]
    await tiktok.settled()
    assert len(await tiktok.read("posts")) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json"},
        {"content-type": ""},
        {"content-range": "bytes 0-2499"},
        {"content-range": "bytes 0-2499/*"},
        {"content-range": "bytes 2499-0/10240"},
        {"content-range": "lines 0-2499/10240"},
        {"content-range": "bytes 0-2498/10240"},
        {"content-range": "bytes 0-2500/10240"},
        {"content-range": "bytes 0-2499/10241"},
        {"content-range": ""},
    ],
)
async def test_sizes_that_disagree_are_400(
    tiktok: TikTok, headers: dict[str, str]
) -> None:
    """Type, range, length and plan must fit together; nothing is kept otherwise."""
    data = await small_chunks(tiktok)
    usual = {"content-type": "video/mp4", "content-range": "bytes 0-2499/10240"}
    answer = await tiktok.http.put(
        data["upload_url"], content=DATA[:2500], headers={**usual, **headers}
    )
    assert answer.status_code == 400
    assert (await tiktok.status(data["publish_id"]))["uploaded_bytes"] == 0


@pytest.mark.parametrize("stop", [2499, 2501, 5000])
async def test_a_chunk_is_as_long_as_it_was_said_to_be(
    tiktok: TikTok, stop: int
) -> None:
    """Neither shorter nor longer than the plan of the init."""
    data = await small_chunks(tiktok)
    answer = await put(tiktok, data["upload_url"], range(stop))
    assert answer.status_code == 400


async def test_a_chunk_without_a_length_is_400(tiktok: TikTok) -> None:
    """Content-Length is required."""
    data = await begun(tiktok, pushed(len(DATA)))

    async def pieces() -> AsyncIterator[bytes]:
        yield DATA

    headers = {
        "content-type": "video/mp4",
        "content-range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}",
    }
    url = data["upload_url"]
    answer = await tiktok.http.put(url, content=pieces(), headers=headers)
    assert answer.status_code == 400


async def test_nobody_uploads_to_an_unknown_url(tiktok: TikTok) -> None:
    """Neither a made-up id nor a wrong token leads anywhere: 404."""
    data = await begun(tiktok, pushed(len(DATA)))
    url = httpx.URL(data["upload_url"])
    for wrong in ({"upload_id": "1"}, {"upload_token": "x"}):
        other = url.copy_merge_params(wrong)
        assert (await put(tiktok, str(other), range(len(DATA)))).status_code == 404
    assert (await tiktok.http.put("/video/")).status_code == 404


async def test_an_upload_url_is_good_for_an_hour(
    tiktok: TikTok, clock: HandClock
) -> None:
    """The last second counts; then it is 403, and the bytes stay missing."""
    data = await small_chunks(tiktok)
    clock.seconds += 3599
    assert (await put(tiktok, data["upload_url"], range(2500))).status_code == 206
    clock.seconds += 1
    late = await put(tiktok, data["upload_url"], range(2500, 5000))
    assert late.status_code == 403
    assert await tiktok.status(data["publish_id"]) == {
        "status": "PROCESSING_UPLOAD",
        "uploaded_bytes": 2500,
    }


async def test_how_long_an_upload_url_lives_can_be_set(
    tiktok: TikTok, clock: HandClock
) -> None:
    """Seconds instead of an hour, for whoever waits for the end."""
    await tiktok.settings(uploadLifetimeSeconds=5)
    data = await begun(tiktok, pushed(len(DATA)))
    (post,) = await tiktok.read("posts")
    assert post["uploadExpiresAt"] == clock.seconds + 5
    clock.seconds += 5
    answer = await put(tiktok, data["upload_url"], range(len(DATA)))
    assert answer.status_code == 403


async def test_a_publish_that_has_failed_takes_no_bytes(tiktok: TikTok) -> None:
    """Access was revoked in the middle of the upload."""
    data = await begun(tiktok, pushed(len(DATA)))
    await tiktok.http.post("/_sandbox/accounts/sandbox_user/disconnect")
    (post,) = await tiktok.read("posts")
    assert (post["status"], post["failReason"]) == ("FAILED", "auth_removed")
    answer = await put(tiktok, data["upload_url"], range(len(DATA)))
    assert answer.status_code == 403


async def test_half_a_chunk_is_none(tiktok: TikTok) -> None:
    """A caller that dies while it sends has sent nothing; it can begin again."""
    data = await small_chunks(tiktok)
    url = httpx.URL(data["upload_url"])
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(
        f"PUT {url.raw_path.decode()} HTTP/1.1\r\nhost: x\r\n"
        "content-type: video/mp4\r\ncontent-length: 2500\r\n"
        "content-range: bytes 0-2499/10240\r\n\r\nhalf".encode()
    )
    await writer.drain()
    while not await tiktok.read("calls", call="upload"):
        pass
    writer.close()
    await writer.wait_closed()
    answer = await put(tiktok, data["upload_url"], range(2500))
    assert answer.status_code == 206
    calls = await tiktok.read("calls", call="upload")
    assert [call["taken"] for call in calls] == [False, True]


async def test_of_two_that_send_the_same_chunk_one_is_taken(tiktok: TikTok) -> None:
    """The other, however far it was, is told that the range does not go on."""
    await tiktok.fault("upload", "slow_read", bytesPerSecond=25_000)
    data = await small_chunks(tiktok)
    slow = asyncio.create_task(put(tiktok, data["upload_url"], range(2500)))
    while not await tiktok.read("calls", call="upload"):
        pass
    assert (await put(tiktok, data["upload_url"], range(2500))).status_code == 206
    assert (await slow).status_code == 416
    assert (await tiktok.status(data["publish_id"]))["uploaded_bytes"] == 2500


async def test_an_upload_is_recorded_without_its_token(tiktok: TikTok) -> None:
    """Which chunk it was, what became of it, and nothing that opens the door."""
    data = await small_chunks(tiktok)
    await put(tiktok, data["upload_url"], range(2500))
    await put(tiktok, data["upload_url"], range(2500))
    first, second = await tiktok.read("calls", call="upload")
    assert first == {
        "at": first["at"],
        "call": "upload",
        "openId": "sandbox_user",
        "publishId": data["publish_id"],
        "title": "A cat",
        "httpStatus": 206,
        "code": "ok",
        "taken": True,
        "fault": None,
        "body": {"range": "bytes 0-2499/10240", "length": 2500, "chunk": 0},
    }
    assert (second["httpStatus"], second["taken"]) == (416, False)
    token = httpx.URL(data["upload_url"]).params["upload_token"]
    assert token not in (await tiktok.http.get("/_sandbox/calls")).text
    assert token not in (await tiktok.http.get("/_sandbox/posts")).text


async def test_uploads_cost_no_memory() -> None:
    """A hundred megabytes pass through, and are known by their hash alone."""
    size, chunk = 100 * MB, 20 * MB
    settings = SandboxSettings(processing_seconds=0)
    block = bytes(100_000)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(chunk // len(block)):
            yield block

    async with (
        running_sandbox(settings=settings) as running,
        httpx.AsyncClient(base_url=running.url, verify=False) as client,
    ):
        tiktok = TikTok(running, client)
        data = await begun(tiktok, pushed(size, chunk, 5))
        statuses = []
        tracemalloc.start()
        try:
            for start in range(0, size, chunk):
                headers = {
                    "content-type": "video/mp4",
                    "content-length": str(chunk),
                    "content-range": f"bytes {start}-{start + chunk - 1}/{size}",
                }
                url = data["upload_url"]
                answer = await client.put(url, content=pieces(), headers=headers)
                statuses.append(answer.status_code)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert statuses == [206, 206, 206, 206, 201]
        await tiktok.settled()
        (post,) = await tiktok.read("posts")
        (taken,) = running.sandbox.posts
    assert post["status"] == "PUBLISH_COMPLETE"
    assert post["sha256"] == hashlib.sha256(bytes(size)).hexdigest()
    assert taken.upload is not None
    assert taken.upload.taken.head == b""
    assert peak < 10 * MB


async def test_an_init_of_a_megabyte_is_no_init(tiktok: TikTok) -> None:
    """More than a call needs is not kept, and not understood."""
    body = tiktok.direct(title="x" * 2 * MB)
    raw = await over_a_bare_socket(tiktok, INIT, body)
    assert b"invalid_params" in raw
    assert (await tiktok.read("calls"))[0]["title"] is None
