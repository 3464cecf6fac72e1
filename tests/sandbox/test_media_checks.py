"""Videos that say of themselves what they are, and what TikTok makes of it."""

from collections.abc import Iterator

import pytest

from app.sandbox.film import look_at_film
from app.sandbox.look import look_at_picture
from tests.sandbox.support import TikTok
from tests.sandbox.uploading import begun, pushed, put

VIDEO = "/_sandbox/video.mp4"


async def end_of(tiktok: TikTok, query: str, kind: str = "video.mp4") -> object:
    """Post this asset, and give its status or why it failed."""
    publish_id = await tiktok.taken(video_url=f"{tiktok.url}/_sandbox/{kind}?{query}")
    await tiktok.settled()
    status = await tiktok.status(publish_id)
    return status.get("fail_reason", status["status"])


def boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the type and the length of each outer box."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        yield data[at + 4 : at + 8], size
        at += size


@pytest.mark.parametrize(
    ("moov", "order"),
    [("start", [b"ftyp", b"moov", b"mdat"]), ("end", [b"ftyp", b"mdat", b"moov"])],
)
async def test_the_boxes_fill_the_file(
    tiktok: TikTok, moov: str, order: list[bytes]
) -> None:
    """The boxes fill the file to the byte, with the index at either end."""
    path = f"{VIDEO}?bytes=200000&duration=5&moov={moov}"
    data = (await tiktok.http.get(path)).content
    assert len(data) == 200_000
    assert [kind for kind, _ in boxes(data)] == order
    assert sum(size for _, size in boxes(data)) == len(data)


async def test_a_video_says_what_it_was_asked_to_be(tiktok: TikTok) -> None:
    """Duration, sides, frame rate, in the boxes where probers look."""
    query = "duration=12.4&width=576&height=1024&fps=25"
    film = look_at_film((await tiktok.http.get(f"{VIDEO}?{query}")).content)
    assert film is not None
    assert film.seconds == pytest.approx(12.4)
    assert film.sides == (576, 1024)
    assert film.frame_rate == pytest.approx(25)


@pytest.mark.parametrize(
    "query",
    [
        "duration=600",
        "duration=3&fps=23.976",
        "fps=60",
        "width=360&height=4096",
        "width=4096&height=360",
        "codec=hvc1",
    ],
)
async def test_a_video_within_the_limits_is_published(
    tiktok: TikTok, query: str
) -> None:
    """A video at the very edge of the limits is published."""
    assert await end_of(tiktok, query) == "PUBLISH_COMPLETE"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("duration=601", "duration_check_failed"),
        ("fps=20", "frame_rate_check_failed"),
        ("fps=61", "frame_rate_check_failed"),
        ("width=359", "picture_size_check_failed"),
        ("height=4097", "picture_size_check_failed"),
    ],
)
async def test_a_video_beyond_the_limits_fails(
    tiktok: TikTok, query: str, reason: str
) -> None:
    """Late, as at TikTok: the init was ok."""
    assert await end_of(tiktok, query) == reason


async def test_how_long_a_video_may_be_is_the_persons_own(tiktok: TikTok) -> None:
    """max_video_post_duration_sec of creator_info counts."""
    await tiktok.http.patch(
        "/_sandbox/accounts/sandbox_user", json={"maxVideoSeconds": 60}
    )
    assert await end_of(tiktok, "duration=60") == "PUBLISH_COMPLETE"
    assert await end_of(tiktok, "duration=61") == "duration_check_failed"


@pytest.mark.parametrize("kind", ["photo.jpg", "photo.webp", "photo.png"])
async def test_a_picture_is_no_video(tiktok: TikTok, kind: str) -> None:
    """A picture is refused as a video, whatever its address is called."""
    assert await end_of(tiktok, "", kind) == "file_format_check_failed"


@pytest.mark.parametrize("query", ["bytes=100000", "duration=601&moov=end&bytes=99999"])
async def test_what_cannot_be_told_is_no_verdict(tiktok: TikTok, query: str) -> None:
    """No index at the beginning, nothing to find fault with."""
    assert await end_of(tiktok, query) == "PUBLISH_COMPLETE"


async def test_a_script_outranks_the_look(tiktok: TikTok) -> None:
    """The scripted reason is told, and unchecked media can be anything."""
    await tiktok.fault("init", "processing", failReason="spam_risk")
    assert await end_of(tiktok, "fps=20") == "spam_risk"
    await tiktok.settings(checkMedia=False)
    assert await end_of(tiktok, "fps=20") == "PUBLISH_COMPLETE"


async def test_an_upload_is_looked_at_as_well(tiktok: TikTok) -> None:
    """After its last byte."""
    data = (await tiktok.http.get(f"{VIDEO}?duration=601")).content
    upload = await begun(tiktok, pushed(len(data)))
    span, total = range(len(data)), len(data)
    answer = await put(tiktok, upload["upload_url"], span, total=total, data=data)
    assert answer.status_code == 201
    await tiktok.settled()
    status = await tiktok.status(upload["publish_id"])
    assert status["fail_reason"] == "duration_check_failed"


async def test_half_a_head_tells_nothing_and_breaks_nothing(tiktok: TikTok) -> None:
    """However the first bytes are cut or garbled, looking at them is safe."""
    for path in (f"{VIDEO}?duration=3", "/_sandbox/photo.jpg", "/_sandbox/photo.webp"):
        data = (await tiktok.http.get(path)).content[:1500]
        for length in range(0, len(data), 7):
            look_at_film(data[:length])
            look_at_picture(data[:length])
            garbled = data[:length] + bytes(8) + data[length:]
            look_at_film(garbled)
            look_at_picture(garbled)


async def test_downloaded_bytes_grow_while_a_pull_goes_on(tiktok: TikTok) -> None:
    """A real pull, slowed down: status tells how far it is."""
    await tiktok.settings(quotas=None)
    await tiktok.fault("init", "processing", downloadBytesPerSecond=2_000_000)
    url = f"{tiktok.url}{VIDEO}?bytes=1000000&seed=1"
    publish_id = await tiktok.taken(video_url=url)
    seen: list[int] = []
    while (status := await tiktok.status(publish_id))["status"] != "PUBLISH_COMPLETE":
        if not seen or seen[-1] != status["downloaded_bytes"]:
            seen.append(status["downloaded_bytes"])
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert status["downloaded_bytes"] == 1_000_000
    digest = (await tiktok.http.get(f"{url}&digest=1")).json()
    assert (await tiktok.newest())["sha256"] == digest["sha256"]


async def test_a_download_can_be_pretended(tiktok: TikTok) -> None:
    """Four gigabytes at any rate, of which no byte is pulled."""
    await tiktok.settings(quotas=None)
    await tiktok.fault(
        "init",
        "processing",
        downloadBytes=4_000_000_000,
        downloadBytesPerSecond=20_000_000_000,
    )
    publish_id = await tiktok.taken(video_url="http://127.0.0.1:1/v.mp4")
    seen = set()
    while (status := await tiktok.status(publish_id))["status"] != "PUBLISH_COMPLETE":
        seen.add(status["downloaded_bytes"])
    assert len(seen) > 1
    assert status["downloaded_bytes"] == 4_000_000_000


async def test_a_pretended_download_can_get_stuck(tiktok: TikTok) -> None:
    """A pretended download can get stuck at a number of bytes."""
    await tiktok.fault("init", "processing", downloadStuck=True, downloadBytes=7)
    publish_id = await tiktok.taken()
    await tiktok.settled()
    assert await tiktok.status(publish_id) == {
        "status": "PROCESSING_DOWNLOAD",
        "downloaded_bytes": 7,
    }


@pytest.mark.parametrize(
    ("owned", "url", "verdict"),
    [
        ("example.com", "https://example.com/v.mp4", "ok"),
        ("example.com", "https://cdn.example.com/v.mp4", "ok"),
        ("example.com", "https://notexample.com/v.mp4", "url_ownership_unverified"),
        ("https://x.com/a/", "https://x.com/a/v.mp4", "ok"),
        ("https://x.com/a/", "https://x.com/b/v.mp4", "url_ownership_unverified"),
        ("https://x.com/a/", "https://[/v.mp4", "url_ownership_unverified"),
    ],
)
async def test_only_verified_addresses_are_pulled_from(
    tiktok: TikTok, owned: str, url: str, verdict: str
) -> None:
    """A domain with its subdomains, or a prefix of the URL; photos as well."""
    await tiktok.settings(verifiedUrls=[owned], pull=False)
    video = await tiktok.init(video_url=url)
    photos = await tiktok.post(
        "/v2/post/publish/content/init/", tiktok.photos(url, url)
    )
    for answer in (video, photos):
        assert answer.json()["error"]["code"] == verdict
        assert answer.status_code == (200 if verdict == "ok" else 403)
