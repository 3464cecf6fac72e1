"""A place for one version of the service, which is driven from outside alone."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx

from app.sandbox.people import NewAccount, add_account
from app.sandbox.script import FaultRule
from app.sandbox.server import RunningSandbox, running_sandbox
from app.sandbox.settings import SandboxSettings
from tests.support.patience import PATIENCE_SECONDS
from tests.support.postgres import PostgresServer
from tests.system.programs import Program, Programs, free_port

LEAD: Final = timedelta(seconds=8)
"""Until the first job falls due: on a busy machine a worker takes long to start."""

PROJECT: Final = "proj_1"
ENV: Final = {
    "POLL_INTERVAL_SECONDS": "0.2",
    "BACKOFF_SECONDS": "1",
    "CLAIM_TIMEOUT_SECONDS": "20",
    "POLL_DEADLINE_SECONDS": "10",
    "HTTP_TIMEOUT_SECONDS": "10",
    "TIKTOK_INIT_PER_MINUTE": "100000",
    "TIKTOK_STATUS_PER_MINUTE": "100000",
    "TIKTOK_CREATOR_INFO_PER_MINUTE": "100000",
    "TIKTOK_CLIENT_KEY": "sandbox_key",
    "TIKTOK_CLIENT_SECRET": "sandbox_secret",
    "TOKEN_ENCRYPTION_KEYS": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "ALLOW_PRIVATE_URLS": "true",
}


@dataclass(slots=True)
class Site:
    """One version's programs, a database of its own, and the simulator."""

    programs: Programs
    tiktok: RunningSandbox
    server: PostgresServer
    faketime: str | None
    client: httpx.AsyncClient
    jobs: list[str] = field(default_factory=list)
    url: str = ""
    key: str = ""
    token: str = ""  # of the account, at TikTok
    api: Program | None = None

    async def up(self, **env: str) -> None:
        """Make the tables, start the API without a runner, and connect the account."""
        await self.programs.run("migrate")
        self.key = (await self.programs.run("keys", "create")).out.split()[-1]
        await self.serve(**env)
        pair = add_account(self.tiktok.sandbox, NewAccount(open_id=PROJECT))
        self.token = str(pair["accessToken"])
        await self.call(
            "PUT",
            f"/v1/projects/{PROJECT}/accounts/tiktok",
            openId=PROJECT,
            accessToken=pair["accessToken"],
            refreshToken=pair["refreshToken"],
            expiresIn=7200,
            refreshExpiresIn=10**8,
            scope="user.info.basic,video.publish,video.upload",
        )

    async def serve(self, **env: str) -> None:
        """Start the API."""
        port = free_port()
        arguments = "serve", "--port", str(port)
        self.api = await self.programs.start(*arguments, **{"RUNNER": "cron", **env})
        await self.api.says("Uvicorn running")
        self.url = f"http://127.0.0.1:{port}"

    async def down(self) -> None:
        """Stop the API."""
        if self.api is not None:
            await self.api.stop()

    async def answers(self, url: str) -> None:
        """Wait until a server answers."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                await self.client.get(url)
                return
            await asyncio.sleep(0.2)

    async def call(self, method: str, path: str, **body: object) -> Any:  # noqa: ANN401
        """Call the API; raises httpx.HTTPStatusError."""
        return (await self.send(method, path, body)).raise_for_status().json()

    async def send(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> httpx.Response:
        """Call the API, and return whatever it answers."""
        head = {"Authorization": f"Bearer {self.key}"}
        return await self.client.request(
            method, f"{self.url}{path}", json=body or None, headers=head
        )

    def job(self, name: str) -> dict[str, object]:
        """Return what asks for a post at once."""
        return {
            "projectId": PROJECT,
            "assetId": name,
            "assetUrl": f"{self.tiktok.url}/_sandbox/video.mp4?n={name}",
            "post": {"mode": "direct", "privacyLevel": "SELF_ONLY", "title": name},
        }

    async def ask(self, *due: datetime) -> None:
        """Ask for a post at each of these times."""
        for at in due:
            asked = self.job(f"job-{len(self.jobs)}")
            job = await self.call(
                "POST", "/v1/jobs", scheduledFor=at.isoformat(), **asked
            )
            self.jobs.append(job["id"])

    async def find_jobs(self) -> None:
        """Learn of every job that is stored."""
        found = await self.call("GET", f"/v1/jobs?projectId={PROJECT}")
        self.jobs = [job["id"] for job in found["items"]]

    async def worker(self, *, ahead: timedelta | None = None, **env: str) -> Program:
        """Start a worker whose clock may be wrong."""
        if ahead is not None:
            shift = f"{ahead.total_seconds():+.0f}"
            preload = {"LD_PRELOAD": str(self.faketime), "FAKETIME": shift}
            env |= preload | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        worker = await self.programs.start("worker", **env)
        await worker.says("worker started")
        return worker

    async def over(self, seconds: float = PATIENCE_SECONDS) -> list[dict[str, Any]]:
        """Wait until every job has ended, or so long; return them as they are."""
        deadline = time.monotonic() + seconds
        found: list[dict[str, Any]] = []
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                found = [await self.call("GET", f"/v1/jobs/{id_}") for id_ in self.jobs]
                if all(job["status"] in {"posted", "failed"} for job in found):
                    break
            await asyncio.sleep(0.3)
        return found

    def posts(self) -> Counter[str | None]:
        """Count TikTok's posts by title."""
        return Counter(post.title for post in self.tiktok.sandbox.posts)

    def twice(self) -> str:
        """Say how many jobs were posted more than once."""
        count = sum(posts > 1 for posts in self.posts().values())
        return f"{count} of {len(self.jobs)} twice"

    async def unconfirmed(self) -> str:
        """Say how many jobs ended in doubt although their post is out."""
        ended = await self.over()
        doubts = sum(job.get("failureReason") == "unconfirmed" for job in ended)
        return f"{doubts} of {len(self.jobs)} unconfirmed, {self.twice()}"

    def fault(self, call: str, **fault: object) -> None:
        """Let TikTok misbehave."""
        rule = {"call": call, "fault": fault, "times": None}
        self.tiktok.sandbox.script.add(FaultRule.model_validate(rule))

    async def taken(self, count: int) -> None:
        """Wait until TikTok took so many inits."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(list(self.tiktok.sandbox.posts)) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


def soon(count: int, *, over: float = 0.0) -> list[datetime]:
    """Return times that are soon, spread over some seconds."""
    first = datetime.now(UTC) + LEAD
    return [first + timedelta(seconds=over * each / count) for each in range(count)]


async def until(moment: datetime) -> None:
    """Wait for a moment."""
    await asyncio.sleep((moment - datetime.now(UTC)).total_seconds())


@asynccontextmanager
async def new_site(script: Path, faketime: str | None) -> AsyncIterator[Site]:
    """Put up a version's place, and take it down."""
    weather = SandboxSettings(processing_seconds=2, quotas=None)
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(TemporaryDirectory(prefix="figures-"))
        server = stack.enter_context(PostgresServer())
        tiktok = await stack.enter_async_context(running_sandbox(settings=weather))
        env = {
            **ENV,
            "DATABASE_URL": server.url,
            "TIKTOK_API_BASE_URL": tiktok.url,
            "SPOOL_DIR": directory,
        }
        programs = Programs(Path(directory), env, script=script)
        stack.push_async_callback(programs.close)
        client = await stack.enter_async_context(
            httpx.AsyncClient(timeout=PATIENCE_SECONDS)
        )
        yield Site(programs, tiktok, server, faketime, client)
