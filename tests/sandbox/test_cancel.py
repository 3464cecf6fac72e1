"""Cancelling: for pulls that still download, and never for certain."""

import pytest

from tests.sandbox.receiver import Receiver
from tests.sandbox.support import CANCEL, CONTENT, INBOX, TikTok, code_of
from tests.sandbox.uploading import begun, pushed


async def cancel(tiktok: TikTok, publish_id: str, token: str = "act.sandbox") -> str:
    """Ask TikTok to stop, and give its verdict."""
    return code_of(await tiktok.post(CANCEL, {"publish_id": publish_id}, token=token))


async def status(tiktok: TikTok, publish_id: str) -> tuple[str, str | None]:
    """Ask how far the post is, and why it failed."""
    answer = await tiktok.status(publish_id)
    return answer["status"], answer.get("fail_reason")


async def test_a_pull_that_still_downloads_is_cancelled(
    tiktok: TikTok, receiver: Receiver
) -> None:
    """It ends FAILED(publish_cancelled), and the webhook tells of it."""
    await tiktok.settings(webhookUrl=receiver.url)
    await tiktok.fault("init", "processing", downloadStuck=True)
    publish_id = await tiktok.taken()
    assert await status(tiktok, publish_id) == ("PROCESSING_DOWNLOAD", None)
    assert await cancel(tiktok, publish_id) == "ok"
    await tiktok.settled()
    assert await status(tiktok, publish_id) == ("FAILED", "publish_cancelled")
    (received,) = receiver.received
    assert received.content["reason"] == "publish_cancelled"


@pytest.mark.parametrize("draft", [False, True])
async def test_a_running_download_stops(tiktok: TikTok, draft: bool) -> None:
    """A real pull is cut off: no byte comes after the cancel."""
    url = f"{tiktok.url}/_sandbox/video.mp4?bytes=100000&bytesPerSecond=1000"
    body = tiktok.direct(video_url=url)
    if draft:
        answer = await tiktok.post(INBOX, {"source_info": body["source_info"]})
    else:
        answer = await tiktok.init(video_url=url)
    publish_id = answer.json()["data"]["publish_id"]
    while not (await tiktok.newest())["bytesPulled"]:
        pass
    assert await cancel(tiktok, publish_id) == "ok"
    await tiktok.settled()
    assert await status(tiktok, publish_id) == ("FAILED", "publish_cancelled")
    assert (await tiktok.newest())["bytesPulled"] < 100_000


async def test_photos_that_still_download_are_cancelled(tiktok: TikTok) -> None:
    """Photos that are still downloading are cancelled as videos are."""
    url = f"{tiktok.url}/_sandbox/photo.jpg?stallAfter=10"
    answer = await tiktok.post(CONTENT, tiktok.photos(url))
    publish_id = answer.json()["data"]["publish_id"]
    assert await cancel(tiktok, publish_id) == "ok"
    await tiktok.settled()
    assert await status(tiktok, publish_id) == ("FAILED", "publish_cancelled")


async def test_what_is_downloaded_cannot_be_cancelled(tiktok: TikTok) -> None:
    """Stuck in processing, or over: 400 publish_not_cancellable."""
    await tiktok.fault("init", "processing", stuck=True)
    stuck, over = await tiktok.taken(), await tiktok.taken()
    await tiktok.settled()
    for publish_id in (stuck, over):
        answer = await tiktok.post(CANCEL, {"publish_id": publish_id})
        assert (answer.status_code, code_of(answer)) == (400, "publish_not_cancellable")
    assert await status(tiktok, over) == ("PUBLISH_COMPLETE", None)


async def test_an_upload_cannot_be_cancelled(tiktok: TikTok) -> None:
    """There is nothing that TikTok downloads."""
    data = await begun(tiktok, pushed(100))
    assert await cancel(tiktok, data["publish_id"]) == "publish_not_cancellable"


async def test_a_cancel_is_about_ones_own_publish(tiktok: TikTok) -> None:
    """Unknown, somebody else's, or none at all."""
    await tiktok.fault("init", "processing", downloadStuck=True)
    publish_id = await tiktok.taken()
    assert await cancel(tiktok, "v_pub_url~v2.1") == "invalid_publish_id"
    assert await cancel(tiktok, "") == "invalid_params"
    assert await cancel(tiktok, publish_id, "act.sandbox_2") == (
        "token_not_authorized_for_specified_publish_id"
    )
    assert await cancel(tiktok, publish_id, "act.unknown") == "access_token_invalid"
    assert await status(tiktok, publish_id) == ("PROCESSING_DOWNLOAD", None)


async def test_a_cancel_that_is_too_slow_loses(tiktok: TikTok) -> None:
    """It was answered ok, and the post goes out: only FAILED is a proof."""
    await tiktok.settings(cancelSeconds=1.5)
    await tiktok.fault("init", "processing", downloadStuck=True)
    publish_id = await tiktok.taken()
    assert await cancel(tiktok, publish_id) == "ok"
    await tiktok.act(publish_id, "finish")
    await tiktok.settled()
    assert await status(tiktok, publish_id) == ("PUBLISH_COMPLETE", None)


async def test_a_cancel_can_be_ignored(tiktok: TikTok) -> None:
    """ok, and nothing happens; the next one works."""
    await tiktok.fault("cancel", "cancel_ignored")
    await tiktok.fault("init", "processing", downloadStuck=True)
    publish_id = await tiktok.taken()
    assert await cancel(tiktok, publish_id) == "ok"
    await tiktok.settled()
    assert await status(tiktok, publish_id) == ("PROCESSING_DOWNLOAD", None)
    assert await cancel(tiktok, publish_id) == "ok"
    await tiktok.settled()
    assert await status(tiktok, publish_id) == ("FAILED", "publish_cancelled")
    calls = await tiktok.read("calls", call="cancel")
    assert [(call["fault"], call["taken"]) for call in calls] == [
        ("cancel_ignored", False),
        (None, True),
    ]


async def test_a_reset_ends_a_download_like_everything_else(tiktok: TikTok) -> None:
    """A reset of the simulator ends downloads, too."""
    url = f"{tiktok.url}/_sandbox/video.mp4?stallAfter=1"
    await tiktok.taken(video_url=url)
    await tiktok.http.post("/_sandbox/reset")
    await tiktok.settled()
    assert await tiktok.read("posts") == []
