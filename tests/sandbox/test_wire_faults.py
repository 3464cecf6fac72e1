"""What each fault does to the connection, seen from a real client."""

import asyncio
import contextlib
from typing import Any

import httpx
import pytest

from tests.sandbox.support import (
    CREATOR,
    INIT,
    TOKEN,
    TikTok,
    all_served,
    code_of,
    over_a_bare_socket,
)
from tests.support.patience import PATIENCE_SECONDS

BROKEN = {
    "reset": httpx.ReadError,
    "close": httpx.RemoteProtocolError,
    "truncate": httpx.RemoteProtocolError,
    "garbage": httpx.RemoteProtocolError,
}


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_answer_hides_whether_the_init_was_taken(
    tiktok: TikTok, kind: str, taken: bool
) -> None:
    """The client sees the same failure; only the simulator knows of the post."""
    await tiktok.fault("init", kind, taken=taken)
    with pytest.raises(BROKEN[kind]):
        await tiktok.init()
    posts = await tiktok.read("posts")
    (call,) = await tiktok.read("calls")
    assert len(posts) == taken
    assert (call["fault"], call["taken"]) == (kind, taken)
    assert (call["httpStatus"], call["code"]) == (None, None)
    assert call["publishId"] == (posts[0]["publishId"] if taken else None)


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("reset", False),
        ("close", False),
        ("garbage", False),
        ("truncate", True),
        ("empty", False),
        ("gateway", False),
        ("ok_without_publish_id", False),
        ("rate_limit", False),
    ],
)
async def test_unless_told_otherwise_only_half_answers_are_true(
    tiktok: TikTok, kind: str, taken: bool
) -> None:
    """A fault stands before the init, but what is cut in half must first be made."""
    await tiktok.fault("init", kind)
    with contextlib.suppress(httpx.TransportError):
        await tiktok.init()
    (call,) = await tiktok.read("calls")
    assert (call["fault"], call["taken"]) == (kind, taken)
    assert len(await tiktok.read("posts")) == taken


async def test_half_an_answer_is_what_truncate_sends(tiktok: TikTok) -> None:
    """The true answer's head and half of its body, then the end."""
    await tiktok.fault("init", "truncate")
    raw = await over_a_bare_socket(tiktok, INIT, tiktok.direct())
    head, _, half = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    assert half.startswith(b'{"data":{"publish_id":"v_pub_url~v2.')
    assert len(half) == length // 2


@pytest.mark.parametrize(("more", "taken"), [({}, False), ({"taken": True}, True)])
async def test_a_hang_never_answers(
    tiktok: TikTok, more: dict[str, bool], taken: bool
) -> None:
    """The caller's time-out ends it; only if told so is the init taken before."""
    await tiktok.http.post(
        "/_sandbox/faults", json={"call": "init", "fault": {"kind": "hang", **more}}
    )
    waiting = asyncio.create_task(tiktok.init())
    while not await tiktok.read("calls"):
        pass
    assert len(await tiktok.read("posts")) == taken
    done, _ = await asyncio.wait({waiting}, timeout=0.2)
    assert not done
    waiting.cancel()
    await all_served()


@pytest.mark.parametrize(
    ("kind", "details", "status", "text"),
    [
        ("empty", {}, 200, ""),
        ("empty", {"httpStatus": 503}, 503, ""),
        ("gateway", {}, 502, "<html>"),
        ("gateway", {"httpStatus": 504}, 504, "<html>"),
    ],
)
@pytest.mark.parametrize("taken", [False, True])
async def test_an_answer_without_the_envelope_proves_nothing(
    tiktok: TikTok,
    kind: str,
    details: dict[str, Any],
    status: int,
    text: str,
    taken: bool,
) -> None:
    """An empty answer or a gateway's page can come before or after the init."""
    await tiktok.fault("init", kind, taken=taken, **details)
    answer = await tiktok.init()
    assert answer.status_code == status
    assert answer.text.startswith(text)
    assert (answer.text == "") == (text == "")
    assert len(await tiktok.read("posts")) == taken


@pytest.mark.parametrize("taken", [False, True])
async def test_ok_can_come_without_a_publish_id(tiktok: TikTok, taken: bool) -> None:
    """The verdict is ok, and there is nothing to poll."""
    await tiktok.fault("init", "ok_without_publish_id", taken=taken)
    answer = await tiktok.init()
    assert (answer.status_code, code_of(answer)) == (200, "ok")
    assert answer.json()["data"] == {}
    assert len(await tiktok.read("posts")) == taken


async def test_a_drip_passes_every_read_timeout(tiktok: TikTok) -> None:
    """Each byte comes in time; the whole answer is the true one."""
    await tiktok.fault("creator_info", "drip", secondsPerByte=0.0001)
    answer = await tiktok.post(CREATOR)
    assert code_of(answer) == "ok"
    async with tiktok.http.stream(
        "POST", CREATOR, headers={"Authorization": "Bearer act.sandbox"}
    ) as whole:
        assert len([chunk async for chunk in whole.aiter_raw()]) == 1
    await tiktok.fault("creator_info", "drip", secondsPerByte=0.0001)
    async with tiktok.http.stream(
        "POST", CREATOR, headers={"Authorization": "Bearer act.sandbox"}
    ) as dripped:
        assert len([chunk async for chunk in dripped.aiter_raw()]) > 1


async def test_a_drip_ends_when_nobody_listens(tiktok: TikTok) -> None:
    """A caller that gives up leaves no task behind that drips for hours."""
    await tiktok.fault("creator_info", "drip", secondsPerByte=2)
    waiting = asyncio.create_task(tiktok.post(CREATOR))
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done
    waiting.cancel()
    await asyncio.wait_for(all_served(), timeout=PATIENCE_SECONDS)


async def test_a_slow_call_is_carried_out_although_the_caller_left(
    tiktok: TikTok,
) -> None:
    """Slow is before the call takes effect, and leaving does not stop it."""
    await tiktok.fault("init", "slow", seconds=3)
    with pytest.raises(httpx.ReadTimeout):
        await tiktok.http.post(
            INIT,
            json=tiktok.direct(),
            headers={"Authorization": "Bearer act.sandbox"},
            timeout=httpx.Timeout(PATIENCE_SECONDS, read=0.02),
        )
    assert await tiktok.read("posts") == []
    await all_served()
    assert len(await tiktok.read("posts")) == 1


async def test_latency_is_added_to_every_call(tiktok: TikTok) -> None:
    """A call over the distance takes at least that long, and is answered."""
    await tiktok.settings(latencySeconds=0.05)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert code_of(await tiktok.post(CREATOR)) == "ok"
    assert loop.time() - began >= 0.05


async def test_a_refresh_can_be_taken_and_its_answer_lost(tiktok: TikTok) -> None:
    """Then the old refresh token is spent and the new one known to nobody."""
    await tiktok.fault("token", "reset", taken=True)
    with pytest.raises(httpx.ReadError):
        await tiktok.form(
            TOKEN, grant_type="refresh_token", refresh_token="rft.sandbox"
        )
    again = await tiktok.form(
        TOKEN, grant_type="refresh_token", refresh_token="rft.sandbox"
    )
    assert again.json()["error"] == "invalid_grant"


async def test_the_connection_after_a_reset_is_sound(tiktok: TikTok) -> None:
    """A fault strikes its own connection alone."""
    others = [tiktok.post(CREATOR) for _ in range(10)]
    await tiktok.fault("init", "reset")
    answers = await asyncio.gather(*others, tiktok.init(), return_exceptions=True)
    assert isinstance(answers.pop(), httpx.ReadError)
    assert all(isinstance(answer, httpx.Response) for answer in answers)


async def test_a_caller_that_left_cannot_be_reset(
    tiktok: TikTok, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no connection any more; the call is carried out all the same."""
    await tiktok.fault("init", "slow", seconds=0.1)
    await tiktok.fault("init", "reset", taken=True)
    with pytest.raises(httpx.ReadTimeout):
        await tiktok.http.post(
            INIT,
            json=tiktok.direct(),
            headers={"Authorization": "Bearer act.sandbox"},
            timeout=httpx.Timeout(PATIENCE_SECONDS, read=0.02),
        )
    await all_served()
    assert len(await tiktok.read("posts")) == 1
    assert "uvicorn.error" not in {record.name for record in caplog.records}


async def test_half_a_request_is_none(
    tiktok: TikTok, caplog: pytest.LogCaptureFixture
) -> None:
    """A caller that dies while it sends has asked for nothing."""
    host, port = tiktok.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST {INIT} HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1".encode()
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await tiktok.post(CREATOR)
    await all_served()
    assert [call["call"] for call in await tiktok.read("calls")] == ["creator_info"]
    assert "uvicorn.error" not in {record.name for record in caplog.records}
