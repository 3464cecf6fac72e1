"""A place of its own for each cell: a database, a TikTok account, jobs, workers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from app.api.app import build_app
from app.container import Container, open_container
from app.domain.accounts.account import Grant, NewAccount
from app.domain.errors import StoreUnavailable
from app.domain.jobs.job import Job, JobStatus, NewJob, Transfer
from app.domain.posts.post import MediaType, Post, PostMode, PrivacyLevel
from app.sandbox.people import NewAccount as NewPerson
from app.sandbox.people import add_account
from app.sandbox.posts import PostStatus
from app.sandbox.script import FaultRule
from app.settings import Settings
from app.use_cases import UseCases
from chaos.cells import Cell, Database
from chaos.disk import small_disk
from chaos.gate import Stop
from chaos.workers import Worker
from chaos.world import PATIENCE_SECONDS, Server, World

LEASE: Final = 4.0
PUSHED_BYTES: Final = 35_000
CHUNK_BYTES: Final = 10_000
COMPRESSED: Final[dict[str, Any]] = {
    "poll_interval_seconds": 0.1,
    "poll_deadline_seconds": 2.5,
    "claim_timeout_seconds": LEASE,
    "http_timeout_seconds": 2.0,
    "backoff_seconds": "0.1",
    "backoff_cap_seconds": 2,
    # Other tests cover the quota; here nothing may wait a minute.
    "tiktok_init_per_minute": 100_000,
    "tiktok_status_per_minute": 100_000,
    "tiktok_creator_info_per_minute": 100_000,
    "tiktok_client_key": "sandbox_key",
    "tiktok_client_secret": "sandbox_secret",
    "token_encryption_keys": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "allow_private_urls": True,
    "runner": "cron",
    "upload_whole_bytes": CHUNK_BYTES,
    "upload_chunk_bytes": CHUNK_BYTES,
}
"""In earnest a poll takes 5 s, its deadline 90 s, a lease 300 s."""

_LOOK_SECONDS: Final = 0.2
_OVER: Final = frozenset({JobStatus.POSTED, JobStatus.FAILED})


@dataclass(slots=True)
class Place:
    """Where one cell is run."""

    world: World
    cell: Cell
    name: str  # of the place, the project and the TikTok account
    server: Server
    container: Container
    settings: dict[str, Any]
    directory: Path
    mutant: str | None = None
    jobs: list[Job] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)

    async def worker(
        self,
        *stops: Stop,
        clock: float = 0.0,
        **order: Any,  # noqa: ANN401 - as in JSON
    ) -> Worker:
        """Start a worker that halts at the stops."""
        worker = await self.world.starter.start(
            self.settings,
            *stops,
            log=self.log,
            clock=clock,
            mutant=self.mutant,
            **order,
        )
        self.workers.append(worker)
        return worker

    async def over(self, *, patience: float | None = None) -> bool:
        """Wait until every job has ended; False if it takes too long."""
        deadline = time.monotonic() + (patience or self.world.patience)
        while time.monotonic() < deadline:
            with suppress(StoreUnavailable):  # it is cut off like the workers
                jobs = [await self.container.jobs.get(job.id) for job in self.jobs]
                if all(job.status in _OVER for job in jobs):
                    return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def called(self, call: str) -> None:
        """Wait until TikTok was called."""
        calls = self.world.tiktok.sandbox.calls
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not any(calls.find(call=call, open_id=self.name)):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS / 10)

    async def settled(self) -> None:
        """Wait until TikTok has finished what it took."""
        await asyncio.sleep(0.2 + self.cell.row.settles_after)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while any(map(_lives, self.posts)):  # noqa: ASYNC110 - the simulator
                await asyncio.sleep(_LOOK_SECONDS / 4)

    @property
    def lease(self) -> float:
        """Return how many seconds a claim of its workers lasts."""
        return float(self.settings["claim_timeout_seconds"])

    @property
    def posts(self) -> list[Any]:
        """Return the posts that TikTok took of this place, from whichever account."""
        posts = self.world.tiktok.sandbox.posts
        return [*posts.of(self.name), *posts.of(self.other)]

    @property
    def other(self) -> str:
        """Return another person, who may be connected instead and has no job here."""
        return f"{self.name}-other"

    def calls_of_the_other(self) -> list[str]:
        """Return the calls made with the other person's token: there must be none."""
        calls = self.world.tiktok.sandbox.calls
        return [str(record.call) for record in calls.find(open_id=self.other)]

    @property
    def log(self) -> Path:
        """Return where its workers write."""
        return self.world.directory / f"{self.name}.log"

    async def ask(self) -> None:
        """Connect the account and ask for the jobs."""
        row, sandbox = self.cell.row, self.world.tiktok.sandbox
        await self.connect(self.name)
        for fault in row.faults:
            rule = {**fault, "match": {"openId": self.name}}
            sandbox.script.add(FaultRule.model_validate(rule))
        for number in range(row.jobs):
            new = self._new_job(f"{self.name}-{number}")
            job, _ = await self.container.jobs.add(new, now=datetime.now(UTC))
            self.jobs.append(job)

    async def connect(self, person: str) -> None:
        """Let a person consent to the place's project."""
        now = datetime.now(UTC)
        pair = add_account(self.world.tiktok.sandbox, NewPerson(open_id=person))
        account = new_account(self.name, pair, now, open_id=person)
        await self.container.accounts.put(account, now=now)

    def _new_job(self, asset_id: str) -> NewJob:
        mode = PostMode.INBOX if self.cell.row.inbox else PostMode.DIRECT
        privacy = None if self.cell.row.inbox else PrivacyLevel.SELF_ONLY
        return NewJob(
            project_id=self.name,
            platform="tiktok",
            asset_id=asset_id,
            **self._media(),
            transfer=Transfer.PUSH if self.cell.row.push else Transfer.PULL,
            post=Post(
                mode=mode,
                privacy_level=privacy,
                title="" if self.cell.row.inbox else asset_id,
                media_type=MediaType.PHOTO if self.cell.row.photos else MediaType.VIDEO,
            ),
            scheduled_for=None,
            max_attempts=self.cell.row.max_attempts,
        )

    def _media(self) -> dict[str, Any]:
        row, base = self.cell.row, f"{self.world.tiktok.url}/_sandbox"
        if row.photos:
            urls = tuple(f"{base}/photo.jpg?n={each}" for each in range(row.photos))
            return {"asset_url": "", "asset_urls": urls}
        size = f"bytes={PUSHED_BYTES}&" if row.push else ""
        # Each name is another file, whose requests are counted for itself.
        return {"asset_url": f"{base}/video.mp4?{size}n={self.name}&{row.query}"}


@asynccontextmanager
async def new_place(
    world: World, cell: Cell, name: str, *, mutant: str | None = None
) -> AsyncIterator[Place]:
    """Make a place with its jobs in it; its workers end with it."""
    directory = world.directory / name
    directory.mkdir()
    server = world.fragile if cell.row.breaks_server else world.server
    async with AsyncExitStack() as stack:
        if cell.row.breaks_disk:
            stack.enter_context(small_disk(directory))
        settings = _settings(world, name, cell)
        settings["database_url"] = await _database(world, cell, server, directory)
        container = await stack.enter_async_context(
            open_container(Settings(**settings, _env_file=None))
        )
        place = Place(world, cell, name, server, container, settings, directory, mutant)
        if cell.gateway:
            world.door.apps[name] = gateway_of(container)
            stack.callback(world.door.apps.pop, name)
        await place.ask()
        try:
            yield place
        finally:
            for worker in place.workers:
                await worker.kill()


def _settings(world: World, name: str, cell: Cell) -> dict[str, Any]:
    settings = {
        **COMPRESSED,
        "spool_dir": str(world.directory / name),
        "tiktok_api_base_url": world.tiktok.url,
        **cell.row.settings,
    }
    if cell.gateway:
        settings["media_base_url"] = f"{world.door.url}/{name}"
    return settings


async def _database(world: World, cell: Cell, server: Server, directory: Path) -> str:
    if cell.database is Database.SQLITE:
        return world.sqlite.create(directory)
    return await server.create()


def gateway_of(container: Container) -> Any:  # noqa: ANN401 - an ASGI application
    """Serve the media gateway of a service that runs in this process."""

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        yield

    app = build_app(lifespan=lifespan, cors_origins=())
    app.state.services = UseCases(container)
    return app


def new_account(
    name: str, pair: dict[str, object], now: datetime, *, open_id: str | None = None
) -> NewAccount:
    """Make the account of a person who consented."""
    grant = Grant(
        access_token=str(pair["accessToken"]),
        refresh_token=str(pair["refreshToken"]),
        access_token_expires_at=now + timedelta(hours=2),
        refresh_token_expires_at=now + timedelta(days=180),
        scopes=("user.info.basic", "video.publish", "video.upload"),
    )
    return NewAccount(
        project_id=name, platform="tiktok", open_id=open_id or name, grant=grant
    )


def _lives(post: Any) -> bool:  # noqa: ANN401 - the simulator's Post
    stuck = post.processing is not None and post.processing.stuck
    return post.status is PostStatus.PROCESSING_DOWNLOAD and not stuck
