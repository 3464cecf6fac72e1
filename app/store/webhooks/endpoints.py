"""The owners' side of webhooks: endpoints, and lists of their events."""

from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from uuid_utils.compat import uuid7

from app.domain.errors import NotFound, WebhookDisabled
from app.domain.events import EventStatus, EventType
from app.domain.webhook_endpoint import (
    DeliveryResult,
    EndpointStatus,
    EventRecord,
    WebhookEndpoint,
)
from app.store.db.engine import Database
from app.store.db.types import Row
from app.store.db.vault import Vault
from app.store.webhooks.rows import EndpointRows, record_from_row
from app.store.webhooks.tables import webhook_endpoints, webhook_events

_endpoints = webhook_endpoints.c
_events = webhook_events.c

_ENABLED: Final[dict[str, Any]] = {
    "status": EndpointStatus.ACTIVE,
    "disabled_reason": None,
    "disabled_at": None,
    "failing_since": None,
}


class ReplayFilter(Struct, frozen=True, kw_only=True):
    """Which events are sent again: one, or those of a period."""

    event_id: str | None = None
    since: datetime | None = None  # inclusive
    until: datetime | None = None  # exclusive
    failed_only: bool = False


class PutResult(Struct, frozen=True):
    """The result of setting an endpoint."""

    endpoint: WebhookEndpoint
    created: bool
    uses_fresh: bool  # the secret is the new one


class WebhookStore:
    """One endpoint per project; each method is one transaction."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._rows = EndpointRows(vault)

    async def put(
        self,
        project_id: str,
        *,
        url: str,
        secret: str | None,
        fresh: str,
        now: datetime,
    ) -> PutResult:
        """Set a project's endpoint, and enable it if it was disabled.

        Without a secret it keeps the stored one. If there is none, or no key decrypts
        it, it gets the ``fresh`` one.
        """
        values = {"url": url, **_ENABLED, "updated_at": now}
        async with self._database.write() as connection:
            new = self._database.insert_new(webhook_endpoints).values(
                **values,
                project_id=project_id,
                secret=self._rows.sealed(project_id, "secret", secret or fresh),
                created_at=now,
            )
            created = (await connection.execute(new)).rowcount == 1
            row = await _row(connection, project_id, lock=True)
            if created:
                return PutResult(
                    self._rows.read(row, now=now), created=True, uses_fresh=not secret
                )
            given = secret or (None if self._rows.is_readable(row) else fresh)
            secrets = {} if given is None else self._rows.rotated(row, given, now=now)
            after = await connection.execute(
                update(webhook_endpoints)
                .where(_endpoints.project_id == project_id)
                .values(**values, **secrets)
                .returning(webhook_endpoints)
            )
            read = self._rows.read(after.mappings().one(), now=now)
            return PutResult(read, created=False, uses_fresh=given is fresh)

    async def rotate(
        self, project_id: str, secret: str, *, now: datetime
    ) -> WebhookEndpoint:
        """Replace the secret alone; the current one also signs for a while.

        Raises NotFound.
        """
        async with self._database.write() as connection:
            row = await _row(connection, project_id, lock=True)
            secrets = self._rows.rotated(row, secret, now=now)
            after = await connection.execute(
                update(webhook_endpoints)
                .where(_endpoints.project_id == project_id)
                .values(**secrets, updated_at=now)
                .returning(webhook_endpoints)
            )
            return self._rows.read(after.mappings().one(), now=now)

    async def get(self, project_id: str, *, now: datetime) -> WebhookEndpoint:
        """Return a project's endpoint; raises NotFound."""
        async with self._database.read() as connection:
            row = await _row(connection, project_id)
        return self._rows.read(row, now=now)

    async def delete(self, project_id: str) -> None:
        """Delete an endpoint, its secrets and its events; raises NotFound."""
        gone = delete(webhook_endpoints).where(_endpoints.project_id == project_id)
        found = select(_events.position).where(_events.project_id == project_id)
        events = delete(webhook_events).where(
            self._database.locked_in_order(found.order_by(_events.position))
        )
        async with self._database.write() as connection:
            if not (await connection.execute(gone)).rowcount:
                raise NotFound
            await connection.execute(events)

    async def last_try(self, project_id: str) -> EventRecord | None:
        """Return the newest event that was tried."""
        statement = (
            select(webhook_events)
            .where(
                _events.project_id == project_id, _events.last_attempt_at.is_not(None)
            )
            .order_by(_events.position.desc())
            .limit(1)
        )
        row = await self._database.row(statement)
        return None if row is None else record_from_row(row)

    async def events(
        self, project_id: str, *, limit: int, after_id: str | None
    ) -> tuple[EventRecord, ...]:
        """Return events, newest first, after the given one."""
        statement = (
            select(webhook_events)
            .where(_events.project_id == project_id)
            .order_by(_events.position.desc())
            .limit(limit)
        )
        if after_id is not None:
            last = select(_events.position).where(_events.id == after_id)
            statement = statement.where(_events.position < last.scalar_subquery())
        rows = await self._database.rows(statement)
        return tuple(record_from_row(row) for row in rows)

    async def replay(
        self, project_id: str, which: ReplayFilter, *, now: datetime
    ) -> int:
        """Send events again, with the same ids; return how many.

        Raises NotFound for a missing endpoint or event, and WebhookDisabled.
        """
        found = select(_events.position).where(
            _events.project_id == project_id,
            *_conditions(which),
            # Events being sent arrive anyway; those that wait for a retry are due now.
            or_(_events.status != EventStatus.PENDING, _events.claim_token.is_(None)),
        )
        statement = (
            update(webhook_events)
            .where(self._database.locked_in_order(found.order_by(_events.position)))
            .values(
                status=EventStatus.PENDING,
                attempts=0,
                next_attempt_at=now,
                claim_token=None,
            )
            .returning(_events.position)
        )
        async with self._database.write() as connection:
            endpoint = await _row(connection, project_id)
            if endpoint["status"] != EndpointStatus.ACTIVE:
                raise WebhookDisabled
            if which.event_id is not None:
                await _check_event(connection, project_id, which.event_id)
            # Not rowcount: after a WITH, SQLite's driver has none.
            return len((await connection.execute(statement)).all())

    async def record_test(
        self, project_id: str, event_id: str, body: bytes, sent: DeliveryResult
    ) -> None:
        """Store a test event with its result; it is not tried again."""
        ended = EventStatus.DELIVERED if sent.error is None else EventStatus.FAILED
        statement = insert(webhook_events).values(
            id=event_id,
            project_id=project_id,
            type=EventType.TEST,
            data={},
            body=body.decode(),
            created_at=sent.at,
            status=ended,
            attempts=1,
            last_attempt_at=sent.at,
            last_status=sent.status,
            last_error=sent.error,
        )
        async with self._database.write() as connection:
            await connection.execute(statement)

    async def prune(self, *, before: datetime, limit: int) -> int:
        """Delete some events that ended before a time; return how many."""
        over = and_(_events.created_at < before, _events.next_attempt_at.is_(None))
        oldest = select(_events.position).where(over).order_by(_events.created_at)
        some = self._database.unlocked(oldest.limit(limit))
        statement = delete(webhook_events).where(some, over).returning(_events.position)
        async with self._database.write() as connection:
            # Not rowcount: after a WITH, SQLite's driver has none.
            return len((await connection.execute(statement)).all())


def new_event_id() -> str:
    """Return an id for a test event; others get theirs when they are written."""
    return str(uuid7())


def _conditions(which: ReplayFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if which.event_id is not None:
        found.append(_events.id == which.event_id)
    else:
        found.append(_events.type != EventType.TEST)
    if which.since is not None:
        found.append(_events.created_at >= which.since)
    if which.until is not None:
        found.append(_events.created_at < which.until)
    if which.failed_only:
        found.append(_events.status == EventStatus.FAILED)
    return found


async def _check_event(
    connection: AsyncConnection, project_id: str, event_id: str
) -> None:
    statement = select(_events.id).where(
        _events.id == event_id, _events.project_id == project_id
    )
    if (await connection.execute(statement)).first() is None:
        raise NotFound


async def _row(
    connection: AsyncConnection, project_id: str, *, lock: bool = False
) -> Row:
    statement = select(webhook_endpoints).where(_endpoints.project_id == project_id)
    if lock:
        statement = statement.with_for_update()
    row = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        raise NotFound
    return row
