"""Write events for frontends in the transaction of the change they describe.

A project without an endpoint costs one index look-up within the statement that
changes the job.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    Insert,
    Table,
    Text,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from app.domain.events import EventPayload, EventStatus, EventType, Render
from app.domain.webhook_endpoint import EndpointStatus
from app.store.accounts.rows import account_from_row
from app.store.accounts.tables import accounts
from app.store.db.engine import RENDER
from app.store.db.types import Row, UtcDateTime
from app.store.jobs.rows import shown_from_row
from app.store.jobs.tables import schedule_jobs
from app.store.webhooks.rows import snapshot_of
from app.store.webhooks.tables import webhook_endpoints, webhook_events

_endpoints = webhook_endpoints.c
_events = webhook_events.c

log = structlog.get_logger(__name__)


def _listener_of(table: Table) -> ColumnElement[str | None]:
    is_any, of_it = _is_any_listener(), _status_of(table)
    return case((is_any, of_it)).label("listener")


def _is_any_listener() -> ColumnElement[bool]:
    # Looked at once for all the rows: whoever uses no webhooks pays for none.
    return select(_endpoints.project_id).exists()


def _status_of(table: Table) -> ColumnElement[str | None]:
    # Text, since SQLAlchemy drops table names in SQLite's RETURNING, and then
    # project_id = project_id would match every endpoint.
    project_id = literal_column(f"{table.name}.project_id", Text())
    of_it = select(_endpoints.status).where(_endpoints.project_id == project_id)
    return of_it.scalar_subquery()


JOB_LISTENER: Final = _listener_of(schedule_jobs)
"""A column for RETURNING of a job: its endpoint's status, or NULL."""

NOBODY_LISTENS: Final = case(
    (or_(~_is_any_listener(), _status_of(schedule_jobs).is_(None)), true())
).is_not(None)
"""Match a job whose project has no endpoint.

As a value that is not NULL, which Postgres expects of nearly every row. Of a plain IS
NULL it expects one row, and would compare each of a batch with each.
"""

ACCOUNT_LISTENER: Final = _listener_of(accounts)
"""The same for an account."""


class NewEvent(Struct, frozen=True, kw_only=True):
    """An event for a project's endpoint."""

    type: EventType
    project_id: str
    shows: EventPayload
    snapshot: dict[str, Any]  # its payload as columns, for older processes
    listener: EndpointStatus
    job_id: str | None = None  # None: not ordered with other events


async def tell_of_account(
    connection: AsyncConnection,
    row: Row,
    *,
    now: datetime,
    kind: EventType = EventType.ACCOUNT_RECONNECT_REQUIRED,
) -> None:
    """Write the event of an account to reconnect, or of another person's account."""
    if row["listener"] is not None:
        event = NewEvent(
            type=kind,
            project_id=row["project_id"],
            shows=account_from_row(row),
            snapshot=snapshot_of(row),
            listener=EndpointStatus(row["listener"]),
        )
        await tell(connection, [event], now=now)


async def tell(
    connection: AsyncConnection, events: Sequence[NewEvent], *, now: datetime
) -> None:
    """Write events in order, each with the body that every try sends.

    Without a listener nothing is written.
    """
    if events:
        render = connection.sync_engine.get_execution_options().get(RENDER)
        # executemany: a list of VALUES would be compiled for each length.
        rows = [_row(event, now, render) for event in events]
        await connection.execute(_INSERT, rows)


def job_events(kinds: Iterable[EventType], row: Row) -> list[NewEvent]:
    """Make events that show a job as it is, from a row with its listener."""
    if row["listener"] is None:
        return []
    job, snapshot = shown_from_row(row), snapshot_of(row)
    return [
        NewEvent(
            type=kind,
            project_id=row["project_id"],
            job_id=row["id"],
            shows=job,
            snapshot=snapshot,
            listener=EndpointStatus(row["listener"]),
        )
        for kind in kinds
    ]


def _rendered(
    render: Render, kind: EventType, at: datetime, shows: EventPayload
) -> str | None:
    """Render an event's body; None if that fails, which affects only this event."""
    try:
        return render(kind, at, shows).decode()
    except Exception:
        log.exception("an event could not be stored", type=str(kind))
        return None


def _row(event: NewEvent, now: datetime, render: Render | None) -> dict[str, Any]:
    active = event.listener is EndpointStatus.ACTIVE
    return {
        "id": str(uuid7()),
        "project_id": event.project_id,
        "job_id": event.job_id,
        "type": event.type,
        "data": event.snapshot,
        "body": render and _rendered(render, event.type, now, event.shows),
        "created_at": now,
        # Events written while the endpoint is disabled can be replayed.
        "status": EventStatus.PENDING if active else EventStatus.FAILED,
        "attempts": 0,
        "at": now if active else None,
        "behind": event.job_id if active else None,
    }


def _insert() -> Insert:
    """Postpone an event as long as an earlier one of its job that is being retried.

    The claim keeps the order anyway; this only keeps events out of its way that cannot
    be sent yet.
    """
    former = webhook_events.alias("former").c
    waits = select(func.min(former.next_attempt_at)).where(
        former.job_id == bindparam("behind", type_=Text()),
        former.next_attempt_at.is_not(None),
        former.claim_token.is_(None),
    )
    at = bindparam("at", type_=UtcDateTime())
    turn = func.coalesce(waits.scalar_subquery(), at, type_=UtcDateTime())
    return insert(webhook_events).values(next_attempt_at=turn)


_INSERT: Final = _insert()
