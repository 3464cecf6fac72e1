"""Events for frontends, written in the transaction that makes them true.

A project without an endpoint costs nothing but one look at an index, within the
statement that changes the job.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import (
    ColumnElement,
    Insert,
    Table,
    Text,
    bindparam,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from app.domain.events import (
    EventPayload,
    EventStatus,
    EventType,
    Render,
    events_of,
)
from app.domain.jobs.job import Job
from app.domain.jobs.transition import Transition
from app.domain.webhook_endpoint import EndpointStatus
from app.store.accounts.tables import accounts
from app.store.db.engine import RENDER
from app.store.db.types import Row, UtcDateTime
from app.store.jobs.rows import job_from_row
from app.store.jobs.tables import schedule_jobs
from app.store.webhooks.snapshots import account_from_row, snapshot_of
from app.store.webhooks.tables import webhook_endpoints, webhook_events

_endpoints = webhook_endpoints.c
_events = webhook_events.c

log = structlog.get_logger(__name__)


def _listener_of(table: Table) -> ColumnElement[str | None]:
    # As text: for SQLite, SQLAlchemy takes table names out of RETURNING, and
    # project_id = project_id would match every endpoint.
    project_id = literal_column(f"{table.name}.project_id", Text())
    return (
        select(_endpoints.status)
        .where(_endpoints.project_id == project_id)
        .scalar_subquery()
        .label("listener")
    )


JOB_LISTENER: Final = _listener_of(schedule_jobs)
"""For RETURNING beside a job's columns: its endpoint's status, NULL without one."""

ACCOUNT_LISTENER: Final = _listener_of(accounts)
"""The same beside an account's columns."""


@dataclass(frozen=True, slots=True)
class ChangedJob:
    """A job that a transition was applied to, and its row after that."""

    job: Job  # as it was before
    change: Transition
    row: Row  # RETURNING schedule_jobs, JOB_LISTENER


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """Something to tell a project's endpoint."""

    type: EventType
    project_id: str
    shows: EventPayload
    snapshot: dict[str, Any]  # the same as columns, for older processes
    listener: EndpointStatus
    job_id: str | None = None  # None: in no order with other events


async def tell_of_jobs(
    connection: AsyncConnection, changes: Iterable[ChangedJob], *, now: datetime
) -> None:
    """Write the events of many transitions, in one statement or none."""
    events = [
        event
        for each in changes
        for event in job_events(events_of(each.job, each.change), each.row)
    ]
    await tell(connection, events, now=now)


async def tell_of_account(
    connection: AsyncConnection,
    row: Row,
    *,
    now: datetime,
    kind: EventType = EventType.ACCOUNT_RECONNECT_REQUIRED,
) -> None:
    """Write that an account has to be connected again, or is another person's."""
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
    """Write events in their order, each with the body that every try will send.

    Nobody to be told, nothing written.
    """
    if events:
        render = connection.sync_engine.get_execution_options().get(RENDER)
        # Row by row in one go: a list of VALUES would be compiled anew for each length.
        rows = [_row(event, now, render) for event in events]
        await connection.execute(_INSERT, rows)


def job_events(kinds: Iterable[EventType], row: Row) -> list[NewEvent]:
    """Make events that show a job as it stands, from a row with its listener."""
    if row["listener"] is None:
        return []
    job, snapshot = job_from_row(row), snapshot_of(row)
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
    """Write an event's body; None if that fails, which is this event's matter alone."""
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
        # What happens while the endpoint is disabled can be replayed.
        "status": EventStatus.PENDING if active else EventStatus.FAILED,
        "attempts": 0,
        "at": now if active else None,
        "behind": event.job_id if active else None,
    }


def _insert() -> Insert:
    """Let an event wait as long as a former one of its job that is to be tried again.

    Order is kept at the claim in any case; this keeps out of each claim's way what
    cannot be sent yet.
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
