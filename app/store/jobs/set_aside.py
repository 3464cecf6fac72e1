"""Put off due rows that cannot be read, so that the others go on."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import case, null, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.jobs.job import JobStatus
from app.store.jobs.tables import schedule_jobs

LOOK_AGAIN: Final = timedelta(minutes=10)

_jobs = schedule_jobs.c


async def set_aside(
    connection: AsyncConnection, ids: Collection[str], *, now: datetime
) -> None:
    """Free the claims of rows that cannot be read, and try them again later.

    The claim has overwritten the status; it follows from the rest of the row.
    """
    if not ids:
        return
    status = case(
        (_jobs.init_sent_at.is_not(None), JobStatus.PROCESSING),
        (_jobs.publish_id.is_not(None), JobStatus.PROCESSING),
        (_jobs.attempts > 0, JobStatus.RETRYING),
        else_=JobStatus.SCHEDULED,
    )
    await connection.execute(
        update(schedule_jobs)
        .where(_jobs.id.in_(ids))
        .values(
            status=status,
            next_attempt_at=now + LOOK_AGAIN,
            claim_token=null(),
            claimed_by=null(),
            claimed_at=null(),
            abandoned_by=null(),
        )
    )
