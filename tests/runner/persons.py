"""Random weeks of a project whose person changes, on the real store and simulator."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Final

from app.domain.errors import SchedulerError
from app.domain.jobs.job import Job, JobStatus
from app.domain.posts.post import Post, PostMode, PrivacyLevel
from app.sandbox.posts import Post as Taken
from app.sandbox.recording import Call, Record
from tests.runner.stage import Stage, Worker

PEOPLE: Final = ("open_A", "open_B", "open_C")
PROJECT: Final = "proj_1"
NAME: Final = PROJECT, "tiktok"


FAULTS: Final[tuple[tuple[str, str, dict[str, object]], ...]] = (
    ("init", "reset", {"taken": True}),
    ("init", "reset", {"taken": False}),
    ("init", "error", {"code": "access_token_invalid", "httpStatus": 401}),
    ("init", "error", {"code": "spam_risk_too_many_posts", "httpStatus": 403}),
    ("init", "error", {"code": "internal_error", "httpStatus": 500}),
    ("init", "processing", {"stuck": True}),
    ("init", "processing", {"postIdNever": True}),
    ("status", "error", {"code": "access_token_invalid", "httpStatus": 401}),
    ("status", "reset", {}),
    ("creator_info", "token_death", {}),
    ("creator_info", "error", {"code": "internal_error", "httpStatus": 500}),
    ("token", "error", {"code": "temporarily_unavailable", "httpStatus": 200}),
    ("token", "invalid_grant", {}),
)
POSTS: Final = (
    Post(mode=PostMode.DIRECT, privacy_level=PrivacyLevel.PUBLIC_TO_EVERYONE),
    Post(mode=PostMode.DIRECT, privacy_level=PrivacyLevel.SELF_ONLY),
    Post(mode=PostMode.INBOX),
)


class Untrue(AssertionError):
    """A promise about whom, until when or what was broken."""


@dataclass
class Weeks:
    """One project, one worker, and whatever chance brings."""

    stage: Stage
    worker: Worker
    chance: Random
    jobs: dict[str, Job] = field(default_factory=dict)  # by their asset, as made
    story: list[str] = field(default_factory=list)
    sent: list[tuple[Record, datetime]] = field(default_factory=list)

    async def live(self, steps: int) -> None:
        """Take so many steps, looking after each; raises Untrue."""
        self._watch()
        await self._reconnect()
        for _ in range(steps):
            await self._step()
            await self._check()
        for _ in range(3):  # what is left comes to an end, if it can
            self.stage.clock.go_on(timedelta(hours=13))
            await self._tick()
            await self._confirm()
            await self._check()

    async def _step(self) -> None:
        doings: tuple[Callable[[], Awaitable[None]], ...] = (
            *(self._add,) * 4,
            *(self._tick,) * 4,
            *(self._fault,) * 3,
            *(self._reconnect,) * 2,
            *(self._pass_time,) * 2,
            self._disconnect,
            self._retry,
            self._confirm,
            self._ends_at_tiktok,
            self._reconnect_in_the_middle,
        )
        doing = self.chance.choice(doings)
        self.story.append(doing.__name__.strip("_"))
        await doing()

    def _watch(self) -> None:
        """Note by the stage's clock when each init comes in."""
        calls = self.stage.tiktok.sandbox.calls
        add = calls.add

        def noted(record: Record) -> None:
            if record.call in {Call.INIT, Call.INBOX_INIT}:
                self.sent.append((record, self.stage.clock.now()))
            add(record)

        calls.add = noted  # type: ignore[method-assign]

    # What may happen.

    async def _add(self) -> None:
        now = self.stage.clock.now()
        ahead = timedelta(minutes=self.chance.choice([0, 0, 0, 45]))
        last = self.chance.choice([None, timedelta(minutes=5), timedelta(hours=3)])
        number = len(self.jobs)
        job = await self.stage.job(
            self.worker,
            asset_url=f"{self.stage.tiktok.url}/_sandbox/video.mp4?n={number}",
            post=self.chance.choice(POSTS),
            scheduled_for=now + ahead,
            publish_by=None if last is None else now + ahead + last,
        )
        self.jobs[job.asset_url] = job

    async def _tick(self) -> None:
        await self.worker.tick(budget=30)

    async def _fault(self) -> None:
        call, kind, more = self.chance.choice(FAULTS)
        self.story[-1] += f" {call} {kind}"
        self.stage.fault(call, kind, rule={"times": self.chance.choice([1, 2])}, **more)

    async def _reconnect(self) -> None:
        person = self.chance.choice(PEOPLE)
        self.story.append(f"as {person}")
        await self.stage.connect(self.worker, PROJECT, person)
        await self._allow_video_list()

    async def _reconnect_in_the_middle(self) -> None:
        """Let somebody else connect right before a step of an attempt."""
        claims = self.worker.claims
        step = self.chance.choice(["stamp_init", "save_publish_id", "apply"])

        async def swap() -> None:
            claims.before.clear()
            await self._reconnect()

        claims.before[step] = swap
        await self._add()
        await self._tick()
        claims.before.clear()

    async def _disconnect(self) -> None:
        accounts = self.worker.container.accounts
        try:
            await accounts.delete(*NAME, now=self.stage.clock.now())
        except SchedulerError:
            self.story[-1] += " nobody"

    async def _pass_time(self) -> None:
        minutes = self.chance.choice([1, 4, 10, 60, 600])
        self.story[-1] += f" {minutes}"
        self.stage.clock.go_on(timedelta(minutes=minutes))

    async def _retry(self) -> None:
        if not self.jobs:
            return
        made = self.chance.choice(list(self.jobs.values()))
        risk = self.chance.random() < 0.3
        try:
            await self.worker.container.jobs.retry(
                made.id, now=self.stage.clock.now(), accept_duplicate_risk=risk
            )
        except SchedulerError:
            self.story[-1] += " refused"

    async def _confirm(self) -> None:
        self.stage.clock.go_on(timedelta(minutes=11))
        await self.worker.container.confirmer.run_due(limit=20)

    async def _ends_at_tiktok(self) -> None:
        """Let what was stuck go on."""
        for job in self.jobs.values():
            self.stage.unstick(job)

    async def _allow_video_list(self) -> None:
        """Let lost inits be looked for in the person's own list."""
        accounts = self.worker.container.accounts
        account = await accounts.get(*NAME)
        scopes = (*account.grant.scopes, "video.list")
        grant = type(account.grant)(
            access_token=account.grant.access_token,
            refresh_token=account.grant.refresh_token,
            access_token_expires_at=account.grant.access_token_expires_at,
            refresh_token_expires_at=account.grant.refresh_token_expires_at,
            scopes=scopes,
        )
        await accounts.save_refreshed(account, grant, now=self.stage.clock.now())

    # What must be so after each step.

    async def _check(self) -> None:
        jobs = [await self.worker.job(job) for job in self.jobs.values()]
        by_url = {job.asset_url: job for job in jobs}
        for record, at in self.sent:
            job = by_url[_url_of(record)]
            if record.open_id != job.open_id:
                self._untrue(f"an init of {job.open_id}'s job as {record.open_id}")
            if job.publish_by is not None and at >= job.publish_by:
                self._untrue(f"an init after {job.publish_by}")
        for job in by_url.values():
            if job.status is JobStatus.POSTED:
                self._check_posted(job)

    def _check_posted(self, job: Job) -> None:
        posts = self.stage.tiktok.sandbox.posts
        mine = [post for post in posts if post.open_id == job.open_id]
        if job.publish_id is not None and job.publish_id not in _ids(mine):
            self._untrue(f"{job.publish_id} is not {job.open_id}'s")
        own = {str(each) for post in mine for each in _post_ids(post)}
        if not set(job.post_ids) <= own:
            self._untrue(f"{job.post_ids} are not {job.open_id}'s")
        if job.post_id is not None and job.post_id not in own:
            self._untrue(f"{job.post_id} is not {job.open_id}'s")
        if job.post_url is not None:
            if not job.post_url.endswith(f"/{job.post_id}"):
                self._untrue(f"{job.post_url} is another post's")
            name = self.stage.tiktok.sandbox.accounts.people[job.open_id or ""].username
            if f"@{name}/" not in job.post_url:
                self._untrue(f"{job.post_url} is not {name}'s")

    def _untrue(self, what: str) -> None:
        raise Untrue(f"{what}, after: {', '.join(self.story)}")


def _url_of(record: Record) -> str:
    source = record.body["source_info"]
    assert isinstance(source, dict)
    url: str = source["video_url"]
    return url


def _ids(posts: list[Taken]) -> set[str]:
    return {post.publish_id for post in posts}


def _post_ids(post: Taken) -> tuple[int, ...]:
    first = () if post.post_id is None else (post.post_id,)
    return (*first, *post.more_post_ids)
