"""Everything that can go wrong while a video is uploaded, chunk by chunk."""

import asyncio
import hashlib
from typing import Any

import httpx
import pytest

from tests.sandbox.support import CREATOR, TikTok, all_served, code_of
from tests.sandbox.uploading import DATA, begun, pushed, put, small_chunks

FIRST, SECOND, LAST = range(2500), range(2500, 5000), range(7500, len(DATA))


async def bytes_there(tiktok: TikTok, data: dict[str, str]) -> object:
    """Ask how much TikTok has."""
    return (await tiktok.status(data["publish_id"]))["uploaded_bytes"]


async def finish(tiktok: TikTok, data: dict[str, str], start: int) -> None:
    """Send what is missing, and check that TikTok has the very bytes."""
    while start < len(DATA):
        stop = len(DATA) if start >= 7500 else (start // 2500 + 1) * 2500
        answer = await put(tiktok, data["upload_url"], range(start, stop))
        assert answer.status_code in (201, 206)
        start = stop
    await tiktok.settled()
    post = (await tiktok.read("posts"))[-1]
    assert post["status"] == "PUBLISH_COMPLETE"
    assert post["sha256"] == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize(
    ("kind", "more", "status"),
    [
        ("empty", {"httpStatus": 503}, 503),
        ("gateway", {}, 502),
        ("error", {"code": "internal_error"}, 500),
        ("upload_answer", {"httpStatus": 500}, 500),
    ],
)
async def test_a_chunk_can_be_answered_by_a_5xx(
    tiktok: TikTok, kind: str, more: dict[str, Any], status: int, taken: bool
) -> None:
    """A 5xx can mean that the bytes were taken or not; only status tells."""
    await tiktok.fault("upload", kind, taken=taken, **more)
    data = await small_chunks(tiktok)
    assert (await put(tiktok, data["upload_url"], FIRST)).status_code == status
    there = 2500 if taken else 0
    assert await bytes_there(tiktok, data) == there
    await finish(tiktok, data, there)


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("kind", ["reset", "close", "garbage"])
async def test_the_answer_to_a_chunk_can_be_lost(
    tiktok: TikTok, kind: str, taken: bool
) -> None:
    """The line is cut after the chunk was read whole, before or after it was kept."""
    await tiktok.fault("upload", kind, taken=taken)
    data = await small_chunks(tiktok)
    with pytest.raises(httpx.TransportError):
        await put(tiktok, data["upload_url"], FIRST)
    there = 2500 if taken else 0
    assert await bytes_there(tiktok, data) == there
    (call,) = await tiktok.read("calls", call="upload")
    assert (call["fault"], call["taken"], call["httpStatus"]) == (kind, taken, None)
    await finish(tiktok, data, there)


async def test_the_answer_to_the_last_chunk_can_be_lost(tiktok: TikTok) -> None:
    """TikTok has everything, and publishes."""
    await tiktok.fault("upload", "reset", taken=True, rule={"match": {"chunk": 3}})
    data = await small_chunks(tiktok)
    for span in (FIRST, SECOND, range(5000, 7500)):
        await put(tiktok, data["upload_url"], span)
    with pytest.raises(httpx.TransportError):
        await put(tiktok, data["upload_url"], LAST)
    await finish(tiktok, data, len(DATA))


@pytest.mark.parametrize(
    ("fault", "there"),
    [
        ({}, 0),
        ({"how": "close"}, 0),
        ({"afterBytes": 0}, 0),
        ({"afterBytes": 2499}, 0),
        ({"keep": True}, 1250),
        ({"keep": True, "afterBytes": 7}, 7),
    ],
)
async def test_a_chunk_can_be_cut_in_the_middle(
    tiktok: TikTok, fault: dict[str, Any], there: int
) -> None:
    """The bytes read are dropped, or kept; then the rest of the chunk is missing."""
    await tiktok.fault("upload", "cut", **fault)
    data = await small_chunks(tiktok)
    with pytest.raises(httpx.TransportError):
        await put(tiktok, data["upload_url"], FIRST)
    assert await bytes_there(tiktok, data) == there
    await finish(tiktok, data, there)


@pytest.mark.parametrize("missing", [0, 1])
async def test_a_cut_of_the_last_chunk_may_leave_little_or_nothing_to_send(
    tiktok: TikTok, missing: int
) -> None:
    """With its last byte the publish starts, cut or not."""
    there = len(DATA) - missing
    await tiktok.fault("upload", "cut", keep=True, afterBytes=there)
    data = await begun(tiktok, pushed(len(DATA)))
    with pytest.raises(httpx.TransportError):
        await put(tiktok, data["upload_url"], range(len(DATA)))
    assert await bytes_there(tiktok, data) == there
    await finish(tiktok, data, there)


@pytest.mark.parametrize(
    "answer",
    [
        {"httpStatus": 206, "contentRange": "bytes 0-9999/10240"},
        {"httpStatus": 206},
        {"httpStatus": 201},
        {"httpStatus": 201, "contentRange": "bytes 0-10240/10240", "taken": True},
        {"httpStatus": 204},
        {"httpStatus": 403},
        {"httpStatus": 404},
        {"httpStatus": 416},
    ],
)
async def test_a_chunk_can_be_answered_anything(
    tiktok: TikTok, answer: dict[str, Any]
) -> None:
    """A 206 with a wrong range, a 201 too early, a 403 that is not for ever."""
    await tiktok.fault("upload", "upload_answer", **answer)
    data = await small_chunks(tiktok)
    said = await put(tiktok, data["upload_url"], FIRST)
    assert said.status_code == answer["httpStatus"]
    assert said.headers.get("content-range") == answer.get("contentRange")
    there = 2500 if answer.get("taken") else 0
    assert await bytes_there(tiktok, data) == there
    await finish(tiktok, data, there)


async def test_201_can_be_said_twice(tiktok: TikTok) -> None:
    """The repeated last chunk is answered like the first; one post comes of it."""
    await tiktok.fault("upload", "upload_answer", httpStatus=201, rule={"after": 1})
    data = await begun(tiktok, pushed(len(DATA)))
    whole = range(len(DATA))
    answers = [await put(tiktok, data["upload_url"], whole) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    await tiktok.settled()
    assert len(await tiktok.read("posts")) == 1


@pytest.mark.parametrize("taken", [False, True])
async def test_a_chunk_may_never_be_answered(tiktok: TikTok, taken: bool) -> None:
    """The caller gives up; the bytes were taken or not."""
    await tiktok.fault("upload", "hang", taken=taken)
    data = await small_chunks(tiktok)
    headers = {"content-type": "video/mp4", "content-range": "bytes 0-2499/10240"}
    with pytest.raises(httpx.ReadTimeout):
        await tiktok.http.put(
            data["upload_url"], content=DATA[:2500], headers=headers, timeout=0.2
        )
    await all_served()
    assert await bytes_there(tiktok, data) == (2500 if taken else 0)


async def test_an_upload_url_can_end_at_a_given_chunk(tiktok: TikTok) -> None:
    """403 from there on, for ever; another upload has its own end."""
    await tiktok.fault("upload", "upload_expired", rule={"match": {"chunk": 1}})
    data = await small_chunks(tiktok)
    statuses = [
        (await put(tiktok, data["upload_url"], span)).status_code
        for span in (FIRST, SECOND, SECOND)
    ]
    assert statuses == [206, 403, 403]
    assert await tiktok.status(data["publish_id"]) == {
        "status": "PROCESSING_UPLOAD",
        "uploaded_bytes": 2500,
    }
    await finish(tiktok, await small_chunks(tiktok), 0)


async def test_a_chunk_can_be_read_slowly(tiktok: TikTok) -> None:
    """The caller is held up, and answered well in the end."""
    await tiktok.fault("upload", "slow_read", bytesPerSecond=25_000)
    data = await small_chunks(tiktok)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await put(tiktok, data["upload_url"], FIRST)).status_code == 206
    assert loop.time() - began >= 0.1


async def test_a_chunk_can_be_answered_slowly(tiktok: TikTok) -> None:
    """A delay before it is read, and an answer byte by byte, change nothing else."""
    await tiktok.fault("upload", "slow", seconds=0.05)
    await tiktok.fault("upload", "drip", secondsPerByte=0.001)
    data = await small_chunks(tiktok)
    assert (await put(tiktok, data["upload_url"], FIRST)).status_code == 206
    (call,) = await tiktok.read("calls", call="upload")
    assert call["fault"] == "slow+drip"


async def test_a_token_can_die_while_a_chunk_is_sent(tiktok: TikTok) -> None:
    """The upload URL works without it; the next status call does not."""
    await tiktok.fault("upload", "token_death")
    data = await small_chunks(tiktok)
    assert (await put(tiktok, data["upload_url"], FIRST)).status_code == 206
    assert code_of(await tiktok.post(CREATOR)) == "access_token_invalid"


@pytest.mark.parametrize(
    "match",
    [{"chunk": 1}, {"chunk": 1, "title": "A cat"}, {"chunk": 1, "openId": "nobody"}],
)
async def test_an_upload_fault_can_be_about_one_chunk(
    tiktok: TikTok, match: dict[str, Any]
) -> None:
    """Counted from 0; every word of the match must fit."""
    rule = {"match": match, "times": None}
    await tiktok.fault("upload", "empty", httpStatus=503, rule=rule)
    data = await small_chunks(tiktok)
    statuses = [
        (await put(tiktok, data["upload_url"], span)).status_code
        for span in (FIRST, SECOND)
    ]
    assert statuses == ([206, 206] if "openId" in match else [206, 503])


async def test_an_init_can_forget_the_upload_url(tiktok: TikTok) -> None:
    """ok, and nowhere to upload to: the post is there and waits for ever."""
    await tiktok.fault("init", "reshape", omit=["upload_url"])
    data = await begun(tiktok, pushed(len(DATA)))
    assert data.keys() == {"publish_id"}
    assert await bytes_there(tiktok, data) == 0


@pytest.mark.parametrize("kind", ["cut", "upload_answer", "upload_expired"])
async def test_upload_faults_are_for_uploads_alone(tiktok: TikTok, kind: str) -> None:
    """Written for another call they are refused."""
    fault = (
        {"kind": kind, "httpStatus": 500} if kind == "upload_answer" else {"kind": kind}
    )
    body = {"call": "status", "fault": fault}
    answer = await tiktok.http.post("/_sandbox/faults", json=body)
    assert answer.status_code == 422
    assert "upload" in answer.json()["detail"]
