"""Claiming events to send, and writing how that went."""

import asyncio
import json
from collections import Counter
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy import event, text

from app.domain.events import EventType, Render
from app.domain.webhook_endpoint import DeliveryResult, DisabledReason, EndpointStatus
from app.schemas.events import body_of
from app.store.db.engine import Database
from app.store.webhooks.deliveries import DeliveryStore, OutboxDelivery
from app.store.webhooks.endpoints import ReplayFilter, WebhookStore
from tests.support.accounts import VAULT
from tests.support.factories import NOW
from tests.support.outbox import happen, listen, told
from tests.support.sql import until_one_waits

URL = "https://app.example.com/hook"
LEASE = timedelta(seconds=30)
LATER = NOW + timedelta(minutes=5)
TAKEN = DeliveryResult(at=NOW, status=200, error=None)
LOCKED = "SELECT 1 FROM webhook_events {} FOR UPDATE"
REFUSED = DeliveryResult(at=NOW, status=500, error="it answered 500")


def store(database: Database) -> DeliveryStore:
    """Give one worker's side of the outbox."""
    return DeliveryStore(database, VAULT, lease=LEASE, render=body_of)


async def claim(
    database: Database, *, limit: int = 100, each: int = 100, **busy: int
) -> tuple[OutboxDelivery, ...]:
    """Claim what is due."""
    return await store(database).claim_due(now=NOW, limit=limit, each=each, busy=busy)


async def claim_one(database: Database) -> OutboxDelivery:
    """Claim the one event that is due."""
    await listen(database, URL, now=NOW)
    await happen(database, now=NOW)
    (delivery,) = await claim(database)
    return delivery


@pytest.fixture
def webhooks(database: Database) -> WebhookStore:
    """Give people's side."""
    return WebhookStore(database, VAULT)


async def test_each_event_is_claimed_once(processes: list[Database]) -> None:
    """However many workers look at the same time."""
    await listen(processes[0], URL, now=NOW)
    for _ in range(20):
        await happen(processes[0], now=NOW)
    claims = [claim(each, limit=7) for each in processes * 2]
    found = [each.event.id for some in await asyncio.gather(*claims) for each in some]
    while more := await claim(processes[0]):
        found += [each.event.id for each in more]
    assert len(found) == len(set(found)) == 20


async def test_no_project_gets_more_than_its_share(database: Database) -> None:
    """What is under way counts; the others go on behind a long line."""
    for project in ("proj_1", "proj_2"):
        await listen(database, URL, now=NOW, project_id=project)
        for _ in range(5):
            await happen(database, now=NOW, project_id=project)
    claimed = await claim(database, each=3, proj_1=2)
    shares = Counter(each.event.project_id for each in claimed)
    assert shares == {"proj_1": 1, "proj_2": 3}
    claimed = await claim(database, each=3, proj_1=3, proj_2=2)
    assert [each.event.project_id for each in claimed] == ["proj_2"]


async def test_a_line_longer_than_a_look_hides_nobody(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has a full share is left out of the next look, which is at once."""
    monkeypatch.setattr("app.store.webhooks.deliveries._WINDOW", 2)
    for project in ("proj_1", "proj_2"):
        await listen(database, URL, now=NOW, project_id=project)
    for _ in range(4):
        await happen(database, now=NOW, project_id="proj_1")
    await happen(database, now=NOW, project_id="proj_2")
    claimed = await claim(database, each=1)
    assert {each.event.project_id for each in claimed} == {"proj_1", "proj_2"}
    assert len(claimed) == 2
    assert len(await claim(database, each=2, proj_1=1)) == 1
    assert len(await claim(database, limit=3)) == 2  # none twice


async def test_a_worker_whose_lease_ended_writes_nothing(database: Database) -> None:
    """The event is another one's by then, and so is its outcome."""
    late = await claim_one(database)
    (present,) = await store(database).claim_due(
        now=NOW + LEASE, limit=1, each=1, busy={}
    )
    before = await told(database)
    await store(database).delivered(late, TAKEN)
    await store(database).failed(late, REFUSED, retry_at=None)
    assert await told(database) == before
    await store(database).delivered(present, TAKEN)
    assert (await told(database))[0]["status"] == "delivered"


async def test_a_failure_puts_its_jobs_next_events_off(database: Database) -> None:
    """They would only stand in the way of every look; a receipt frees them."""
    first = await claim_one(database)
    job_id = first.event.job_id
    await happen(database, EventType.JOB_FAILED, now=NOW, job_id=job_id)
    other = await happen(database, now=NOW)
    assert [each.event.job_id for each in await claim(database)] == [other]
    await store(database).failed(first, REFUSED, retry_at=LATER)
    assert [each["next_attempt_at"] for each in (await told(database))[:2]] == [
        LATER
    ] * 2
    claimed = await store(database).claim_due(now=LATER, limit=9, each=9, busy={})
    (again,) = (each for each in claimed if each.event.id == first.event.id)
    await store(database).delivered(again, TAKEN)
    assert (await told(database))[1]["next_attempt_at"] == NOW


async def test_a_receipt_is_one_statement(postgres_url: str) -> None:
    """On Postgres, in no transaction of its own; the job's next events are due."""
    database = Database(postgres_url)
    delivery = await claim_one(database)
    await happen(database, now=LATER, job_id=delivery.event.job_id)
    sent = list[str]()

    def note(*call: object) -> None:
        sent.append(str(call[2]))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    await store(database).delivered(delivery, TAKEN)
    assert len(sent) == 1
    first, following = await told(database)
    assert (first["status"], first["attempts"]) == ("delivered", 1)
    assert first["claim_token"] is None
    assert (first["last_attempt_at"], first["last_status"]) == (NOW, 200)
    assert (following["status"], following["next_attempt_at"]) == ("pending", NOW)
    await database.close()


async def test_what_happens_during_a_send_follows_at_once(database: Database) -> None:
    """It waits for the send to end, not for the end of its lease."""
    delivery = await claim_one(database)
    await happen(database, now=NOW, job_id=delivery.event.job_id)
    assert await claim(database) == ()
    await store(database).delivered(delivery, TAKEN)
    (following,) = await claim(database)
    assert following.event.job_id == delivery.event.job_id


async def test_a_receipt_ends_a_row_of_failures(
    database: Database, webhooks: WebhookStore
) -> None:
    """Only what has failed without a break can disable an endpoint."""
    await listen(database, URL, now=NOW)
    for sent, since in ((REFUSED, NOW), (TAKEN, None), (REFUSED, NOW)):
        await happen(database, now=NOW)
        (delivery,) = await claim(database)
        if sent is TAKEN:
            await store(database).delivered(delivery, sent)
        else:
            await store(database).failed(delivery, sent, retry_at=None)
        endpoint = await webhooks.get("proj_1", now=NOW)
        assert endpoint.failing_since == since


@pytest.mark.parametrize("how", ["delivered", "failed"])
async def test_a_result_locks_the_endpoint_before_its_event(
    postgres_url: str, how: str
) -> None:
    """As whoever disables it does: nobody waits for somebody who waits for him."""
    database = Database(postgres_url)
    delivery = await claim_one(database)
    assert delivery.endpoint is not None
    if how == "delivered":  # after a failure, which is over now
        endpoint = replace(delivery.endpoint, failing_since=NOW)
        result = store(database).delivered(replace(delivery, endpoint=endpoint), TAKEN)
    else:
        result = store(database).failed(delivery, REFUSED, retry_at=LATER)
    async with database.write() as connection:
        await connection.execute(text("SELECT 1 FROM webhook_endpoints FOR UPDATE"))
        writing = asyncio.create_task(result)
        await until_one_waits(postgres_url)
        await connection.execute(text(f"{LOCKED.format('')} NOWAIT"))
    await writing
    await database.close()


@pytest.mark.parametrize("how", ["disable", "delete", "replay"])
async def test_events_are_locked_in_their_order(postgres_url: str, how: str) -> None:
    """A job's later events are locked only after its earlier ones."""
    no_index = "?options=-c enable_indexscan=off -c enable_bitmapscan=off"
    database = Database(postgres_url + no_index)  # so the order is nobody's by chance
    await listen(database, URL, now=NOW)
    for _ in range(2):
        await happen(database, now=NOW)
    first = text("SELECT min(position) FROM webhook_events")
    async with database.write() as connection:  # the earlier row comes last on its page
        position = (await connection.execute(first)).scalar_one()
        moved = f"UPDATE webhook_events SET data = data WHERE position = {position}"
        await connection.execute(text(moved))
    webhooks = WebhookStore(database, VAULT)
    endpoint = await webhooks.get("proj_1", now=NOW)

    async def change() -> None:
        match how:
            case "disable":
                reason = DisabledReason.FAILING
                await store(database).disable(endpoint, reason, now=NOW)
            case "delete":
                await webhooks.delete("proj_1")
            case _:
                await webhooks.replay("proj_1", ReplayFilter(), now=NOW)

    async with database.write() as connection:
        earlier = LOCKED.format(f"WHERE position = {position}")
        await connection.execute(text(earlier))
        writing = asyncio.create_task(change())
        await until_one_waits(postgres_url)
        later = LOCKED.format(f"WHERE position > {position}")
        await connection.execute(text(f"{later} NOWAIT"))
    await writing
    await database.close()


async def test_an_endpoint_that_was_put_anew_is_not_disabled(
    database: Database, webhooks: WebhookStore
) -> None:
    """What the former one answered says nothing of the new one."""
    delivery = await claim_one(database)
    assert delivery.endpoint is not None
    await listen(database, URL, now=LATER)
    gone = DisabledReason.GONE
    assert not await store(database).disable(delivery.endpoint, gone, now=LATER)
    endpoint = await webhooks.get("proj_1", now=LATER)
    assert endpoint.status is EndpointStatus.ACTIVE
    assert await store(database).disable(endpoint, gone, now=LATER)
    assert not await store(database).disable(endpoint, gone, now=LATER)


async def test_what_was_heard_since_a_time_is_known(database: Database) -> None:
    """A receipt at or after it counts, an earlier one does not."""
    delivery = await claim_one(database)
    assert delivery.endpoint is not None
    await store(database).delivered(delivery, TAKEN)
    assert await store(database).has_delivered(delivery.endpoint, since=NOW)
    assert not await store(database).has_delivered(delivery.endpoint, since=LATER)


async def test_the_body_is_written_with_the_change(database_url: str) -> None:
    """It shows the job as it stood then, whoever sends it, and whenever."""
    database = Database(database_url, render=body_of)
    try:
        await listen(database, "https://example.com/hook", now=NOW)
        await happen(database, EventType.JOB_POSTED, now=NOW)
        (event,) = await told(database)
        (sent,) = await claimed(database, render=_refuse)
    finally:
        await database.close()
    assert sent.body == event["body"].encode()
    shown = json.loads(event["body"])
    assert (shown["type"], shown["data"]["id"]) == ("job.posted", event["job_id"])


async def test_a_body_that_an_older_process_left_out_is_written_once(
    database: Database,
) -> None:
    """Every later try, by whichever version, sends what the first one sent."""
    await listen(database, "https://example.com/hook", now=NOW)
    await happen(database, EventType.JOB_POSTED, now=NOW)
    assert (await told(database))[0]["body"] is None
    (first,) = await claimed(database)
    (again,) = await claimed(database, render=_refuse, now=NOW + 2 * LEASE)
    assert first.body == again.body is not None


async def test_what_cannot_be_written_stops_neither_its_change_nor_others(
    database_url: str,
) -> None:
    """The job's transition commits; its event is given up when it is to be sent."""
    database = Database(database_url, render=_refuse)
    try:
        await listen(database, "https://example.com/hook", now=NOW)
        await happen(database, EventType.JOB_POSTED, now=NOW)
        (sent,) = await claimed(database, render=_refuse)
    finally:
        await database.close()
    assert sent.body is None


def _refuse(kind: EventType, at: datetime, shows: object) -> bytes:
    raise ValueError("this version cannot write it")


async def claimed(
    database: Database, *, render: Render = body_of, now: datetime = NOW
) -> tuple[OutboxDelivery, ...]:
    """Claim what is due, as a process with this renderer does."""
    store = DeliveryStore(database, VAULT, lease=LEASE, render=render)
    return await store.claim_due(now=now, limit=9, each=9, busy={})
