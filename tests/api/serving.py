"""The app as it is served, without a socket: real settings, real database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx
from fastapi import FastAPI

from app.main import create_app
from app.settings import RunnerMode, Settings
from app.store.db.engine import Database
from app.use_cases import UseCases
from tests.support.factories import NOW

CRON_SECRET: Final = "s3cret-of-the-cron-trigger"
ENCRYPTION_KEY: Final = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


class StandingClock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self._now = NOW

    def now(self) -> Any:  # noqa: ANN401  datetime
        """Return where the hands stand."""
        return self._now

    def forward(self, **by: float) -> None:
        """Move the hands."""
        self._now += timedelta(**by)

    async def sleep(self, seconds: float) -> None:
        """Let nobody sleep here: no test waits for time to pass."""
        raise AssertionError(f"slept for {seconds} s")


@dataclass(frozen=True, slots=True)
class Api:
    """A running app, and ways to call it."""

    app: FastAPI
    database: Database
    clock: StandingClock
    client: httpx.AsyncClient  # with a key for every project

    @property
    def services(self) -> UseCases:
        """Return what the routes work with."""
        services: UseCases = self.app.state.services
        return services

    async def caller(self, project_id: str | None) -> httpx.AsyncClient:
        """Return a client with a key of its own."""
        _, secret = await self.services.keys.create("test", project_id)
        return client_of(self.app, secret)

    def stranger(self, **headers: str) -> httpx.AsyncClient:
        """Return a client without a key."""
        return client_of(self.app, None, **headers)

    async def post_job(self, **changes: object) -> httpx.Response:
        """Ask for a job."""
        return await self.client.post("/v1/jobs", json=job_body(**changes))

    async def job(self, **changes: object) -> dict[str, Any]:
        """Make a job and return it as its caller got it."""
        response = await self.post_job(**changes)
        assert response.status_code == 201, response.text
        job: dict[str, Any] = response.json()
        return job


@asynccontextmanager
async def serving(database_url: str, **settings: object) -> AsyncIterator[Api]:
    """Start the app on a database; nothing runs jobs but ``/cron/tick``."""
    clock = StandingClock()
    app = create_app(settings_of(database_url, **settings), clock=clock)
    async with app.router.lifespan_context(app):
        database = Database(database_url)
        _, secret = await app.state.services.keys.create("test", None)
        try:
            async with client_of(app, secret) as client:
                yield Api(app, database, clock, client)
        finally:
            await database.close()


def settings_of(database_url: str, **changes: object) -> Settings:
    """Make settings that no environment and no file can touch."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "runner": RunnerMode.CRON,
        "cron_secret": CRON_SECRET,
        "token_encryption_keys": ENCRYPTION_KEY,
        # Nobody listens there: a test that calls TikTok fails instead of reaching it.
        "tiktok_api_base_url": "http://127.0.0.1:9",
        "_env_file": None,
    }
    return Settings(**values | changes)


def client_of(app: FastAPI, secret: str | None, **headers: str) -> httpx.AsyncClient:
    """Make a client that calls the app in this process."""
    if secret is not None:
        headers["Authorization"] = f"Bearer {secret}"
    # An exception that gets out of the app has to fail the test.
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    return httpx.AsyncClient(
        transport=transport, base_url="http://scheduler", headers=headers
    )


def job_body(**changes: object) -> dict[str, Any]:
    """Write the body of a request for a job; None values stay, ``...`` drops one."""
    body: dict[str, Any] = {
        "projectId": "proj_1",
        "platform": "tiktok",
        "assetId": "asset_9",
        "assetUrl": "https://cdn.example.com/v.mp4",
        "scheduledFor": "2026-04-09T12:00:00.000Z",
        "post": {"mode": "direct", "title": "Spring", "privacyLevel": "SELF_ONLY"},
        "maxAttempts": 5,
    }
    merged = body | changes
    return {key: value for key, value in merged.items() if value is not ...}
