"""Store endpoints and events as the service does."""

from datetime import datetime
from typing import Any

from sqlalchemy import insert, select

from app.domain.events import EventType
from app.domain.webhook_endpoint import EndpointStatus
from app.store.db.engine import Database
from app.store.jobs.tables import schedule_jobs
from app.store.webhooks.endpoints import WebhookStore
from app.store.webhooks.outbox import job_events, tell
from app.store.webhooks.tables import webhook_events
from tests.support.accounts import VAULT
from tests.support.factories import job_row
from tests.support.receiver import SECRET


async def listen(
    database: Database,
    url: str,
    *,
    now: datetime,
    project_id: str = "proj_1",
    secret: str = SECRET,
) -> None:
    """Give a project an endpoint, or another one."""
    store = WebhookStore(database, VAULT)
    await store.put(project_id, url=url, secret=secret, fresh=SECRET, now=now)


async def happen(
    database: Database,
    *kinds: EventType,
    now: datetime,
    project_id: str = "proj_1",
    job_id: str | None = None,
) -> str:
    """Let something happen to a job, a new one if none is named; return its id."""
    async with database.write() as connection:
        if job_id is None:
            row = job_row(project_id=project_id)
            await connection.execute(insert(schedule_jobs).values(row))
            job_id = str(row["id"])
        job = select(schedule_jobs).where(schedule_jobs.c.id == job_id)
        found = (await connection.execute(job)).mappings().one()
        shown = {**found, "listener": EndpointStatus.ACTIVE}
        events = job_events(kinds or (EventType.JOB_POSTED,), shown)
        await tell(connection, events, now=now)
    return job_id


async def told(database: Database) -> list[dict[str, Any]]:
    """Return every event in the order in which it was written."""
    statement = select(webhook_events).order_by(webhook_events.c.position)
    async with database.read() as connection:
        return [dict(row) for row in (await connection.execute(statement)).mappings()]
