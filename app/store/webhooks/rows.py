"""Convert webhook rows to domain values; the only place that opens their secrets.

An event's payload is stored as columns besides its body: processes older than revision
0012 store no body, and render these columns at every try. The columns are written as
long as such a process may run beside ours, and read for events that one of them wrote.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table

from app.domain.errors import TokenUnreadable
from app.domain.events import (
    ABOUT_ACCOUNTS,
    EndpointTest,
    EventPayload,
    EventStatus,
    EventType,
)
from app.domain.webhook_endpoint import (
    FORMER_SECRET_SIGNS,
    DisabledReason,
    EndpointStatus,
    EventRecord,
    WebhookEndpoint,
)
from app.store.accounts.rows import account_from_row
from app.store.accounts.tables import accounts
from app.store.db.types import Row, UtcDateTime
from app.store.db.vault import Vault
from app.store.jobs.rows import shown_from_row
from app.store.jobs.tables import schedule_jobs

SECRETS: Final = ("secret", "former_secret")
_RECORD: Final = EventRecord.__struct_fields__

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


class EndpointRows:
    """Reads and writes an endpoint's columns; each secret is encrypted for its cell."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def read(self, row: Row, *, now: datetime) -> WebhookEndpoint:
        """Read an endpoint, without secrets that no key decrypts."""
        until = row["former_secret_until"]
        columns = SECRETS if until is not None and now < until else SECRETS[:1]
        reason = row["disabled_reason"]
        return WebhookEndpoint(
            project_id=row["project_id"],
            url=row["url"],
            secrets=tuple(self._opened(row, columns)),
            status=EndpointStatus(row["status"]),
            disabled_reason=None if reason is None else DisabledReason(reason),
            disabled_at=row["disabled_at"],
            failing_since=row["failing_since"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
        )

    def sealed(self, project_id: str, column: str, secret: str) -> str:
        """Encrypt a secret for its cell."""
        return self._vault.encrypt(secret, bound_to=_cell(project_id, column))

    def is_readable(self, row: Row) -> bool:
        """Tell whether a key decrypts the current secret."""
        return bool(self._opened(row, SECRETS[:1]))

    def rotated(
        self, row: Row, secret: str, *, now: datetime
    ) -> dict[str, str | datetime | None]:
        """Return a new secret's columns; the current one also signs for a while."""
        project_id, former = row["project_id"], self._opened(row, SECRETS[:1])
        if former == [secret]:
            return {}
        return {
            "secret": self.sealed(project_id, "secret", secret),
            "former_secret": (
                self.sealed(project_id, "former_secret", former[0]) if former else None
            ),
            "former_secret_until": now + FORMER_SECRET_SIGNS if former else None,
        }

    def resealed(self, row: Row) -> dict[str, str]:
        """Return the secrets encrypted with the first key; empty if they already are.

        Raises TokenUnreadable.
        """
        old = [
            column
            for column in SECRETS
            if row[column] is not None and not self._vault.is_current(row[column])
        ]
        return {
            column: self.sealed(row["project_id"], column, self._open(row, column))
            for column in old
        }

    def _open(self, row: Row, column: str) -> str:
        cell = _cell(row["project_id"], column)
        return self._vault.decrypt(row[column], bound_to=cell)

    def _opened(self, row: Row, columns: tuple[str, ...]) -> list[str]:
        found: list[str] = []
        for column in columns:
            try:
                found.append(self._open(row, column))
            except TokenUnreadable:
                continue
        return found


def record_from_row(row: Row) -> EventRecord:
    """Read an event without its body."""
    told = {name: row[name] for name in _RECORD}
    kind, status = EventType(row["type"]), EventStatus(row["status"])
    return EventRecord(**told | {"type": kind, "status": status})


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
        return shown_from_row(_columns(schedule_jobs, event["data"]))
    if event["type"] in ABOUT_ACCOUNTS:
        return account_from_row(_columns(accounts, event["data"]))
    return EndpointTest(event["project_id"])


def _columns(table: Table, data: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(table.columns.keys()) | data
    for column in table.columns:
        if isinstance(column.type, UtcDateTime) and row[column.name] is not None:
            row[column.name] = datetime.fromisoformat(row[column.name])
    return row


def _cell(project_id: str, column: str) -> str:
    return f"{project_id}|webhook|{column}"  # ids hold no |
