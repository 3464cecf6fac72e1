"""Looking for what to send costs the same, however much was sent: by plan."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, text
from uuid_utils.compat import uuid7

from app.domain.events import EventStatus, EventType
from app.domain.jobs.redating import Bounds
from app.domain.webhook_endpoint import DeliveryResult
from app.schemas.events import body_of
from app.store.db.engine import Database
from app.store.jobs.recovery.redated import RedatingStore
from app.store.webhooks.deliveries import DeliveryStore
from app.store.webhooks.tables import webhook_events
from tests.support.accounts import VAULT
from tests.support.factories import NOW

DELIVERED = 3000
WAITING = 300
COSTLY = ("Seq Scan", "SCAN webhook_events")


def row(number: int) -> dict[str, Any]:
    """Fill a row: most are delivered, some wait for another try."""
    waits = number >= DELIVERED
    return {
        "id": str(uuid7()),
        "project_id": f"proj_{number % 20}",
        "job_id": f"job_{number // 2}",
        "type": EventType.JOB_POSTED,
        "data": {},
        "created_at": NOW,
        "status": EventStatus.PENDING if waits else EventStatus.DELIVERED,
        "attempts": 1,
        "next_attempt_at": NOW + timedelta(minutes=number) if waits else None,
    }


async def test_a_look_reads_only_what_is_due(busy: Database) -> None:
    """One range of the partial index; and an idle look is this one statement."""
    store = DeliveryStore(busy, VAULT, lease=timedelta(seconds=30), render=body_of)
    plan = await plan_of(
        busy, store.claim_due(now=NOW, limit=9, each=9, busy={"proj_1": 9})
    )
    assert "ix_webhook_events_due" in plan
    assert "ix_webhook_events_pending" in plan
    for costly in (*COSTLY, "TEMP B-TREE", "Sort"):
        assert costly not in plan, plan


async def test_what_a_wrong_clock_put_off_is_found_by_an_index(busy: Database) -> None:
    """A page of those furthest ahead, whatever there is."""
    day = timedelta(days=1)
    bounds = Bounds(lease=day, longest=day, delivery=day, slack=day / 1000)
    plan = await plan_of(busy, RedatingStore(busy, bounds).run(now=NOW))
    assert "ix_webhook_events_due" in plan
    for costly in COSTLY:
        assert costly not in plan, plan


async def test_a_receipt_finds_its_jobs_events_by_an_index(busy: Database) -> None:
    """However many there are; on Postgres it is one statement."""
    if busy.is_sqlite:
        pytest.skip("it takes two statements there")
    store = DeliveryStore(busy, VAULT, lease=timedelta(seconds=30), render=body_of)
    later = NOW + timedelta(minutes=DELIVERED + 1)
    (due, *_) = await store.claim_due(now=later, limit=1, each=1, busy={})
    taken = DeliveryResult(at=later, status=200, error=None)
    plan = await plan_of(busy, store.delivered(due, taken))
    assert "pk_webhook_events" in plan
    assert "ix_webhook_events_pending" in plan
    for costly in COSTLY:
        assert costly not in plan, plan


@pytest.fixture
async def busy(database: Database) -> Database:
    """Give a database with many events."""
    async with database.write() as connection:
        rows = [row(number) for number in range(DELIVERED + WAITING)]
        await connection.execute(insert(webhook_events), rows)
    async with database.write() as connection:
        await connection.execute(text("ANALYZE"))
    return database


async def plan_of(database: Database, call: Awaitable[object]) -> str:
    """Return the plan of the one statement about events that a call executes."""
    sent: list[tuple[str, Any]] = []

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        if "webhook" in call[2]:
            sent.append((call[2], call[3]))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    await call
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    ((sql, parameters),) = sent
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    async with database.read() as connection:
        found = await connection.exec_driver_sql(f"{explain} {sql}", parameters)
        return "\n".join(str(step[-1]) for step in found)
