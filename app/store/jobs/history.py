"""The entries of a job's history that are not in its ledger."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from app.domain.api_key import Actor
from app.domain.jobs.history import HistoryEntry, HistoryKind
from app.store.db.types import Row
from app.store.jobs.tables import job_history

MOST_SHOWN: Final = 1000
"""Entries or attempts of one job that are read at most: a caller may edit for ever."""

_history = job_history.c


async def write_history(
    connection: AsyncConnection, entries: Sequence[HistoryEntry]
) -> None:
    """Add entries, in the transaction of the change they describe."""
    if entries:
        await connection.execute(insert(job_history), [_row(each) for each in entries])


async def write_for_all(
    connection: AsyncConnection,
    job_ids: Iterable[str],
    kind: HistoryKind,
    *,
    at: datetime,
    data: Mapping[str, Any] | None = None,
    by: Actor | None = None,
) -> None:
    """Add the same entry for each of these jobs."""
    entries = [
        HistoryEntry(job_id=job_id, at=at, kind=kind, data=data, by=by)
        for job_id in job_ids
    ]
    await write_history(connection, entries)


async def read_history(
    connection: AsyncConnection, job_id: str
) -> tuple[HistoryEntry, ...]:
    """Return the newest ``MOST_SHOWN`` of a job's entries, oldest first."""
    statement = (
        select(job_history)
        .where(_history.job_id == job_id)
        .order_by(_history.at.desc(), _history.id.desc())
        .limit(MOST_SHOWN)
    )
    rows = (await connection.execute(statement)).mappings().all()
    return tuple(_entry(row) for row in reversed(rows))


def _row(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "job_id": entry.job_id,
        "at": entry.at,
        "kind": entry.kind,
        "data": None if entry.data is None else dict(entry.data),
        "key_id": entry.by and entry.by.key_id,
        "key_name": entry.by and entry.by.key_name,
    }


def _entry(row: Row) -> HistoryEntry:
    by = row["key_id"] and Actor(row["key_id"], row["key_name"] or "")
    return HistoryEntry(
        job_id=row["job_id"],
        at=row["at"],
        kind=HistoryKind(row["kind"]),
        data=row["data"],
        by=by or None,
    )
