"""Rows that are old, and how the tests prune them."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Table, func, insert, select

from app.domain.errors import NotFound
from app.domain.jobs.job import Job
from app.store.db.engine import Database
from app.store.jobs.requests.job_store import JobStore
from app.store.retention.pruning import FIRST_ID, Pruned, RetentionStore
from tests.support.factories import NOW, POSTED, job_row

DAY: Final = timedelta(days=1)
BEFORE: Final = NOW - 30 * DAY
LONG_AGO: Final = NOW - 31 * DAY
STEP: Final = timedelta(minutes=50)


def id_at(moment: datetime) -> str:
    """Make an id as it would have been made then."""
    milliseconds = int(moment.timestamp() * 1000)
    return str(UUID(int=milliseconds << 80 | uuid4().int >> 48))


def old(row: dict[str, Any]) -> dict[str, Any]:
    """Let a row be of a job that was made and last changed long ago."""
    times = dict.fromkeys(("created_at", "updated_at"), LONG_AGO)
    return {**row, "id": id_at(LONG_AGO), **times, "asset_id": str(uuid4())}


def over(**columns: object) -> dict[str, Any]:
    """Fill the row of a job that was posted long ago."""
    return old(job_row(POSTED, **{"scheduled_for": LONG_AGO} | columns))


async def prune(store: RetentionStore, *, limit: int = 100) -> list[int]:
    """Delete all that is old, and return how many jobs each batch had."""
    await store.begin(Pruned.RECORDS, before=BEFORE, step=STEP)
    counts, last_id = [], FIRST_ID
    while True:
        batch = await store.prune_jobs(before=BEFORE, after_id=last_id, limit=limit)
        counts.append(batch.count)
        last_id = batch.last_id
        if batch.count < limit:
            return counts


async def is_there(database: Database, job: Job) -> bool:
    """Tell whether a job still has its row."""
    try:
        return await JobStore(database).get(job.id) is not None
    except NotFound:
        return False


async def size(database: Database, table: Table) -> int:
    """Count a table's rows."""
    async with database.read() as connection:
        counted = select(func.count()).select_from(table)
        count: int = (await connection.execute(counted)).scalar_one()
    return count


async def add(database: Database, table: Table, **values: object) -> None:
    """Put a row into a table."""
    async with database.write() as connection:
        await connection.execute(insert(table).values(values))


def told(publish_id: str, received: datetime) -> dict[str, Any]:
    """Fill the row of an event of TikTok's."""
    return {
        "id": id_at(received),
        "dedup_key": f"{publish_id} {received}",
        "event": "post.publish.complete",
        "open_id": "open_1",
        "publish_id": publish_id,
        "created_at": received,
        "received_at": received,
        "body": "{}",
    }
