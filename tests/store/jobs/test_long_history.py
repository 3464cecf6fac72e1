"""A job's history and ledger cost a bounded part of everybody's time."""

from datetime import timedelta

from sqlalchemy import insert

from app.domain.jobs.history import HistoryEntry, HistoryKind
from app.store.db.engine import Database
from app.store.jobs.history import MOST_SHOWN, write_history
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.tables import job_attempts
from tests.support.factories import NOW, store_job


async def test_the_newest_thousand_are_read_oldest_first(
    database: Database, jobs: JobStore
) -> None:
    """However often a caller has edited a job, or let it be tried."""
    job = await store_job(database)
    count = MOST_SHOWN + 5
    entries = [
        HistoryEntry(
            job_id=job.id,
            at=NOW + timedelta(seconds=number),
            kind=HistoryKind.EDITED,
            data={"number": number},
        )
        for number in range(count)
    ]
    attempt = {
        "job_id": job.id,
        "started_at": NOW,
        "finished_at": NOW,
        "outcome": "transient",
        "decision": "retrying",
    }
    async with database.write() as connection:
        await write_history(connection, entries)
        await connection.execute(
            insert(job_attempts),
            [{**attempt, "number": number} for number in range(1, count + 1)],
        )
    _, ledger, found, _ = await jobs.history(job.id)
    assert [each.at for each in found] == [each.at for each in entries[5:]]
    assert [each.number for each in ledger] == list(range(6, count + 1))
    assert await jobs.attempts(job.id) == ledger
