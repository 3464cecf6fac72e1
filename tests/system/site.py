"""A place of its own for each test: a database, the simulator on a socket, programs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import make_url, text

from app.container import Container, open_container
from app.domain.accounts.account import Grant, NewAccount
from app.domain.jobs.job import Job, JobStatus, NewJob
from app.domain.posts.post import Post, PrivacyLevel
from app.sandbox.people import NewAccount as NewPerson
from app.sandbox.people import add_account
from app.sandbox.recording import Call, Record
from app.sandbox.script import FaultRule
from app.sandbox.server import RunningSandbox, running_sandbox
from app.sandbox.settings import SandboxSettings
from app.service.keys import KeyService
from app.settings import Settings
from app.store.tables import metadata
from tests.support.patience import PATIENCE_SECONDS
from tests.support.receiver import SECRET as WEBHOOK_SECRET
from tests.system.programs import Program, Programs, free_port, until

CRON_SECRET: Final = "s3cret-of-the-cron-trigger"
ENCRYPTION_KEY: Final = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
CLIENT_SECRET: Final = "sandbox_secret"

COMPRESSED: Final = {
    "POLL_INTERVAL_SECONDS": "0.2",
    "BACKOFF_SECONDS": "0.2",
    # Longer than a test waits: on a slow machine nothing is given up or taken over.
    "POLL_DEADLINE_SECONDS": "1000",
    "CLAIM_TIMEOUT_SECONDS": "2000",
    "HTTP_TIMEOUT_SECONDS": "1000",
    "WEBHOOK_TIMEOUT_SECONDS": "1000",
    "TICK_BUDGET_SECONDS": "1000",
    # A slow machine may poll long: TikTok's quota is another test's matter.
    "TIKTOK_STATUS_PER_MINUTE": "10000",
}


@dataclass(frozen=True, slots=True)
class Site:
    """What a test of whole programs works with."""

    tiktok: RunningSandbox
    container: Container  # the same database, seen from the test
    programs: Programs
    secrets: list[str] = field(default_factory=list)  # besides those it makes itself

    async def serve(self, **env: str) -> tuple[Program, str]:
        """Start the API; return it and its URL once it answers."""
        port = free_port()
        server = await self.programs.start("serve", "--port", str(port), **env)
        await server.says("Uvicorn running")
        return server, f"http://127.0.0.1:{port}"

    async def post(
        self,
        project: str = "proj_1",
        *,
        scheduled_for: datetime | None = None,
        max_attempts: int = 5,
    ) -> Job:
        """Connect an account and ask for a post, which means Post Now without a time.

        Nobody is told of it: a runner finds it in the table.
        """
        await self.connect(project)
        job, _ = await self.container.jobs.add(
            NewJob(
                project_id=project,
                platform="tiktok",
                asset_id="asset_1",
                asset_url=f"{self.tiktok.url}/_sandbox/video.mp4",
                post=Post(privacy_level=PrivacyLevel.SELF_ONLY, title="Hello"),
                scheduled_for=scheduled_for,
                max_attempts=max_attempts,
            ),
            now=datetime.now(UTC),
        )
        return job

    async def connect(
        self, project: str, *, lives: timedelta = timedelta(hours=2)
    ) -> None:
        """Connect a project to an account of its own; its token lives so long."""
        pair = add_account(self.tiktok.sandbox, NewPerson(open_id=project))
        now = datetime.now(UTC)
        grant = Grant(
            access_token=str(pair["accessToken"]),
            refresh_token=str(pair["refreshToken"]),
            access_token_expires_at=now + lives,
            refresh_token_expires_at=now + timedelta(days=180),
            scopes=("user.info.basic", "video.publish", "video.upload"),
        )
        account = NewAccount(
            project_id=project, platform="tiktok", open_id=project, grant=grant
        )
        await self.container.accounts.put(account, now=now)

    async def ended(self, job: Job) -> Job:
        """Wait until a job is over, and return it."""
        found = job

        async def over() -> bool:
            nonlocal found
            found = await self.container.jobs.get(job.id)
            return found.status in {JobStatus.POSTED, JobStatus.FAILED}

        await until(over, what="the job's end")
        return found

    def script(self, call: str, **rule: Any) -> None:  # noqa: ANN401 - as in JSON
        """Write a fault into TikTok's script."""
        self.tiktok.sandbox.script.add(FaultRule.model_validate({"call": call, **rule}))

    def calls(self, call: Call) -> list[Record]:
        """Return the calls of one endpoint that came in."""
        return list(self.tiktok.sandbox.calls.find(call=call))

    async def called(self, call: Call, *, times: int = 1) -> None:
        """Wait until TikTok was called so often."""
        await until(lambda: len(self.calls(call)) >= times, what=f"{call} x{times}")

    @property
    def published(self) -> int:
        """Return how many posts everybody can see, or their owner at least."""
        return sum(post.published_at is not None for post in self.tiktok.sandbox.posts)

    async def leaks(self) -> list[str]:
        """Name the places where a secret lies open."""
        secrets = [secret.encode() for secret in self.all_secrets()]
        places = {
            path.name: path.read_bytes()
            for path in self.programs.directory.iterdir()
            if path.is_file() and path.suffix != ".key"
        }
        places |= await self._tables()
        return [
            f"{place}: {secret.decode()[:9]}…"
            for place, content in places.items()
            for secret in secrets
            if secret in content
        ]

    def all_secrets(self) -> list[str]:
        """Return what must lie open nowhere."""
        accounts = self.tiktok.sandbox.accounts
        tokens = [*accounts.by_access, *accounts.by_refresh]  # dead ones, too
        webhooks = WEBHOOK_SECRET.removeprefix("whsec_")
        fixed = (CRON_SECRET, ENCRYPTION_KEY, CLIENT_SECRET, webhooks)
        return [*fixed, *tokens, *self.secrets]

    async def _tables(self) -> dict[str, bytes]:
        if self.container.database.is_sqlite:
            return {}  # its file lies among the others
        found = {}
        async with self.container.database.read() as connection:
            for table in metadata.tables:
                rows = await connection.execute(text(f"SELECT t::text FROM {table} t"))
                found[table] = "\n".join(rows.scalars()).encode()
        return found


async def key_of(site: Site) -> str:
    """Make a key for every project that nobody printed anywhere."""
    keys = KeyService(store=site.container.keys, clock=site.container.clock)
    _, key = await keys.create("test", None)
    site.secrets.append(key)
    return key


@asynccontextmanager
async def new_site(database_url: str, directory: Path) -> AsyncIterator[Site]:
    """Open a site; at its end no secret may lie open anywhere."""
    weather = SandboxSettings(
        processing_seconds=0.3, quotas=None, pull_timeout_seconds=PATIENCE_SECONDS
    )
    async with running_sandbox(settings=weather) as tiktok:
        env = {**COMPRESSED, **_addresses(database_url, tiktok)}
        values: dict[str, Any] = {name.lower(): value for name, value in env.items()}
        settings = Settings(**values, _env_file=None)
        programs = Programs(directory, env)
        async with open_container(settings) as container:
            site = Site(tiktok, container, programs)
            try:
                yield site
            finally:
                await programs.close()
            assert await site.leaks() == []


def _addresses(database_url: str, tiktok: RunningSandbox) -> dict[str, str]:
    url = make_url(database_url)
    return {
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "TIKTOK_API_BASE_URL": tiktok.url,
        "TIKTOK_CLIENT_KEY": "sandbox_key",
        "TIKTOK_CLIENT_SECRET": CLIENT_SECRET,
        "TOKEN_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "CRON_SECRET": CRON_SECRET,
        "ALLOW_PRIVATE_URLS": "true",
    }
