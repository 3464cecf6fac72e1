"""Accounts and jobs to measure with: the first by the stores, the rest like it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Table, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from app.container import Container, open_container
from app.domain.accounts.account import Grant, NewAccount
from app.domain.jobs.job import JobStatus, NewJob
from app.domain.posts.post import Post, PrivacyLevel
from app.logs import configure_logging
from app.opening import open_vault
from app.settings import load
from app.store.accounts.rows import AccountRows
from app.store.accounts.tables import accounts
from app.store.jobs.tables import schedule_jobs
from bench.servers import KEY, InstantTikTok


@asynccontextmanager
async def bench_container(
    database_url: str, tiktok: InstantTikTok | None = None, **settings: object
) -> AsyncIterator[Container]:
    """Put the service together in this process, on a database that is migrated."""
    configure_logging("console", "warning")
    chosen: dict[str, object] = {
        "_env_file": None,
        "database_url": database_url,
        "tiktok_client_key": "bench",
        "tiktok_client_secret": "bench",
        "token_encryption_keys": KEY,
        "allow_private_urls": True,
    }
    if tiktok is not None:
        chosen["tiktok_api_base_url"] = tiktok.url
    async with open_container(load(**{**chosen, **settings})) as made:
        yield made


async def add_accounts(container: Container, count: int) -> None:
    """Connect the projects proj_0, proj_1, … to a TikTok user each."""
    now = container.clock.now()
    rows = AccountRows(open_vault(container.settings))
    await container.accounts.put(account(0, now), now=now)
    async with container.database.write() as connection:
        first = (await connection.execute(select(accounts))).mappings().one()
        others = []
        for number in range(1, count):
            new = account(number, now)
            tokens = rows.grant(new.project_id, new.platform, new.grant)
            named = {"project_id": new.project_id, "open_id": new.open_id}
            others.append({**first, **named, **tokens})
        await _insert(connection, accounts, others)


async def add_jobs(
    container: Container, count: int, *, due: datetime, projects: int | None = None
) -> None:
    """Add posts that fall due at the same time, one or more for each project."""
    now = container.clock.now()
    # Not due before it is copied: a worker that runs would have claimed it by then.
    later = max(due, now) + timedelta(days=1)
    job, _ = await container.jobs.add(post(0, asset=0, due=later), now=now)
    is_first = schedule_jobs.c.id == job.id
    at = {"scheduled_for": due, "next_attempt_at": due, "readiness_at": None}
    at["readiness"] = None  # most projects have an account, and nothing to be told
    async with container.database.write() as connection:
        await connection.execute(update(schedule_jobs).where(is_first).values(at))
        one = select(schedule_jobs).where(is_first)
        first = (await connection.execute(one)).mappings().one()
        others = [
            {
                **first,
                "id": str(uuid7()),
                "project_id": f"proj_{number % (projects or count)}",
                "open_id": f"user_{number % (projects or count)}",
                "asset_id": f"asset_{number}",
                "idempotency_key": uuid4().hex,
            }
            for number in range(1, count)
        ]
        await _insert(connection, schedule_jobs, others)


async def count_jobs(container: Container, status: JobStatus) -> int:
    """Count the jobs in a state."""
    statement = select(func.count()).where(schedule_jobs.c.status == status)
    async with container.database.read() as connection:
        return (await connection.execute(statement)).scalar_one()


def account(number: int, now: datetime) -> NewAccount:
    """Make up the account of the project ``proj_<number>``."""
    later = now + timedelta(days=100)
    return NewAccount(
        project_id=f"proj_{number}",
        platform="tiktok",
        open_id=f"user_{number}",
        grant=Grant(
            access_token=f"act.{number}",
            refresh_token=f"rft.{number}",
            access_token_expires_at=later,
            refresh_token_expires_at=later,
            scopes=("video.publish", "video.upload"),
        ),
    )


def post(project: int, *, asset: int, due: datetime | None) -> NewJob:
    """Make up a post."""
    return NewJob(
        project_id=f"proj_{project}",
        platform="tiktok",
        asset_id=f"asset_{asset}",
        asset_url="http://127.0.0.1/video.mp4",
        post=Post(privacy_level=PrivacyLevel.SELF_ONLY, title="A post of no words"),
        scheduled_for=due,
        max_attempts=5,
    )


async def _insert(
    connection: AsyncConnection, table: Table, rows: list[dict[str, Any]]
) -> None:
    if rows:
        await connection.execute(insert(table), rows)
        # As autovacuum would within a minute: no plan is made for an empty table.
        await connection.execute(text("ANALYZE"))
