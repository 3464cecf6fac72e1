"""The figures of the reports, once more: what former code did, and what this one does.

    python -m chaos.figures BEFORE [AFTER] [--only WORDS] [--faketime LIBRARY]

BEFORE and AFTER are console scripts. The programs are driven from outside alone: by the
environment, signals, HTTP and SQL; so any version will do.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import httpx
import typer

from app.sandbox.people import NewAccount, add_account
from app.sandbox.script import FaultRule
from app.sandbox.server import RunningSandbox, running_sandbox
from app.sandbox.settings import SandboxSettings
from chaos import report
from tests.support.failing_over import Pair
from tests.support.postgres import PostgresServer
from tests.support.sql import execute
from tests.system.programs import SCRIPT, Program, Programs, free_port

PATIENCE_SECONDS: Final = 120.0
LEAD: Final = timedelta(seconds=8)
"""Until the first job falls due: on a busy machine a worker takes long to start."""

WATCHERS: Final = 1000
STREAMS_OF_A_KEY: Final = 100  # as many as this version accepts
SETTLING: Final = timedelta(seconds=50)
"""How long it may take until all watch."""

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

    async def up(self, **env: str) -> None:
        """Make the tables, start the API without a runner, and connect the account."""
        await self.programs.run("migrate")
        self.key = (await self.programs.run("keys", "create")).out.split()[-1]
        port = free_port()
        server = await self.programs.start(
            "serve", "--port", str(port), **{"RUNNER": "cron", **env}
        )
        await server.says("Uvicorn running")
        self.url = f"http://127.0.0.1:{port}"
        pair = add_account(self.tiktok.sandbox, NewAccount(open_id=PROJECT))
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

    async def call(self, method: str, path: str, **body: object) -> Any:  # noqa: ANN401
        """Call the API; raises httpx.HTTPStatusError."""
        head = {"Authorization": f"Bearer {self.key}"}
        answer = await self.client.request(
            method, f"{self.url}{path}", json=body or None, headers=head
        )
        return answer.raise_for_status().json()

    async def ask(self, *due: datetime) -> None:
        """Ask for a post at each of these times."""
        for at in due:
            name = f"job-{len(self.jobs)}"
            job = await self.call(
                "POST",
                "/v1/jobs",
                projectId=PROJECT,
                assetId=name,
                assetUrl=f"{self.tiktok.url}/_sandbox/video.mp4?n={name}",
                scheduledFor=at.isoformat(),
                post={"mode": "direct", "privacyLevel": "SELF_ONLY", "title": name},
            )
            self.jobs.append(job["id"])

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


async def commits_without_disk(site: Site) -> str:
    """Lose the newest commits with the server: its default does not wait for them."""
    await execute(
        site.server.url,
        "ALTER SYSTEM SET wal_writer_delay = '5s'",  # no luck by a flush in time
        "SELECT pg_reload_conf()",
        "ALTER ROLE postgres SET synchronous_commit = off",
    )
    await site.up()
    times = soon(60)
    await site.ask(*times)
    worker = await site.worker()
    await site.taken(20)
    await worker.kill()
    await asyncio.to_thread(site.server.stop_immediate)
    await asyncio.to_thread(site.server.start)
    await site.worker()
    return await site.unconfirmed()


async def switch_over(site: Site) -> str:
    """Let the standby of two hosts in one URL take over while 20 posts are polled."""
    standby = PostgresServer(source=site.server)
    await asyncio.to_thread(standby.start)
    try:
        ports = site.server.port, standby.port
        hosts = "&".join(f"host=127.0.0.1:{port}" for port in ports)
        url = f"postgresql+asyncpg://postgres@/postgres?{hosts}"
        site.programs.env["DATABASE_URL"] = f"{url}&target_session_attrs=read-write"
        await site.up()
        await site.ask(*soon(20))
        await site.worker()
        await site.taken(10)
        await asyncio.to_thread(site.server.stop)
        await asyncio.sleep(3)
        await Pair(site.server, standby).promote()
        return await site.unconfirmed()
    finally:
        await asyncio.to_thread(standby.close)


def clock_ahead(ahead: timedelta, *due: timedelta) -> "Scenario":
    """Let a worker run whose clock is ahead."""

    async def scenario(site: Site) -> str:
        if site.faketime is None:
            return "not run: no libfaketime"
        await site.up()
        await site.ask(*(datetime.now(UTC) + each for each in due))
        await site.worker(ahead=ahead)
        await asyncio.sleep(10)
        return f"{len(site.posts())} of {len(due)} early"

    return scenario


async def closed_terminal(site: Site) -> str:
    """Send SIGHUP while three inits are on their way."""
    site.fault("init", kind="drip", seconds_per_byte=0.01)
    await site.up()
    await site.ask(*soon(3))
    worker = await site.worker()
    await site.taken(3)
    worker.process.send_signal(signal.SIGHUP)
    await worker.ended()
    await site.worker()
    return await site.unconfirmed()


async def unreadable_row(site: Site) -> str:
    """Let one due row hold a value that this version does not know."""
    await site.up()
    times = soon(6)
    await site.ask(*times)
    await execute(
        site.server.url,
        "UPDATE schedule_jobs SET post = replace(post::text, 'SELF_ONLY', 'NEWER')"
        "::jsonb WHERE asset_id = 'job-0'",
    )
    await site.worker()
    await until(times[0] + timedelta(seconds=15))
    try:
        await site.call("GET", f"/v1/jobs?projectId={PROJECT}")
        listed = 200
    except httpx.HTTPStatusError as error:
        listed = error.response.status_code
    return f"{len(site.posts())} of 5 others posted, the list answers {listed}"


async def refused_writes(site: Site) -> str:
    """Let the database refuse TikTok's id for 4.5 seconds after the init."""
    await site.up()
    await execute(
        site.server.url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE insufficient_privilege; END $$",
        "CREATE TRIGGER refuse BEFORE UPDATE ON schedule_jobs FOR EACH ROW WHEN"
        " (NEW.publish_id IS NOT NULL AND OLD.publish_id IS NULL)"
        " EXECUTE FUNCTION refuse()",
    )
    await site.ask(*soon(5))
    await site.worker()
    await site.taken(5)
    await asyncio.sleep(4.5)
    await execute(site.server.url, "DROP TRIGGER refuse ON schedule_jobs")
    return await site.unconfirmed()


async def stopped_without_database(site: Site) -> str:
    """Take the database away during five inits, then send SIGTERM."""
    site.fault("init", kind="drip", seconds_per_byte=0.01)
    await site.up()
    await site.ask(*soon(5))
    worker = await site.worker()
    await site.taken(5)
    await asyncio.to_thread(site.server.stop_immediate)
    await asyncio.sleep(1)
    await worker.stop()
    await asyncio.to_thread(site.server.start)
    await site.worker()
    return await site.unconfirmed()


async def watched(site: Site) -> str:
    """Let a thousand streams watch one project that posts 40 times."""
    await site.up(RUNNER="embedded", RATE_LIMIT_PER_MINUTE="0")
    port = int(site.url.rpartition(":")[2])
    keys = [site.key]
    while len(keys) < WATCHERS // STREAMS_OF_A_KEY:
        keys.append((await site.programs.run("keys", "create")).out.split()[-1])
    watching, times = 0, [each + SETTLING for each in soon(40)]
    await site.ask(*times)
    async with AsyncExitStack() as stack:
        for number in range(WATCHERS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            writer.write(
                f"GET /v1/jobs/stream?projectId={PROJECT} HTTP/1.1\r\nHost: chaos\r\n"
                f"Authorization: Bearer {keys[number % len(keys)]}\r\n\r\n".encode()
            )
            watching += b"200" in await reader.readline()
            listening = asyncio.create_task(_listen(reader))
            stack.callback(listening.cancel)
        await until(times[0] + timedelta(seconds=14))
        out = sum(post.published_at is not None for post in site.tiktok.sandbox.posts)
    return f"{out} of 40 out within 14 s, {watching} streams accepted"


async def _listen(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


Scenario = Callable[[Site], Awaitable[str]]
DAYS: Final = [timedelta(days=each) for each in (1, 3, 7, 30, 60, 120, 200)]
MINUTES: Final = [timedelta(minutes=5 + each / 5) for each in range(20)]
SCENARIOS: Final[Sequence[tuple[str, Scenario]]] = (
    ("`synchronous_commit = off`, worker and server killed", commits_without_disk),
    ("planned switch-over, several hosts", switch_over),
    ("a worker's clock a year ahead", clock_ahead(timedelta(days=365), *DAYS)),
    ("ten minutes ahead", clock_ahead(timedelta(minutes=10), *MINUTES)),
    ("one due row cannot be read", unreadable_row),
    ("the database refuses TikTok's id for 4.5 s", refused_writes),
    ("database away, then SIGTERM", stopped_without_database),
    ("SIGHUP during three inits", closed_terminal),
    ("1,000 streams watch one project", watched),
)


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


def main(
    before: Path,
    after: Path = SCRIPT,
    only: str = "",
    faketime: Annotated[str | None, typer.Option(help="Of libfaketime.so.1.")] = None,
    *,
    write: bool = True,
) -> None:
    """Live through each scenario with former code and with this one."""
    lines = ["| what happens | before | now |", "|---|---|---|"]
    for words, scenario in SCENARIOS:
        if only in words:
            found = [
                asyncio.run(_figure(scenario, script.absolute(), faketime))
                for script in (before, after)
            ]
            lines.append(f"| {words} | {' | '.join(found)} |")
            print(lines[-1], flush=True)
    if write and not only:
        report.write_part("figures", lines)


async def _figure(scenario: Scenario, script: Path, faketime: str | None) -> str:
    async with new_site(script, faketime) as site:
        try:
            return await scenario(site)
        except Exception as error:  # noqa: BLE001 - the others go on
            return f"broke: {error!r}"


if __name__ == "__main__":
    typer.run(main)
