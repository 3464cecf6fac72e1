"""An event's payload as columns, stored besides its body.

Processes older than revision 0012 store no body: they render these columns at every
try. The columns are written as long as such a process may run beside ours, and read
for events that one of them wrote.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table

from app.domain.events import ABOUT_ACCOUNTS, EventPayload, Probe
from app.store.accounts.rows import account_from_row
from app.store.accounts.tables import accounts
from app.store.db.types import Row, UtcDateTime
from app.store.jobs.rows import shown_from_row
from app.store.jobs.tables import schedule_jobs

# These never leave their table: whoever has one can write as a worker, download the
# video or post as the person.
_HIDDEN: Final = frozenset(
    {
        "claim_token",
        "media_token",
        "upload_url",
        "access_token",
        "refresh_token",
        "refresh_lease",
    }
)


def snapshot_of(row: Row) -> dict[str, Any]:
    """Return a row's columns for a JSON column, without its secrets."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if name not in _HIDDEN | {"listener"}
    }


def payload_of(event: Row) -> EventPayload:
    """Read an event's payload; columns added later are empty."""
    if event["job_id"] is not None:
        return shown_from_row(_row(schedule_jobs, event["data"]))
    if event["type"] in ABOUT_ACCOUNTS:
        return account_from_row(_row(accounts, event["data"]))
    return Probe(event["project_id"])


def _row(table: Table, data: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(table.columns.keys()) | data
    for column in table.columns:
        if isinstance(column.type, UtcDateTime) and row[column.name] is not None:
            row[column.name] = datetime.fromisoformat(row[column.name])
    return row
