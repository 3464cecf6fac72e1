"""A look ahead of time finds what would keep a job back, and leaves the job alone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import pytest
from msgspec import structs
from msgspec.structs import replace

from app.domain.jobs.job import Job, JobStatus, Transfer
from app.domain.posts.post import MediaType, Post, PostMode, PrivacyLevel
from app.outbound.client import Outbound
from app.outbound.media.checker import MediaChecker
from app.runner.background.readiness_checker import ReadinessChecker
from app.sandbox.recording import Call
from tests.runner.stage import Stage, Worker
from tests.tiktok.chaos import read_request, response, serving

HOUR: Final = timedelta(hours=1)
SOON: Final = timedelta(seconds=2)
PRIVATE: Final = PrivacyLevel.SELF_ONLY


@dataclass
class Lookout:
    """A worker, and what looks at its jobs ahead of time."""

    stage: Stage
    worker: Worker
    checker: ReadinessChecker

    async def job(self, **changes: Any) -> Job:  # noqa: ANN401
        """Add a job whose first look is due in a moment."""
        at = self.stage.clock.now() + HOUR + SOON
        return await self.stage.job(self.worker, **{"scheduled_for": at} | changes)

    async def look(self) -> int:
        """Make the looks that are due in a moment."""
        self.stage.clock.go_on(2 * SOON)
        return await self.checker.run_due(limit=8)

    async def found(self, job: Job) -> list[str]:
        """Look, and list the codes of what was found."""
        assert await self.look() >= 1
        readiness = (await self.worker.job(job)).readiness
        assert readiness is not None
        assert readiness.ok is (not readiness.problems)
        return [problem.code for problem in readiness.problems]


@pytest.fixture
async def lookout(stage: Stage) -> Lookout:
    """Give a worker with a connected account, whose jobs are looked at."""
    worker = await stage.worker(allow_private_urls=True)
    await stage.connect(worker, "proj_1")
    return Lookout(stage, worker, checker_of(worker))


def checker_of(worker: Worker) -> ReadinessChecker:
    """Make the checker as the house does."""
    return worker.container.readiness_checker


async def allow(lookout: Lookout, *scopes: str) -> None:
    """Let the account's grant name these scopes."""
    accounts = lookout.worker.container.accounts
    account = await accounts.get("proj_1", "tiktok")
    grant = structs.replace(account.grant, scopes=scopes)
    await accounts.save_refreshed(account, grant, now=lookout.stage.clock.now())


# From end to end


async def test_a_job_that_is_ready_is_told_so_and_posted(lookout: Lookout) -> None:
    """Both looks find nothing, and the job goes out at its time as if unseen."""
    job = await lookout.job()
    assert await lookout.found(job) == []
    looked = await lookout.worker.job(job)
    assert looked.readiness_at == job.scheduled_for - timedelta(minutes=10)
    assert replace(job, updated_at=looked.updated_at) == replace(
        looked, readiness=None, readiness_at=job.readiness_at
    )
    lookout.stage.clock.go_to(looked.readiness_at)
    assert await lookout.found(job) == []
    assert (await lookout.worker.job(job)).readiness_at is None
    lookout.stage.clock.go_to(job.scheduled_for)
    await lookout.worker.tick()
    after = await lookout.worker.job(job)
    assert (after.status, after.attempt_number) == (JobStatus.POSTED, 1)
    assert len(lookout.stage.calls(Call.INIT)) == 1


async def test_a_job_that_is_not_ready_is_tried_at_its_time(lookout: Lookout) -> None:
    """A look is no verdict on the job: by then it may have been put right."""
    job = await lookout.job(post=Post(privacy_level=PRIVATE))
    lookout.stage.fault("creator_info", "error", code="spam_risk_too_many_posts")
    assert await lookout.found(job) == ["spam_risk_too_many_posts"]
    lookout.stage.clock.go_to(job.scheduled_for)
    await lookout.worker.tick()
    assert (await lookout.worker.job(job)).status is JobStatus.POSTED


async def test_looks_are_made_by_the_tick_itself(lookout: Lookout) -> None:
    """The house's own chores do it; nobody has to be asked."""
    job = await lookout.job()
    lookout.stage.clock.go_on(2 * SOON)
    await lookout.worker.container.runner.tick(budget=20)
    readiness = (await lookout.worker.job(job)).readiness
    assert readiness is not None
    assert readiness.ok


# The account


async def test_no_account(lookout: Lookout) -> None:
    """Somebody has to connect one."""
    job = await lookout.job(project_id="proj_2")
    assert await lookout.found(job) == ["account_not_connected"]


@pytest.mark.parametrize("mode", list(PostMode))
async def test_a_permission_that_was_not_given(
    lookout: Lookout, mode: PostMode
) -> None:
    """Known from the grant alone: TikTok is not asked."""
    await allow(lookout, "user.info.basic")
    job = await lookout.job(post=Post(mode=mode, privacy_level=PRIVATE))
    assert await lookout.found(job) == ["scope_missing"]
    assert lookout.stage.calls(Call.CREATOR_INFO) == []


async def test_an_audience_that_is_not_offered(lookout: Lookout) -> None:
    """TikTok offers a public account no followers-only posts."""
    post = Post(privacy_level=PrivacyLevel.FOLLOWER_OF_CREATOR)
    job = await lookout.job(post=post)
    assert await lookout.found(job) == ["privacy_level_not_offered"]


async def test_tiktok_in_a_bad_mood_is_no_problem_of_the_jobs(
    lookout: Lookout,
) -> None:
    """An error that may pass says nothing about an hour from now."""
    job = await lookout.job()
    lookout.stage.fault("creator_info", "error", code="internal_error")
    assert await lookout.found(job) == []
    assert len(lookout.stage.calls(Call.CREATOR_INFO)) == 1


async def test_more_posts_than_a_minute_takes(stage: Stage) -> None:
    """Each of them is told, and none is held back."""
    worker = await stage.worker(allow_private_urls=True, tiktok_init_per_minute=2)
    await stage.connect(worker, "proj_1")
    lookout = Lookout(stage, worker, checker_of(worker))
    at = (stage.clock.now() + 2 * HOUR).replace(second=0, microsecond=0)
    jobs = [
        await lookout.job(scheduled_for=at + timedelta(seconds=n)) for n in range(3)
    ]
    stage.clock.go_to(at - HOUR + SOON)
    assert await lookout.look() == 3
    for job in jobs:
        looked = await worker.job(job)
        assert looked.readiness
        assert [each.code for each in looked.readiness.problems] == ["goes_out_late"]
        assert looked.next_attempt_at == job.scheduled_for


# The video


@dataclass
class Server:
    """A video's server that answers as told."""

    url: str
    head: bytes
    get: bytes
    asked: list[bytes]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """Serve on loopback; GET and HEAD are answered with a video."""
    video = response(b"video", Content_Type="video/mp4")
    told = Server("", video, video, [])

    async def script(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        request = await read_request(reader)
        told.asked.append(request)
        writer.write(told.head if request.startswith(b"HEAD") else told.get)
        await writer.drain()

    async with serving(script) as url:
        told.url = f"{url}/v.mp4"
        yield told


async def test_of_a_sound_video_only_parts_are_fetched(
    lookout: Lookout, server: Server
) -> None:
    """After a HEAD, with a Range of some kilobytes."""
    job = await lookout.job(asset_url=server.url)
    assert await lookout.found(job) == []
    assert [request.split()[0] for request in server.asked] == [b"HEAD", b"GET"]
    assert b"range: bytes=0-65535" in server.asked[1].lower()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("duration=601.5", "video_too_long"),
        ("duration=601.5&moov=end", "video_too_long"),
        ("duration=600", None),
        ("duration=5&width=100&height=1024", "video_picture_size"),
        ("duration=5&fps=12", "video_frame_rate"),
        ("duration=5&codec=av01", "video_codec"),
        ("duration=5&codec=hvc1&fps=60&width=4096&height=4096", None),
    ],
)
async def test_a_video_is_measured(
    lookout: Lookout, query: str, code: str | None
) -> None:
    """A certain breach is told with the number seen and the number allowed."""
    url = f"{lookout.stage.tiktok.url}/_sandbox/video.mp4?{query}"
    job = await lookout.job(asset_url=url)
    assert await lookout.found(job) == ([code] if code else [])


async def test_a_video_that_is_too_long_never_reaches_the_init(
    lookout: Lookout,
) -> None:
    """Looked at before, or right before it: whichever way it is to take."""
    base = f"{lookout.stage.tiktok.url}/_sandbox/video.mp4?duration=700"
    ahead = await lookout.job(asset_url=base)
    assert await lookout.found(ahead) == ["video_too_long"]
    lookout.stage.clock.go_to(ahead.scheduled_for)
    now = [
        await lookout.stage.job(lookout.worker, asset_url=base, transfer=way)
        for way in Transfer
    ]
    await lookout.worker.tick()
    for job in (ahead, *now):
        ended = await lookout.worker.job(job)
        assert ended.status is JobStatus.FAILED
        assert ended.last_error is not None
        assert ended.last_error.code == "video_too_long"
        assert "700.0" in ended.last_error.message
        assert "600" in ended.last_error.message
    assert not lookout.stage.calls(Call.INIT)


async def test_the_culprit_of_a_set_of_photos_is_named(lookout: Lookout) -> None:
    """One bad photo fails them all, and TikTok does not say which."""
    base = f"{lookout.stage.tiktok.url}/_sandbox"
    urls = (
        f"{base}/photo.jpg?width=1080&height=1927",
        f"{base}/photo.png",
        f"{base}/photo.webp?width=1500&height=1200",
        f"{base}/photo.jpg?bytes=30000000",
        f"{base}/photo.jpg?status=404",
        f"{base}/photo.webp",
    )
    post = Post(media_type=MediaType.PHOTO, privacy_level=PRIVATE)
    job = await lookout.job(asset_url="", asset_urls=urls, post=post)
    await lookout.found(job)
    readiness = (await lookout.worker.job(job)).readiness
    assert readiness is not None
    assert [(each.code, each.pointer) for each in readiness.problems] == [
        ("photo_type", "/assetUrls/1"),
        ("photo_picture_size", "/assetUrls/2"),
        ("photo_too_large", "/assetUrls/3"),
        ("asset_unreachable", "/assetUrls/4"),
    ]
    assert "PNG" in readiness.problems[0].message
    for each in readiness.problems:
        assert str(each.pointer) in each.message


@pytest.mark.parametrize("status", [403, 405, 501])
async def test_a_server_without_head_is_asked_for_one_byte(
    lookout: Lookout, server: Server, status: int
) -> None:
    """A URL signed for GET is as good as any."""
    server.head = response(b"", status=status)
    server.get = response(
        b"v", status=206, Content_Type="video/mp4", Content_Range="bytes 0-0/9"
    )
    job = await lookout.job(asset_url=server.url)
    assert await lookout.found(job) == []
    assert b"range: bytes=0-0" in server.asked[1].lower()


PAGE: Final = response(b"", Content_Type="text/html")


@pytest.mark.parametrize(
    "head",
    [b"", PAGE, response(b"", status=302, Location="/login")],
    ids=["reset", "page", "redirect"],
)
async def test_the_get_decides_where_the_head_is_odd(
    lookout: Lookout, server: Server, head: bytes
) -> None:
    """TikTok sends a GET: what its server says to that is what counts."""
    server.head = head
    job = await lookout.job(asset_url=server.url)
    assert await lookout.found(job) == []


@pytest.mark.parametrize(
    "kind", ["text/html", "binary/octet-stream", "application/mp4", "application/json"]
)
async def test_a_type_alone_condemns_no_video(lookout: Lookout, kind: str) -> None:
    """A wrong content type is no problem if the first bytes are a video's."""
    url = f"{lookout.stage.tiktok.url}/_sandbox/video.mp4?duration=5&type={kind}"
    job = await lookout.job(asset_url=url)
    assert await lookout.found(job) == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (response(b"", status=404), "asset_unreachable"),
        (response(b"", status=302, Location="/other"), "asset_redirects"),
        (response(b"<p>", Content_Type="text/html"), "asset_not_a_video"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 4294967297\r\n\r\n",
            "asset_too_large",
        ),
        (response(b""), "asset_empty"),
        (b"SSH-2.0-OpenSSH\r\n", "asset_unreachable"),
        (b"", "asset_unreachable"),
    ],
    ids=["gone", "redirect", "page", "huge", "empty", "no http", "silence"],
)
async def test_a_video_that_tiktok_would_not_get(
    lookout: Lookout, server: Server, answer: bytes, code: str
) -> None:
    """Said an hour ahead instead of at its time."""
    server.head = server.get = answer
    job = await lookout.job(asset_url=server.url)
    assert await lookout.found(job) == [code]


async def test_a_private_address_is_never_connected_to(
    lookout: Lookout, server: Server
) -> None:
    """It is refused here as it is everywhere."""
    lookout.checker = structs.replace(
        lookout.checker, media=MediaChecker(Outbound(allow_private=False))
    )
    job = await lookout.job(asset_url="https://127.0.0.1/v.mp4")
    assert await lookout.found(job) == ["asset_refused"]
    assert server.asked == []


# When looks go wrong


async def test_a_look_that_breaks_does_not_stop_the_others(lookout: Lookout) -> None:
    """Its lease runs out and it is made again."""
    broken = await lookout.job(project_id="proj_2")
    sound = await lookout.job()
    grants = lookout.checker.grants

    class Broken:
        renew = grants.renew

        async def current(
            self, project_id: str, platform: str, *, open_id: str | None = None
        ) -> object:
            if project_id == "proj_2":
                raise RuntimeError("a bug")
            return await grants.current(project_id, platform, open_id=open_id)

    lookout.checker = structs.replace(lookout.checker, grants=Broken())
    assert await lookout.found(sound) == []
    assert (await lookout.worker.job(broken)).readiness == broken.readiness
    assert (await lookout.worker.job(broken)).status is JobStatus.SCHEDULED
