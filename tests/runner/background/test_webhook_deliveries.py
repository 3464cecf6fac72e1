"""Events are sent to frontends signed, in order, until they arrive."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from app.domain.errors import WebhookDisabled
from app.domain.events import EventType
from app.domain.webhook_endpoint import DisabledReason, EndpointStatus, secret_text
from app.machine.shortage import AGAIN_AFTER
from app.outbound.webhook_sender import REFUSED, TOO_SLOW, UNREACHABLE, UNSIGNED
from app.runner.background.webhook_deliveries import (
    AT_ONCE,
    AT_ONCE_EACH,
    NO_ENDPOINT,
    STALLED_AFTER,
    UNWRITTEN,
)
from app.schemas.accounts import AccountAnswer
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.db.vault import Vault
from app.store.webhooks.endpoints import ReplayFilter, WebhookStore
from app.store.webhooks.tables import webhook_events
from tests.runner.delivering import LEASE, STEPS, Hands, sender
from tests.support.accounts import VAULT, new_account
from tests.support.outbox import happen, listen, told
from tests.support.receiver import SECRET, Receiver, receiving
from tests.support.shortages import no_descriptors

POSTED, RETRYING = EventType.JOB_POSTED, EventType.JOB_RETRYING


@pytest.fixture
def clock() -> Hands:
    """Give a clock that stands."""
    return Hands()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give one process's connection to a fresh database."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give a frontend that takes everything."""
    async with receiving() as receiver:
        yield receiver


async def statuses(database: Database) -> list[str]:
    """Return how far each event got."""
    return [event["status"] for event in await told(database)]


async def test_what_arrives_is_signed_and_right(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """The reference library verifies it, and the body says what happened to whom."""
    await listen(database, receiver.url, now=clock.now())
    job_id = await happen(database, now=clock.now())
    await sender(database, clock).run_due()
    (received,) = receiver.received
    event = received.verified()
    assert (event["type"], event["data"]["id"]) == ("job.posted", job_id)
    assert received.headers["content-type"] == "application/json"
    (kept,) = await told(database)
    assert (kept["id"], kept["status"]) == (received.id, "delivered")
    assert (kept["attempts"], kept["last_status"], kept["last_error"]) == (1, 200, None)
    assert kept["next_attempt_at"] is None


async def test_a_lost_account_is_shown_without_its_tokens(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """The event shows it as GET does at that moment, without tokens."""
    await listen(database, receiver.url, now=clock.now())
    accounts = AccountStore(database, VAULT)
    account, _ = await accounts.put(new_account(), now=clock.now())
    await accounts.mark_reconnect_required(
        account.project_id,
        account.platform,
        reason="invalid_grant",
        grant_version=account.grant_version,
        now=clock.now(),
    )
    await sender(database, clock).run_due()
    (received,) = receiver.received
    event = received.verified()
    lost = await accounts.get(account.project_id, account.platform)
    shown = AccountAnswer.of(lost).model_dump(mode="json", by_alias=True)
    assert event["type"] == "account.reconnect_required"
    assert event["data"] == shown
    assert event["data"]["status"] == "reconnect_required"
    for token in (account.grant.access_token, account.grant.refresh_token):
        assert token.encode() not in received.body


async def test_a_failed_event_is_tried_again_at_its_times(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """Never earlier, under the same id with the same body, until it is given up."""
    receiver.answers += [500, 404, 503]
    await listen(database, receiver.url, now=clock.now())
    await happen(database, now=clock.now())
    for count, step in enumerate((*STEPS, 10_000.0), start=1):
        await sender(database, clock).run_due()
        clock.forward(seconds=step - 0.001)
        await sender(database, clock).run_due()
        assert len(receiver.received) == count
        clock.forward(seconds=0.001)
    await sender(database, clock).run_due()
    assert len({each.id for each in receiver.received}) == 1
    assert len({each.body for each in receiver.received}) == 1
    times = [int(each.headers["webhook-timestamp"]) for each in receiver.received]
    assert times[2] - times[0] == sum(STEPS)
    (event,) = await told(database)
    assert (event["status"], event["attempts"]) == ("failed", 3)
    assert event["last_error"] == "it answered 503"


@pytest.mark.parametrize(("status", "waits"), [(429, 60), (503, 60), (500, 5)])
async def test_a_receiver_that_is_busy_is_given_its_time(
    database: Database, clock: Hands, receiver: Receiver, status: int, waits: int
) -> None:
    """Retry-After of a 429 or 503 is heeded; of another answer it means nothing."""
    receiver.answers.append(status)
    receiver.headers = "retry-after: 60\r\n"
    await listen(database, receiver.url, now=clock.now())
    await happen(database, now=clock.now())
    await sender(database, clock).run_due()
    clock.forward(seconds=waits - 0.001)
    await sender(database, clock).run_due()
    assert len(receiver.received) == 1
    clock.forward(seconds=0.001)
    await sender(database, clock).run_due()
    assert await statuses(database) == ["delivered"]


async def test_events_of_one_job_keep_their_order(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """A later one waits for the former; those of other jobs do not."""
    receiver.answers.append(500)
    await listen(database, receiver.url, now=clock.now())
    job_id = await happen(database, RETRYING, now=clock.now())
    await sender(database, clock).run_due()
    await happen(database, POSTED, now=clock.now(), job_id=job_id)
    other = await happen(database, POSTED, now=clock.now())
    await sender(database, clock).run_due()
    assert await statuses(database) == ["pending", "pending", "delivered"]
    clock.forward(seconds=STEPS[0])
    await sender(database, clock).run_due()
    seen = [each.verified() for each in receiver.received]
    jobs = [event["data"]["id"] for event in seen]
    assert jobs == [job_id, other, job_id, job_id]
    assert [event["type"] for event in seen[2:]] == ["job.retrying", "job.posted"]


async def test_a_dead_event_blocks_its_job_no_longer(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """Once it is given up, the next one goes at once."""
    receiver.answers += [500, 500, 500]
    await listen(database, receiver.url, now=clock.now())
    job_id = await happen(database, RETRYING, now=clock.now())
    await happen(database, POSTED, now=clock.now(), job_id=job_id)
    for step in (*STEPS, 0.0):
        await sender(database, clock).run_due()
        clock.forward(seconds=step)
    assert await statuses(database) == ["failed", "delivered"]
    assert len(receiver.received) == 4


async def test_410_disables_an_endpoint_at_once(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """Nothing is sent there any more until it is put anew; a replay loses nothing."""
    receiver.answers.append(410)
    await listen(database, receiver.url, now=clock.now())
    job_id = await happen(database, RETRYING, now=clock.now())
    await happen(database, POSTED, now=clock.now(), job_id=job_id)
    await sender(database, clock).run_due()
    clock.forward(days=1)
    await sender(database, clock).run_due()
    assert len(receiver.received) == 1
    store = WebhookStore(database, VAULT)
    endpoint = await store.get("proj_1", now=clock.now())
    assert endpoint.status is EndpointStatus.DISABLED
    assert endpoint.disabled_reason is DisabledReason.GONE
    assert await statuses(database) == ["failed", "failed"]
    since = ReplayFilter(since=endpoint.created_at)
    with pytest.raises(WebhookDisabled):
        await store.replay("proj_1", since, now=clock.now())
    await listen(database, receiver.url, now=clock.now())
    assert await store.replay("proj_1", since, now=clock.now()) == 2
    await sender(database, clock).run_due()
    assert await statuses(database) == ["delivered", "delivered"]


@pytest.mark.parametrize("heard", [False, True])
async def test_days_of_nothing_but_failure_disable_an_endpoint(
    database: Database, clock: Hands, receiver: Receiver, *, heard: bool
) -> None:
    """One receipt in between, and it is called on."""
    await listen(database, receiver.url, now=clock.now())
    for answers in ([500], [200] if heard else [500], [500], [500]):
        receiver.answers[:] = answers
        await happen(database, now=clock.now())
        async with database.write() as connection:
            # Each event for itself: the retries of the former ones are no matter here.
            await connection.exec_driver_sql(
                "UPDATE webhook_events SET status = 'failed', next_attempt_at = NULL"
                " WHERE attempts > 0 AND status = 'pending'"
            )
        await sender(database, clock).run_due()
        clock.forward(days=2)
    endpoint = await WebhookStore(database, VAULT).get("proj_1", now=clock.now())
    expected = None if heard else DisabledReason.FAILING
    assert endpoint.disabled_reason is expected
    assert endpoint.failing_since is not None


async def test_a_slow_receiver_delays_nobody(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """It gets so many at a time; another project's events arrive meanwhile."""
    receiver.open.clear()
    async with receiving() as quick:
        await listen(database, receiver.url, now=clock.now(), project_id="slow")
        await listen(database, quick.url, now=clock.now(), project_id="quick")
        for _ in range(AT_ONCE_EACH + 3):
            await happen(database, now=clock.now(), project_id="slow")
        deliveries = sender(database, clock)
        passing = asyncio.create_task(deliveries.run_due())
        await receiver.got(AT_ONCE_EACH)
        await happen(database, now=clock.now(), project_id="quick")
        deliveries.hint.set()
        await quick.got(1)
        assert receiver.at_once == AT_ONCE_EACH
        receiver.open.set()
        await passing
    assert set(await statuses(database)) == {"delivered"}
    assert receiver.most_at_once == AT_ONCE_EACH


async def test_receivers_that_hang_leave_room_for_others(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """However many they are: each has one send at a time once it has stalled."""
    receiver.open.clear()
    async with receiving() as quick:
        await listen(database, quick.url, now=clock.now(), project_id="quick")
        for number in range(AT_ONCE // AT_ONCE_EACH):
            project = f"slow_{number}"
            await listen(database, receiver.url, now=clock.now(), project_id=project)
            for _ in range(AT_ONCE_EACH + 1):
                await happen(database, now=clock.now(), project_id=project)
        deliveries = sender(database, clock)
        passing = asyncio.create_task(deliveries.run_due())
        await receiver.got(AT_ONCE)
        clock.forward(seconds=STALLED_AFTER.total_seconds())
        await happen(database, now=clock.now(), project_id="quick")
        deliveries.hint.set()
        await quick.got(1)
        assert receiver.at_once == AT_ONCE
        receiver.open.set()
        await passing
    assert set(await statuses(database)) == {"delivered"}


async def test_what_is_broken_off_is_sent_again_after_its_lease(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """It is sent again with the same id after its lease."""
    receiver.open.clear()
    await listen(database, receiver.url, now=clock.now())
    await happen(database, now=clock.now())
    passing = asyncio.create_task(sender(database, clock).run_due())
    await receiver.got(1)
    passing.cancel()
    await asyncio.gather(passing, return_exceptions=True)
    receiver.open.set()
    await sender(database, clock).run_due()
    assert await statuses(database) == ["pending"]
    clock.forward(seconds=LEASE.total_seconds())
    await sender(database, clock).run_due()
    assert await statuses(database) == ["delivered"]
    assert len({each.id for each in receiver.received}) == 1


async def test_two_workers_send_each_event_once(
    database_url: str, database: Database, clock: Hands, receiver: Receiver
) -> None:
    """Neither takes what the other one has."""
    await listen(database, receiver.url, now=clock.now())
    for _ in range(30):
        await happen(database, now=clock.now())
    other = Database(database_url)
    senders = [sender(each, clock) for each in (database, other)]
    await asyncio.gather(*(each.run_due() for each in senders))
    await other.close()
    assert set(await statuses(database)) == {"delivered"}
    assert len({each.id for each in receiver.received}) == len(receiver.received) == 30


async def test_a_redirect_is_no_receipt(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """Nobody is led anywhere else."""
    async with receiving() as elsewhere:
        receiver.answers.append(307)
        receiver.headers = f"location: {elsewhere.url}\r\n"
        await listen(database, receiver.url, now=clock.now())
        await happen(database, now=clock.now())
        await sender(database, clock).run_due()
        assert elsewhere.received == []
    assert (await told(database))[0]["last_error"] == "it answered 307"


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "http://x/"]
)
async def test_private_addresses_are_not_called(
    database: Database, clock: Hands, url: str
) -> None:
    """The address is vetted at every call, whatever is stored."""
    await listen(database, url, now=clock.now())
    await happen(database, now=clock.now())
    await sender(database, clock, allow_private=False).run_due()
    assert (await told(database))[0]["last_error"] == REFUSED


async def test_silence_is_a_failure(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """A receiver that takes too long gets the event again later."""
    receiver.open.clear()
    await listen(database, receiver.url, now=clock.now())
    await happen(database, now=clock.now())
    await sender(database, clock, seconds=0.05).run_due()
    (event,) = await told(database)
    assert (event["status"], event["last_error"]) == ("pending", TOO_SLOW)


async def test_nobody_there_is_a_failure(database: Database, clock: Hands) -> None:
    """Nobody listens on the discard port."""
    await listen(database, "http://127.0.0.1:9/", now=clock.now())
    await happen(database, now=clock.now())
    await sender(database, clock).run_due()
    assert (await told(database))[0]["last_error"] == UNREACHABLE


async def test_an_event_without_its_endpoint_is_given_up(
    database: Database, clock: Hands
) -> None:
    """One that was written as the endpoint was removed must not stay for ever."""
    await happen(database, now=clock.now())
    await sender(database, clock).run_due()
    (event,) = await told(database)
    assert (event["status"], event["last_error"]) == ("failed", NO_ENDPOINT)


async def test_an_event_that_cannot_be_written_holds_nobody_up(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """It is tried again like one that did not arrive; all others go."""
    await listen(database, receiver.url, now=clock.now())
    for _ in range(2):
        await happen(database, now=clock.now())
    first, _ = await told(database)
    async with database.write() as connection:
        broken = webhook_events.update().where(webhook_events.c.id == first["id"])
        await connection.execute(broken.values(data={}))
    await sender(database, clock).run_due()
    assert await statuses(database) == ["pending", "delivered"]
    assert (await told(database))[0]["last_error"] == UNWRITTEN


async def test_a_replaced_secret_signs_along_for_a_day(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """A receiver that knows either of them verifies; a day later the new one alone."""
    other = secret_text(b"another secret of 32 bytes, here")
    await listen(database, receiver.url, now=clock.now())
    await listen(database, receiver.url, now=clock.now(), secret=other)
    await happen(database, now=clock.now())
    await sender(database, clock).run_due()
    clock.forward(hours=24)
    await happen(database, now=clock.now())
    await sender(database, clock).run_due()
    first, second = receiver.received
    assert first.verified(SECRET) == first.verified(other)
    assert first.headers["webhook-signature"].count("v1,") == 2
    assert second.headers["webhook-signature"].count("v1,") == 1


async def test_a_secret_that_no_key_opens_signs_nothing(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """Unsigned events are not sent; the endpoint has to be put anew."""
    await listen(database, receiver.url, now=clock.now())
    await happen(database, now=clock.now())
    await sender(database, clock, vault=Vault([b"x" * 32])).run_due()
    assert receiver.received == []
    assert (await told(database))[0]["last_error"] == UNSIGNED


async def test_no_log_line_holds_the_secret_or_the_url(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """No log line holds the secret or the URL, whether the delivery works or not."""
    receiver.answers += [500, 200, 410]
    url = f"{receiver.url}?token=s3cret-of-the-receiver"
    await listen(database, url, now=clock.now())
    with capture_logs() as lines:
        for _ in range(3):
            await happen(database, now=clock.now())
            await sender(database, clock).run_due()
    assert len(lines) >= 3
    endpoint = await WebhookStore(database, VAULT).get("proj_1", now=clock.now())
    for shown in (str(lines), repr(endpoint)):
        assert "s3cret" not in shown
        assert SECRET.removeprefix("whsec_") not in shown


async def test_our_own_shortage_is_no_try(
    database: Database, clock: Hands, receiver: Receiver
) -> None:
    """Without descriptors or threads nobody was asked: it goes out a moment later."""
    await listen(database, receiver.url, now=clock.now())
    await happen(database, now=clock.now())
    await database_is_open(database)
    with no_descriptors():
        await sender(database, clock).run_due()
    (event,) = await told(database)
    assert (event["attempts"], event["status"]) == (0, "pending")
    assert receiver.received == []
    clock.forward(seconds=AGAIN_AFTER.total_seconds())
    await sender(database, clock).run_due()
    (event,) = await told(database)
    assert (event["attempts"], event["status"]) == (1, "delivered")


async def database_is_open(database: Database) -> None:
    """Open what a delivery needs of the database, before nothing can be opened."""
    async with database.read(), database.read():
        pass
