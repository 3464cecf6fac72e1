"""The service's own client uploads to the simulator, sends it photos, and cancels."""

import hashlib
from typing import Any

import pytest

from app.domain.jobs.outcome import Fault, Verdict
from app.domain.posts.post import MediaType, Post, PostMode, PrivacyLevel
from app.domain.posts.upload import ChunkPlan, ChunkSizes, Span, plan_chunks
from app.machine.sink import Sink
from app.tiktok.client import Calls
from app.tiktok.upload_answers import ChunkRequest, ChunkVerdict, verdict_on
from app.tiktok.values import InitTaken, PublishState, PublishStatus, UploadTaken
from tests.sandbox.support import TikTok
from tests.sandbox.uploading import DATA

TOKEN = "act.sandbox"
PUBLIC = Post(title="A cat", privacy_level=PrivacyLevel.PUBLIC_TO_EVERYONE)
PLAN = plan_chunks(len(DATA), ChunkSizes(whole=5000, chunk=2500))


async def begun(tiktok: TikTok, calls: Calls, post: Post = PUBLIC) -> UploadTaken:
    """Ask where to send DATA, in four chunks."""
    await tiktok.settings(minChunkBytes=1)
    taken = await calls.upload_init(TOKEN, post, PLAN)
    assert isinstance(taken, UploadTaken)
    return taken


async def send(
    calls: Calls, taken: UploadTaken, span: Span, plan: ChunkPlan = PLAN
) -> ChunkVerdict:
    """Send a part of DATA, and give the client's verdict on the answer."""

    async def pour(sink: Sink) -> None:
        sink.write(DATA[span.start : span.end])

    chunk = ChunkRequest(
        url=taken.upload_url, span=span, size=plan.size, content_type="video/mp4"
    )
    answer = await calls.upload(chunk, pour, seconds=60, silence=60)
    return verdict_on(answer, span, size=plan.size)


async def status(calls: Calls, publish_id: str) -> PublishStatus:
    """Ask how far the publish is."""
    found = await calls.status(TOKEN, publish_id)
    assert isinstance(found, PublishStatus)
    return found


@pytest.mark.parametrize("mode", PostMode)
async def test_an_upload_is_followed_to_its_end(
    tiktok: TikTok, calls: Calls, mode: PostMode
) -> None:
    """Chunk by chunk, with the very bytes, as a post and as a draft."""
    taken = await begun(
        tiktok, calls, PUBLIC if mode is PostMode.DIRECT else Post(mode=mode)
    )
    offset, verdicts = 0, []
    while offset < PLAN.size:
        waiting = await status(calls, taken.publish_id)
        assert (waiting.waits_for_upload, waiting.uploaded_bytes) == (True, offset)
        span = PLAN.span_from(offset)
        verdicts.append(await send(calls, taken, span))
        offset = span.end
    assert verdicts == [ChunkVerdict.NEXT] * 3 + [ChunkVerdict.DONE]
    await tiktok.settled()
    end = await status(calls, taken.publish_id)
    direct = mode is PostMode.DIRECT
    assert end.state is (PublishState.COMPLETE if direct else PublishState.IN_INBOX)
    assert (await tiktok.newest())["sha256"] == hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize(
    ("kind", "more", "verdict", "there"),
    [
        ("empty", {"httpStatus": 503}, ChunkVerdict.AGAIN, 0),
        ("reset", {"taken": True}, ChunkVerdict.ASK, 2500),
        ("close", {"taken": False}, ChunkVerdict.ASK, 0),
        ("garbage", {"taken": True}, ChunkVerdict.ASK, 2500),
        ("upload_answer", {"httpStatus": 416}, ChunkVerdict.ASK, 0),
        (
            "upload_answer",
            {"httpStatus": 206, "contentRange": "bytes 0-7/10240", "taken": True},
            ChunkVerdict.ASK,
            2500,
        ),
        ("upload_answer", {"httpStatus": 400}, ChunkVerdict.REFUSED, 0),
        ("upload_expired", {}, ChunkVerdict.URL_OVER, 0),
    ],
)
async def test_the_client_knows_what_a_spoilt_chunk_means(
    tiktok: TikTok,
    calls: Calls,
    kind: str,
    more: dict[str, Any],
    verdict: ChunkVerdict,
    there: int,
) -> None:
    """Send it again, ask how much is there, or give the URL up."""
    taken = await begun(tiktok, calls)
    await tiktok.fault("upload", kind, **more)
    assert await send(calls, taken, PLAN.span_from(0)) is verdict
    assert (await status(calls, taken.publish_id)).uploaded_bytes == there


async def test_a_part_that_was_kept_is_gone_on_with(
    tiktok: TikTok, calls: Calls
) -> None:
    """The client cuts the rest of the chunk as the simulator wants it."""
    taken = await begun(tiktok, calls)
    await tiktok.fault("upload", "cut", keep=True, afterBytes=777)
    assert await send(calls, taken, PLAN.span_from(0)) in (
        ChunkVerdict.ASK,
        ChunkVerdict.AGAIN,
    )
    found = await status(calls, taken.publish_id)
    assert found.uploaded_bytes == 777
    assert await send(calls, taken, PLAN.span_from(777)) is ChunkVerdict.NEXT


@pytest.mark.parametrize("mode", PostMode)
async def test_photos_are_followed_to_their_end(
    tiktok: TikTok, calls: Calls, mode: PostMode
) -> None:
    """Client and simulator agree on photos as a post and as a draft."""
    post = Post(
        media_type=MediaType.PHOTO,
        mode=mode,
        title="Cats",
        description="All of them",
        privacy_level=PrivacyLevel.SELF_ONLY if mode is PostMode.DIRECT else None,
        photo_cover_index=1,
    )
    urls = [f"{tiktok.url}/_sandbox/photo.{kind}" for kind in ("jpg", "webp")]
    taken = await calls.photo_init(TOKEN, post, urls)
    assert isinstance(taken, InitTaken)
    await tiktok.settled()
    end = await status(calls, taken.publish_id)
    direct = mode is PostMode.DIRECT
    assert end.state is (PublishState.COMPLETE if direct else PublishState.IN_INBOX)
    found = await tiktok.newest()
    assert (found["photoUrls"], found["description"]) == (urls, "All of them")


async def test_a_pull_is_cancelled(tiktok: TikTok, calls: Calls) -> None:
    """Agreed to, proved by FAILED, and then there is nothing left to cancel."""
    await tiktok.fault("init", "processing", downloadStuck=True)
    taken = await calls.init(TOKEN, PUBLIC, f"{tiktok.url}/_sandbox/video.mp4")
    assert isinstance(taken, InitTaken)
    assert await calls.cancel(TOKEN, taken.publish_id) is None
    await tiktok.settled()
    end = await status(calls, taken.publish_id)
    assert (end.state, end.fail_reason) == (PublishState.FAILED, "publish_cancelled")
    refused = await calls.cancel(TOKEN, taken.publish_id)
    assert isinstance(refused, Fault)
    assert (refused.code, refused.verdict) == (
        "publish_not_cancellable",
        Verdict.ANSWERED,
    )
