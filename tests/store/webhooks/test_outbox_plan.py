"""Looking for what to send costs the same, however much was sent: by plan."""

from datetime import timedelta
from typing import Any

from sqlalchemy import event, insert, text
from uuid_utils.compat import uuid7

from app.domain.events import EventStatus, EventType
from app.schemas.events import body_of
from app.store.db.engine import Database
from app.store.webhooks.deliveries import DeliveryStore
from app.store.webhooks.tables import webhook_events
from tests.support.accounts import VAULT
from tests.support.factories import NOW

DELIVERED = 3000
WAITING = 300


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


async def test_a_look_reads_only_what_is_due(database: Database) -> None:
    """One range of the partial index; and an idle look is this one statement."""
    async with database.write() as connection:
        rows = [row(number) for number in range(DELIVERED + WAITING)]
        await connection.execute(insert(webhook_events), rows)
    async with database.write() as connection:
        await connection.execute(text("ANALYZE"))
    sent: list[tuple[str, Any]] = []

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        if "webhook" in call[2]:
            sent.append((call[2], call[3]))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    store = DeliveryStore(database, VAULT, lease=timedelta(seconds=30), render=body_of)
    assert await store.claim_due(now=NOW, limit=9, each=9, busy={"proj_1": 9}) == ()
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    ((sql, parameters),) = sent
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    async with database.read() as connection:
        found = await connection.exec_driver_sql(f"{explain} {sql}", parameters)
        plan = "\n".join(str(step[-1]) for step in found)
    assert "ix_webhook_events_due" in plan
    assert "ix_webhook_events_pending" in plan
    for costly in ("Seq Scan", "SCAN webhook_events", "TEMP B-TREE", "Sort"):
        assert costly not in plan, plan
