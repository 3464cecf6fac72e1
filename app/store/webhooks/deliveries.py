"""The sender's side of the outbox: claim due events, and write their results.

Whoever changes both locks the endpoint first, then events in their order: two who go
the other way round would wait for each other.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final
from uuid import uuid4

import structlog
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    Update,
    and_,
    bindparam,
    exists,
    literal,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from app.domain.events import EventStatus, EventType, Render
from app.domain.guarded import Guarded, Hidden
from app.domain.webhook_endpoint import (
    DeliveryResult,
    DisabledReason,
    EndpointStatus,
    EventRecord,
    WebhookEndpoint,
)
from app.store.db.engine import Database
from app.store.db.prepared import Prepared
from app.store.db.types import Row, UtcDateTime
from app.store.db.vault import Vault
from app.store.webhooks.rows import EndpointRows, payload_of, record_from_row
from app.store.webhooks.tables import webhook_endpoints, webhook_events

_WINDOW: Final = 200
"""How many due events one claim considers: more would block the writers."""

log = structlog.get_logger(__name__)

_endpoints = webhook_endpoints.c
_events = webhook_events.c
_former = webhook_events.alias("former").c


class OutboxDelivery(Guarded, frozen=True, kw_only=True):
    """One event for this worker to send while its lease lasts."""

    event: EventRecord
    position: int
    claim_token: Hidden[str]
    endpoint: WebhookEndpoint | None  # None: removed meanwhile
    body: bytes | None  # None: it cannot be rendered


class DeliveryStore:
    """Claims due events; an event of a job waits for the job's earlier ones."""

    def __init__(
        self, database: Database, vault: Vault, *, lease: timedelta, render: Render
    ) -> None:
        """Take the lease, and the renderer for events without a body."""
        self._database = database
        self._rows = EndpointRows(vault)
        self._lease = lease
        self._render = render

    async def claim_due(
        self, *, now: datetime, limit: int, each: int, busy: Mapping[str, int]
    ) -> tuple[OutboxDelivery, ...]:
        """Claim up to ``limit`` events to send.

        No project gets more than ``each`` at a time, including those in ``busy``, so
        that a slow endpoint delays nobody else's events.
        """
        picked = list[int]()
        taken = Counter(busy)
        async with self._database.read() as connection:
            is_full = True
            while is_full and len(picked) < limit:
                full = [project for project, count in taken.items() if count >= each]
                rows = (await connection.execute(_due(now, full, picked))).all()
                picked += _fair(rows, limit - len(picked), each, taken)
                is_full = len(rows) == _WINDOW
        if not picked:
            return ()
        async with self._database.write() as connection:
            claimed = await self._claim(connection, picked, now)
            endpoints = await self._endpoints_of(connection, claimed, now)
            late = await self._write_bodies(connection, claimed)
        ordered = sorted(claimed, key=lambda row: row["position"])
        return tuple(
            _delivery(row, endpoints, row["body"] or late.get(row["position"]))
            for row in ordered
        )

    async def delivered(self, delivery: OutboxDelivery, sent: DeliveryResult) -> None:
        """Write that an event was delivered; its job's next event is due."""
        endpoint = delivery.endpoint
        if not self._database.is_sqlite and _is_healthy(endpoint):
            values = {
                "its_position": delivery.position,
                "its_token": delivery.claim_token,
                "sent_at": sent.at,
                "answered": sent.status,
            }
            await self._database.run(self._deliver, values)
            return
        async with self._database.write() as connection:
            if endpoint is not None and endpoint.failing_since is not None:
                await connection.execute(
                    _endpoint_of(delivery).values(failing_since=None)
                )
            await _write(connection, delivery, sent, retry_at=None)

    async def failed(
        self,
        delivery: OutboxDelivery,
        sent: DeliveryResult,
        *,
        retry_at: datetime | None,
    ) -> None:
        """Write that a try failed, and when the next one is due; None: none."""
        async with self._database.write() as connection:
            if delivery.endpoint is not None:
                await connection.execute(
                    _endpoint_of(delivery)
                    .where(_endpoints.failing_since.is_(None))
                    .values(failing_since=sent.at)
                )
            await _write(connection, delivery, sent, retry_at=retry_at)

    async def put_off(self, delivery: OutboxDelivery, *, until: datetime) -> None:
        """Free an event that could not be tried, for want of what we lack ourselves."""
        freed = update(webhook_events).where(_owned(delivery))
        async with self._database.single() as connection:
            await connection.execute(
                freed.values(next_attempt_at=until, claim_token=None)
            )

    async def has_delivered(
        self, endpoint: WebhookEndpoint, *, since: datetime
    ) -> bool:
        """Tell whether an endpoint accepted any event since a time."""
        statement = select(
            exists().where(
                _events.project_id == endpoint.project_id,
                _events.status == EventStatus.DELIVERED,
                _events.last_attempt_at >= since,
            )
        )
        return await self._database.value(statement)

    async def disable(
        self, endpoint: WebhookEndpoint, reason: DisabledReason, *, now: datetime
    ) -> bool:
        """Disable an endpoint; False if it was set again meanwhile."""
        statement = (
            update(webhook_endpoints)
            .where(
                _endpoints.project_id == endpoint.project_id,
                _endpoints.status == EndpointStatus.ACTIVE,
                _endpoints.updated_at == endpoint.updated_at,
            )
            .values(
                status=EndpointStatus.DISABLED, disabled_reason=reason, disabled_at=now
            )
        )
        async with self._database.write() as connection:
            if not (await connection.execute(statement)).rowcount:
                return False
            waiting = select(_events.position).where(
                _events.project_id == endpoint.project_id,
                _events.next_attempt_at.is_not(None),
            )
            await connection.execute(
                update(webhook_events)
                .where(
                    self._database.locked_in_order(waiting.order_by(_events.position))
                )
                .values(**_over(EventStatus.FAILED))
            )
        return True

    @cached_property
    def _deliver(self) -> Prepared:
        return Prepared(_delivered())

    async def _claim(
        self, connection: AsyncConnection, positions: Sequence[int], now: datetime
    ) -> Sequence[Row]:
        due = _events.next_attempt_at <= now
        picked = select(_events.position).where(_events.position.in_(positions), due)
        statement = (
            update(webhook_events)
            .where(self._database.unlocked(picked), due)
            # The lease's end is when another worker may send it again.
            .values(claim_token=uuid4().hex, next_attempt_at=now + self._lease)
            .returning(webhook_events)
        )
        rows: Sequence[Row] = (await connection.execute(statement)).mappings().all()
        return rows

    async def _write_bodies(
        self, connection: AsyncConnection, claimed: Sequence[Row]
    ) -> dict[int, str]:
        """Render bodies that an older process left out: every try sends the same."""
        late: dict[int, str] = {}
        for row in claimed:
            if row["body"] is None and (body := self._late_body(row)) is not None:
                late[row["position"]] = body
                await connection.execute(
                    update(webhook_events)
                    .where(_events.position == row["position"])
                    .values(body=body)
                )
        return late

    def _late_body(self, row: Row) -> str | None:
        try:
            kind, at = EventType(row["type"]), row["created_at"]
            return self._render(kind, at, payload_of(row)).decode()
        except Exception:  # it must not come back for ever, nor block its job
            log.exception("an event could not be stored", event_id=row["id"])
            return None

    async def _endpoints_of(
        self, connection: AsyncConnection, claimed: Sequence[Row], now: datetime
    ) -> dict[str, WebhookEndpoint]:
        projects = {row["project_id"] for row in claimed}
        statement = select(webhook_endpoints).where(
            _endpoints.project_id.in_(sorted(projects))
        )
        rows = (await connection.execute(statement)).mappings().all()
        return {row["project_id"]: self._rows.read(row, now=now) for row in rows}


def _is_healthy(endpoint: WebhookEndpoint | None) -> bool:
    return endpoint is None or endpoint.failing_since is None


def _delivered() -> ReturningUpdate[Any]:
    """Write a receipt and make the job's next events due, in one round trip.

    In this order, as PostgreSQL reads the rows of the first UPDATE for the second.
    """
    at = bindparam("sent_at", type_=UtcDateTime())
    its = and_(
        _events.position == bindparam("its_position", type_=BigInteger()),
        _events.claim_token == bindparam("its_token", type_=Text()),
    )
    done = (
        update(webhook_events)
        .where(its)
        .values(
            **_over(EventStatus.DELIVERED),
            attempts=_events.attempts + 1,
            last_attempt_at=at,
            last_status=bindparam("answered", type_=Integer()),
            last_error=None,
        )
        .returning(_events.job_id, _events.position)
        .cte("done")
    )
    following = update(webhook_events).where(_events.job_id == done.c.job_id)
    is_late = _waits_for_another(done.c.position, at)
    return following.where(is_late).values(next_attempt_at=at).returning(_events.id)


def _waits_for_another(
    position: ColumnElement[int] | int, at: ColumnElement[datetime] | datetime
) -> ColumnElement[bool]:
    """Match later events that are not due at a time, and that nobody sends."""
    return and_(
        _events.position > position,
        _events.next_attempt_at.is_not(None),
        _events.next_attempt_at != at,
        _events.claim_token.is_(None),
    )


def _due(now: datetime, full: Sequence[str], picked: Sequence[int]) -> Select[int, str]:
    waits = exists().where(
        _former.job_id == _events.job_id,
        _former.position < _events.position,
        _former.next_attempt_at.is_not(None),
    )
    return (
        select(_events.position, _events.project_id)
        .where(_events.next_attempt_at <= now, _events.project_id.not_in(full), ~waits)
        .where(_events.position.not_in(picked))
        .order_by(_events.next_attempt_at, _events.position)
        .limit(_WINDOW)
    )


def _fair(
    due: Sequence[tuple[int, str]], limit: int, each: int, busy: Counter[str]
) -> list[int]:
    """Pick in order, skipping projects that have their share."""
    picked: list[int] = []
    for position, project_id in due:
        if len(picked) < limit and busy[project_id] < each:
            busy[project_id] += 1
            picked.append(position)
    return picked


def _delivery(
    row: Row, endpoints: Mapping[str, WebhookEndpoint], body: str | None
) -> OutboxDelivery:
    return OutboxDelivery(
        event=record_from_row(row),
        position=row["position"],
        claim_token=row["claim_token"],
        endpoint=endpoints.get(row["project_id"]),
        body=None if body is None else body.encode(),
    )


async def _write(
    connection: AsyncConnection,
    delivery: OutboxDelivery,
    sent: DeliveryResult,
    *,
    retry_at: datetime | None,
) -> None:
    """Write the result of a try, and when the job's next events are due."""
    state = {"next_attempt_at": retry_at, "claim_token": None}
    if retry_at is None:
        ended = EventStatus.DELIVERED if sent.error is None else EventStatus.FAILED
        state = _over(ended)
    statement = (
        update(webhook_events)
        .where(_owned(delivery))
        .values(
            **state,
            attempts=_events.attempts + 1,
            last_attempt_at=sent.at,
            last_status=sent.status,
            last_error=sent.error,
        )
    )
    if not (await connection.execute(statement)).rowcount:
        return  # its lease ran out, or the endpoint was removed
    if delivery.event.job_id is not None:
        await connection.execute(_following(delivery, retry_at or sent.at))


def _endpoint_of(delivery: OutboxDelivery) -> Update:
    """Change the endpoint of an event whose claim still holds."""
    return update(webhook_endpoints).where(
        _endpoints.project_id == delivery.event.project_id,
        exists().where(_owned(delivery)),
    )


def _owned(delivery: OutboxDelivery) -> ColumnElement[bool]:
    return and_(
        _events.position == delivery.position,
        _events.claim_token == literal(delivery.claim_token),
    )


def _following(delivery: OutboxDelivery, at: datetime) -> Update:
    """Postpone the job's later events as long as this one."""
    return (
        update(webhook_events)
        .where(
            _events.job_id == delivery.event.job_id,
            _waits_for_another(delivery.position, at),
        )
        .values(next_attempt_at=literal(at, UtcDateTime()))
    )


def _over(status: EventStatus) -> dict[str, Any]:
    return {"status": status, "next_attempt_at": None, "claim_token": None}
