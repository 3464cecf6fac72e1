"""Workers on a real database, and a TikTok that answers on real sockets."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final, cast

from msgspec import structs

from app.container import Container, open_container
from app.domain.accounts.account import Grant, NewAccount
from app.domain.jobs.job import AttemptRecord, Job, NewJob
from app.domain.posts.post import Post, PostMode, PrivacyLevel
from app.machine.clock import SystemClock
from app.runner.attempts.attempt_pool import AttemptPolicy
from app.runner.attempts.dependencies import Dependencies
from app.runner.background.background_jobs import BackgroundJobs
from app.runner.runner import LONGEST_RESERVE_SECONDS, Capacity, Runner
from app.runner.tick_report import TickReport
from app.sandbox import people
from app.sandbox.posts import PostStatus
from app.sandbox.recording import Call, Record
from app.sandbox.script import FaultRule
from app.sandbox.server import RunningSandbox, running_sandbox
from app.sandbox.settings import SandboxSettings
from app.settings import Settings, load
from app.tiktok.client import TikTok
from tests.runner.watched import Claims, Meddled, Signals, WatchedCalls
from tests.support.patience import PATIENCE_SECONDS

HASTE: Final = timedelta(seconds=0.2)
KEY: Final = "A" * 43 + "="
PUBLIC: Final = PrivacyLevel.PUBLIC_TO_EVERYONE

_serial = count(1)


class Clock(SystemClock):
    """The machine's clock, which a test may put forward."""

    def __init__(self) -> None:
        self.preflights = timedelta(0)

    def now(self) -> datetime:
        """Return the current time, put forward."""
        return super().now() + self.preflights

    def go_to(self, moment: datetime | None) -> None:
        """Put the clock forward to a moment, if that is still to come."""
        assert moment is not None
        self.preflights += max(moment - self.now(), timedelta(0))

    def go_on(self, span: timedelta) -> None:
        """Put the clock forward."""
        self.preflights += span


@dataclass
class Worker:
    """One process: its own connections, its own runner."""

    container: Container
    runner: Runner
    claims: Claims
    tiktok: Meddled

    @property
    def hasty(self) -> "Worker":
        """Return it with a runner that soon stops polling.

        For jobs whose publish is stuck, and for no other: what a busy machine ends in
        so short a time nobody can say.
        """
        poll = structs.replace(self.runner._rules.poll, deadline=HASTE)
        rules = structs.replace(self.runner._rules, poll=poll)
        deps, capacity = self.runner._deps, self.runner._capacity
        nothing = BackgroundJobs((), self.container.clock)
        return dataclasses.replace(self, runner=Runner(deps, rules, capacity, nothing))

    async def tick(
        self, budget: float = PATIENCE_SECONDS, *, stop: asyncio.Event | None = None
    ) -> TickReport:
        """Run one tick."""
        return await self.runner.tick(budget=budget, stop=stop)

    async def job(self, job: Job) -> Job:
        """Read a job as it is now."""
        return await self.container.jobs.get(job.id)

    async def ledger(self, job: Job) -> tuple[AttemptRecord, ...]:
        """Read a job's attempts."""
        return await self.container.jobs.attempts(job.id)


@dataclass
class Stage:
    """Everything a test of the runner needs."""

    database_url: str
    tiktok: RunningSandbox
    stack: AsyncExitStack
    clock: Clock = field(default_factory=Clock)
    signals: Signals = field(default_factory=Signals)

    async def worker(self, **settings: object) -> Worker:
        """Start a process."""
        container = await self.stack.enter_async_context(
            open_container(self._settings(**settings), clock=self.clock)
        )
        claims = Claims(
            container.database,
            lease=timedelta(seconds=container.settings.claim_timeout_seconds),
            witness=container.witness,
        )
        claims.watch(self.signals)
        tiktok = Meddled(container.tiktok)
        deps = structs.replace(
            container.runner._deps, claims=claims, tiktok=cast("TikTok", tiktok)
        )
        rules, capacity = container.runner._rules, container.runner._capacity
        return Worker(container, self.runner(deps, rules, capacity), claims, tiktok)

    def runner(
        self, deps: Dependencies, rules: AttemptPolicy, capacity: Capacity
    ) -> Runner:
        """Make a runner that does nothing beside running jobs."""
        return Runner(deps, rules, capacity, BackgroundJobs((), self.clock))

    @asynccontextmanager
    async def running(self, worker: Worker) -> AsyncIterator[asyncio.Event]:
        """Let a worker run until the block ends or sets the event."""
        stop = asyncio.Event()
        task = asyncio.create_task(worker.runner.run(stop))
        try:
            yield stop
        finally:
            stop.set()
            await task

    async def ticked(
        self, worker: Worker, until: Callable[[], object], *, budget: float = 600
    ) -> TickReport:
        """Run a tick whose time runs out as soon as something is so."""
        began = self.clock.now()
        ticking = asyncio.create_task(worker.tick(budget))
        await self.signals.until(until)
        # Into what a tick keeps for handing on, as if all had taken that long.
        self.clock.go_to(began + timedelta(seconds=budget - LONGEST_RESERVE_SECONDS))
        report = await ticking
        self.clock.go_on(timedelta(seconds=1))  # what was handed on is due
        return report

    async def connect(
        self, worker: Worker, project_id: str, open_id: str | None = None
    ) -> None:
        """Connect a project to a TikTok user, to one of its own if none is named."""
        user = people.NewAccount(open_id=open_id or f"user of {project_id}")
        tokens = people.add_account(self.tiktok.sandbox, user)
        grant = Grant(
            access_token=str(tokens["accessToken"]),
            refresh_token=str(tokens["refreshToken"]),
            access_token_expires_at=self.clock.now() + timedelta(days=100),
            refresh_token_expires_at=self.clock.now() + timedelta(days=100),
            scopes=("video.publish", "video.upload"),
        )
        account = NewAccount(
            project_id=project_id, platform="tiktok", open_id=user.open_id, grant=grant
        )
        await worker.container.accounts.put(account, now=self.clock.now())

    async def job(
        self,
        worker: Worker,
        *,
        project_id: str = "proj_1",
        **changes: Any,  # noqa: ANN401
    ) -> Job:
        """Add a job that is due; its title is its asset's id, to tell its init by."""
        asset_id = f"asset_{next(_serial)}"
        new = NewJob(
            project_id=project_id,
            platform="tiktok",
            asset_id=asset_id,
            asset_url=f"{self.tiktok.url}/_sandbox/video.mp4",
            post=Post(mode=PostMode.DIRECT, privacy_level=PUBLIC, title=asset_id),
            scheduled_for=self.clock.now() - timedelta(seconds=1),
            max_attempts=5,
        )
        job, _ = await worker.container.jobs.add(
            structs.replace(new, **changes), now=self.clock.now()
        )
        return job

    def fault(
        self,
        call: str,
        kind: str,
        *,
        rule: dict[str, Any] | None = None,
        **more: object,
    ) -> None:
        """Script a fault of TikTok's; ``rule`` says when it strikes."""
        wanted = {"call": call, **(rule or {}), "fault": {"kind": kind, **more}}
        self.tiktok.sandbox.script.add(FaultRule.model_validate(wanted))

    def stuck(self, job: Job) -> None:
        """Let TikTok take a job and never be done with it."""
        self.fault("init", "processing", rule=of(job), stuck=True)

    def unstick(self, job: Job) -> None:
        """Let TikTok finish a job that was stuck."""
        for post in self.tiktok.sandbox.posts:
            if post.title == job.asset_id:
                post.status = PostStatus.PUBLISH_COMPLETE

    def calls(self, call: Call, job: Job | None = None) -> list[Record]:
        """List the calls TikTok saw, of one job if it can be told by its title."""
        found = self.tiktok.sandbox.calls.find(call=call)
        return [it for it in found if job is None or it.title == job.asset_id]

    async def until_called(self, call: Call, times: int = 1) -> None:
        """Wait until TikTok saw so many calls."""
        await self.signals.until(lambda: len(self.calls(call)) >= times)

    def _settings(self, **changes: object) -> Settings:
        chosen: dict[str, object] = {
            "_env_file": None,
            "database_url": self.database_url,
            "tiktok_api_base_url": self.tiktok.url,
            "tiktok_client_key": "sandbox_key",
            "tiktok_client_secret": "sandbox_secret",
            "token_encryption_keys": KEY,
            "poll_interval_seconds": 0.05,
            "poll_deadline_seconds": 290,
            "http_timeout_seconds": 60,
            "claim_timeout_seconds": 300,
            "tiktok_init_per_minute": 10_000,
            "tiktok_status_per_minute": 100_000,
            "tiktok_creator_info_per_minute": 10_000,
        }
        return load(**chosen | changes)


@asynccontextmanager
async def staged(database_url: str) -> AsyncIterator[Stage]:
    """Open the stage; every worker on it is closed at the end."""
    weather = SandboxSettings(quotas=None, pull=False, processing_seconds=0)
    async with running_sandbox(settings=weather) as tiktok, AsyncExitStack() as stack:
        stage = Stage(database_url, tiktok, stack)
        calls = WatchedCalls()
        calls.signals = stage.signals
        tiktok.sandbox.calls = calls
        yield stage


def of(job: Job) -> dict[str, Any]:
    """Say that a fault is for this job's init."""
    return {"match": {"title": job.asset_id}}


def utc(timestamp: float) -> datetime:
    """Read the simulator's time."""
    return datetime.fromtimestamp(timestamp, UTC)
