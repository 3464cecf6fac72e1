"""Where a project is told: endpoint, secret, events, replay."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from app.domain.errors import NotFound
from app.domain.events import EventType
from app.domain.webhook_endpoint import DeliveryResult, WebhookEndpoint, secret_text
from app.schemas.events import body_of
from app.store.db.engine import Database
from app.store.db.vault import Vault
from app.store.webhooks.deliveries import DeliveryStore
from app.store.webhooks.endpoints import (
    PutResult,
    ReplayFilter,
    WebhookStore,
    new_event_id,
)
from app.store.webhooks.tables import webhook_endpoints
from tests.support.accounts import VAULT
from tests.support.factories import NOW
from tests.support.outbox import happen, told

URL = "https://app.example.com/hook"
OLD, NEW, FRESH = (secret_text(key * 32) for key in (b"1", b"2", b"3"))
DAY = timedelta(days=1)
TAKEN = DeliveryResult(at=NOW, status=200, error=None)


@pytest.fixture
def webhooks(database: Database) -> WebhookStore:
    """Give people's side."""
    return WebhookStore(database, VAULT)


async def put(webhooks: WebhookStore, secret: str | None = None) -> PutResult:
    """Put the endpoint of proj_1."""
    return await webhooks.put("proj_1", url=URL, secret=secret, fresh=FRESH, now=NOW)


async def deliver(database: Database) -> None:
    """Let everything that is due arrive."""
    store = DeliveryStore(database, VAULT, lease=DAY, render=body_of)
    while some := await store.claim_due(now=NOW, limit=50, each=50, busy={}):
        for delivery in some:
            await store.delivered(delivery, TAKEN)


async def secrets(webhooks: WebhookStore) -> tuple[str, ...]:
    """Return what signs now."""
    return (await webhooks.get("proj_1", now=NOW)).secrets


async def test_an_endpoint_comes_back_as_it_was_put(webhooks: WebhookStore) -> None:
    """The first put makes it, with the secret that was given."""
    done = await put(webhooks, OLD)
    assert (done.created, done.uses_fresh) == (True, False)
    assert await webhooks.get("proj_1", now=NOW) == done.endpoint
    assert (done.endpoint.url, done.endpoint.secrets) == (URL, (OLD,))


async def test_without_a_secret_one_is_made_up_once(webhooks: WebhookStore) -> None:
    """A later put without one keeps the present one."""
    assert (await put(webhooks)).uses_fresh
    again = await webhooks.put("proj_1", url=URL, secret=None, fresh=NEW, now=NOW)
    assert (again.created, again.uses_fresh) == (False, False)
    assert again.endpoint.secrets == (FRESH,)


async def test_a_new_secret_leaves_the_former_one_for_a_day(
    webhooks: WebhookStore,
) -> None:
    """The newest signs first; the same secret again changes nothing."""
    for secret in (OLD, NEW, NEW):
        await put(webhooks, secret)
        assert (await secrets(webhooks))[0] == secret
    assert await secrets(webhooks) == (NEW, OLD)
    assert (await webhooks.get("proj_1", now=NOW + DAY)).secrets == (NEW,)


async def test_a_secret_that_no_key_opens_is_replaced(
    database: Database, webhooks: WebhookStore
) -> None:
    """Putting the endpoint anew heals it, even without a secret."""
    await put(WebhookStore(database, Vault([b"x" * 32])), OLD)
    assert await secrets(webhooks) == ()
    assert (await put(webhooks)).uses_fresh
    assert await secrets(webhooks) == (FRESH,)


async def test_secrets_are_encrypted_for_their_row(
    database: Database, webhooks: WebhookStore
) -> None:
    """None lies open in the table, and none opens in another project's row."""
    for secret in (OLD, NEW):
        await put(webhooks, secret)
    async with database.write() as connection:
        row = (await connection.execute(select(webhook_endpoints))).mappings().one()
        for secret in (OLD, NEW):
            assert secret.removeprefix("whsec_") not in str(dict(row))
        moved = {**row, "project_id": "proj_2"}
        await connection.execute(webhook_endpoints.insert().values(moved))
    stolen: WebhookEndpoint = await webhooks.get("proj_2", now=NOW)
    assert stolen.secrets == ()


async def test_removing_an_endpoint_removes_its_events(
    database: Database, webhooks: WebhookStore
) -> None:
    """Those of other projects stay."""
    await put(webhooks)
    await happen(database, now=NOW)
    await happen(database, now=NOW, project_id="proj_2")
    await webhooks.delete("proj_1")
    assert [event["project_id"] for event in await told(database)] == ["proj_2"]
    for missing in (webhooks.delete("proj_1"), webhooks.get("proj_1", now=NOW)):
        with pytest.raises(NotFound):
            await missing


async def test_events_are_listed_newest_first(
    database: Database, webhooks: WebhookStore
) -> None:
    """Page by page, each once, and those of other projects never."""
    for _ in range(5):
        await happen(database, now=NOW)
        await happen(database, now=NOW, project_id="proj_2")
    found: list[str] = []
    while page := await webhooks.events(
        "proj_1", limit=2, after_id=found[-1] if found else None
    ):
        found += [event.id for event in page]
    mine = [
        each["id"] for each in await told(database) if each["project_id"][-1] == "1"
    ]
    assert found == mine[::-1]


async def test_a_replay_sends_again_what_it_names(
    database: Database, webhooks: WebhookStore
) -> None:
    """One by its id, a time, or only what failed; nothing of another project's."""
    await put(webhooks)
    for hours in range(4):
        at = NOW - timedelta(hours=hours)
        await happen(database, now=at)
        await happen(database, now=at, project_id="proj_2")
    await deliver(database)
    newest, *_ = await told(database)
    since = ReplayFilter(since=NOW - timedelta(hours=2), until=NOW)
    failed = ReplayFilter(since=NOW - DAY, failed_only=True)
    one = ReplayFilter(event_id=newest["id"])
    for which, count in ((one, 1), (since, 2), (failed, 0)):
        assert await webhooks.replay("proj_1", which, now=NOW) == count
        pending = [each for each in await told(database) if each["status"] == "pending"]
        assert [(e["attempts"], e["next_attempt_at"]) for e in pending] == [
            (0, NOW)
        ] * count
        await deliver(database)


@pytest.mark.parametrize("event_id", ["nothing", "another's"])
async def test_only_its_own_events_can_be_replayed(
    database: Database, webhooks: WebhookStore, event_id: str
) -> None:
    """Another project's event is not found, like one that does not exist."""
    await put(webhooks)
    await happen(database, now=NOW, project_id="proj_2")
    (other,) = await told(database)
    named = other["id"] if event_id == "another's" else event_id
    with pytest.raises(NotFound):
        await webhooks.replay("proj_1", ReplayFilter(event_id=named), now=NOW)


async def test_what_is_being_sent_is_not_taken_from_its_sender(
    database: Database, webhooks: WebhookStore
) -> None:
    """A replay of what is under way changes nothing."""
    await put(webhooks)
    await happen(database, now=NOW)
    await DeliveryStore(database, VAULT, lease=DAY, render=body_of).claim_due(
        now=NOW, limit=1, each=1, busy={}
    )
    before = await told(database)
    assert await webhooks.replay("proj_1", ReplayFilter(since=NOW), now=NOW) == 0
    assert await told(database) == before


async def test_old_events_are_pruned(
    database: Database, webhooks: WebhookStore
) -> None:
    """A batch at a time; what is still to be sent stays, however old."""
    await put(webhooks)
    for _ in range(3):
        await happen(database, now=NOW - DAY)
    await deliver(database)
    await happen(database, now=NOW - DAY)
    await happen(database, now=NOW)
    assert await webhooks.prune(before=NOW, limit=2) == 2
    assert await webhooks.prune(before=NOW, limit=2) == 1
    assert [event["status"] for event in await told(database)] == ["pending"] * 2


async def test_a_test_is_no_part_of_a_replay(
    database: Database, webhooks: WebhookStore
) -> None:
    """It is listed with how it went, and sent again only by its id."""
    await put(webhooks)
    event_id = new_event_id()
    await webhooks.record_test("proj_1", event_id, b"{}", TAKEN)
    (event,) = await webhooks.events("proj_1", limit=9, after_id=None)
    assert (event.id, event.type) == (event_id, EventType.TEST)
    assert await webhooks.last_try("proj_1") == event
    assert await webhooks.replay("proj_1", ReplayFilter(since=NOW - DAY), now=NOW) == 0
    one = ReplayFilter(event_id=event_id)
    assert await webhooks.replay("proj_1", one, now=NOW) == 1
