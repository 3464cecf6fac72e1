"""The outbox: an event exists if and only if its transition committed."""

import re
from datetime import timedelta
from typing import Any, cast

import pytest
from msgspec import structs
from msgspec.structs import replace
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from app.domain.accounts.account import Account, AccountStatus
from app.domain.events import EventStatus, EventType, events_of
from app.domain.jobs.job import ErrorClass, Job, WaitingFor
from app.domain.jobs.outcome import (
    AuthLost,
    Fault,
    HandedOn,
    Outcome,
    Published,
    PutOff,
    Rejected,
    Transient,
    Unconfirmed,
)
from app.domain.jobs.readiness import REFUSED, UNREACHABLE, Readiness
from app.domain.webhook_endpoint import DisabledReason, EndpointStatus
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.readiness import ReadinessStore
from app.store.jobs.tables import schedule_jobs
from app.store.webhooks.outbox import job_events, tell
from app.store.webhooks.rows import payload_of
from app.store.webhooks.tables import webhook_endpoints, webhook_events
from tests.store.claiming import claim, claim_one, decided
from tests.support.accounts import VAULT, new_account
from tests.support.factories import (
    FAILED,
    LEASE,
    NOW,
    PROCESSING,
    abandoned,
    store_job,
    store_row,
)

FAULT = Fault(
    error_class=ErrorClass.TRANSIENT,
    code="internal_error",
    message="TikTok says “später” 🙈",
    http_status=500,
    log_id="20260409",
)
SOON = NOW + timedelta(seconds=5)


async def listen(
    database: Database,
    project_id: str = "proj_1",
    status: EndpointStatus = EndpointStatus.ACTIVE,
) -> None:
    """Give a project an endpoint; nothing is sent in these tests."""
    disabled = status is EndpointStatus.DISABLED
    async with database.write() as connection:
        await connection.execute(
            insert(webhook_endpoints).values(
                project_id=project_id,
                url="https://example.com/hook",
                secret="sealed",
                status=status,
                disabled_reason=DisabledReason.GONE if disabled else None,
                created_at=NOW,
                updated_at=NOW,
            )
        )


async def told(database: Database) -> list[dict[str, Any]]:
    """Return every event in the order in which it was written."""
    statement = select(webhook_events).order_by(webhook_events.c.position)
    async with database.read() as connection:
        return [dict(row) for row in (await connection.execute(statement)).mappings()]


async def types_told(database: Database) -> list[str]:
    """Return what was told, in short."""
    return [event["type"] for event in await told(database)]


async def end(
    database: Database, claims: ClaimStore, outcome: Outcome
) -> tuple[Job, Job]:
    """Claim a job, let it end so, and return it before and after."""
    await store_job(database)
    job = await claim_one(claims)
    after = await claims.apply(job, decided(job, outcome), now=SOON)
    assert after is not None
    return job, after


ENDS: list[tuple[Outcome, list[str]]] = [
    (Published(publish_id="pub_1", post_id="7602997517160123666"), ["job.posted"]),
    (Transient(fault=FAULT, in_flight=False), ["job.retrying"]),
    (Rejected(fault=replace(FAULT, error_class=ErrorClass.PERMANENT)), ["job.failed"]),
    (AuthLost(fault=replace(FAULT, error_class=ErrorClass.AUTH)), ["job.failed"]),
    (Unconfirmed(fault=FAULT), ["job.failed", "job.unconfirmed"]),
    (PutOff(until=SOON, waiting_for=WaitingFor.QUOTA), []),
    (HandedOn(resume_at=SOON), []),
]


@pytest.mark.parametrize(("outcome", "types"), ENDS, ids=lambda each: str(each)[:12])
async def test_each_end_of_an_attempt_tells_what_it_came_to(
    database: Database, claims: ClaimStore, outcome: Outcome, types: list[str]
) -> None:
    """One event per piece of news; being put off or handed on is none."""
    await listen(database)
    await end(database, claims, outcome)
    assert await types_told(database) == types


async def test_an_event_shows_the_job_as_it_was_then(
    database: Database, claims: ClaimStore
) -> None:
    """Later changes do not reach it, and it holds no secret of the claim."""
    await listen(database)
    _, after = await end(database, claims, Transient(fault=FAULT, in_flight=False))
    (event,) = await told(database)
    assert payload_of(event) == replace(after, media_token=None)
    assert (event["project_id"], event["job_id"]) == ("proj_1", after.id)
    assert (event["created_at"], event["next_attempt_at"]) == (SOON, SOON)
    assert {"claim_token", "media_token"}.isdisjoint(event["data"])


@pytest.mark.parametrize("listener", [None, "proj_2"])
async def test_without_an_endpoint_nothing_is_written(
    database: Database, claims: ClaimStore, listener: str | None
) -> None:
    """Nobody to tell, no row; the endpoint of another project hears nothing."""
    if listener is not None:
        await listen(database, listener)
    await end(database, claims, Published(publish_id="pub_1"))
    assert await told(database) == []


async def test_a_disabled_endpoint_gets_its_events_on_request_only(
    database: Database, claims: ClaimStore
) -> None:
    """They are kept for a replay and not sent."""
    await listen(database, status=EndpointStatus.DISABLED)
    await end(database, claims, Published(publish_id="pub_1"))
    (event,) = await told(database)
    assert (event["status"], event["next_attempt_at"]) == (EventStatus.FAILED, None)


async def test_a_worker_that_lost_its_claim_tells_nothing(
    database: Database, claims: ClaimStore
) -> None:
    """What it wanted to write did not happen."""
    await listen(database)
    await store_job(database)
    late = await claim_one(claims)
    again = NOW + LEASE
    await claim(claims, now=again)
    change = decided(late, Published(publish_id="pub_1"))
    assert await claims.apply(late, change, now=again) is None
    assert "job.posted" not in await types_told(database)


async def test_a_transaction_that_breaks_leaves_no_event(
    database: Database, claims: ClaimStore
) -> None:
    """The event goes with the transition that it tells of."""
    await listen(database)
    await store_job(database)
    job = await claim_one(claims)
    change = decided(job, Published(publish_id="pub_1"))
    assert change.entry is not None
    twice = replace(change, entry=replace(change.entry, decision=cast("str", None)))
    with pytest.raises(IntegrityError):
        await claims.apply(job, twice, now=SOON)
    assert await told(database) == []
    assert await claims.apply(job, change, now=SOON) is not None
    assert await types_told(database) == ["job.posted"]


async def test_the_last_abandoned_attempt_tells_of_the_failure(
    database: Database, claims: ClaimStore
) -> None:
    """A claim that ends a job tells of it like any other end."""
    await listen(database)
    await store_row(database, abandoned(max_attempts=1))
    assert (await claim(claims)).failed == 1
    assert await types_told(database) == ["job.failed"]


async def test_many_transitions_are_told_in_one_statement(
    database: Database, claims: ClaimStore
) -> None:
    """Each listening project hears of its own, and of no other's."""
    await listen(database)
    events = []
    for number in range(5):
        project_id = "proj_1" if number % 2 else "proj_2"
        job = await store_job(database, PROCESSING, project_id=project_id)
        change = decided(job, Unconfirmed(fault=FAULT))
        row = await _row_of(database, job, listener=number % 2 == 1)
        events += job_events(events_of(job, change), row)
    async with database.write() as connection:
        await tell(connection, events, now=SOON)
    assert await types_told(database) == ["job.failed", "job.unconfirmed"] * 2
    assert {event["project_id"] for event in await told(database)} == {"proj_1"}


async def test_what_cannot_be_sent_yet_waits_for_the_former_one(
    database: Database, claims: ClaimStore
) -> None:
    """An event of a job whose former one is to be tried again falls due with it."""
    await listen(database)
    job, after = await end(database, claims, Transient(fault=FAULT, in_flight=False))
    later = SOON + timedelta(minutes=5)
    async with database.write() as connection:
        await connection.execute(webhook_events.update().values(next_attempt_at=later))
    assert after.next_attempt_at is not None
    again = await claim_one(claims, now=after.next_attempt_at)
    change = decided(again, Published(publish_id="pub_1"))
    assert await claims.apply(again, change, now=after.next_attempt_at) is not None
    assert job.id == again.id
    assert [event["next_attempt_at"] for event in await told(database)] == [later] * 2


async def test_a_look_ahead_tells_of_new_problems_only(database: Database) -> None:
    """A second look that finds nothing new is no news; another problem is."""
    await listen(database)
    store = ReadinessStore(database)
    at = NOW + timedelta(hours=1)
    looks = [
        Readiness(NOW, ()),
        Readiness(NOW, (UNREACHABLE,)),
        Readiness(NOW, (UNREACHABLE,)),
        Readiness(NOW, (UNREACHABLE, REFUSED)),
    ]
    await store_job(database, scheduled_for=at, next_attempt_at=at, readiness_at=NOW)
    counts = []
    for found in looks:
        (job,) = await store.claim_due(now=NOW, limit=1)
        assert await store.save(job, found, next_look=NOW)
        counts.append(len(await told(database)))
    assert counts == [0, 1, 1, 2]
    assert await types_told(database) == [EventType.JOB_AT_RISK] * 2
    assert cast("Job", payload_of((await told(database))[1])).readiness == looks[3]


async def test_a_failure_that_is_only_looked_at_again_is_no_news(
    database: Database, claims: ClaimStore
) -> None:
    """The record stays as it was, so nobody hears of it twice."""
    await listen(database)
    job = await store_job(database, FAILED)
    row = await _row_of(database, job, listener=True)
    change = decided(job, HandedOn(resume_at=SOON))
    same = replace(change, to=FAILED, failure_reason=job.failure_reason)
    async with database.write() as connection:
        await tell(connection, job_events(events_of(job, same), row), now=SOON)
    assert await told(database) == []


@pytest.mark.parametrize("reason", ["invalid_grant", "scope_not_authorized"])
async def test_a_lost_account_is_told_once_and_without_a_token(
    database: Database, reason: str
) -> None:
    """However many jobs find out, it is news once; the event holds no secret."""
    await listen(database)
    store = AccountStore(database, VAULT)
    account, _ = await store.put(new_account(), now=NOW)
    for _ in range(2):
        await store.mark_reconnect_required(
            account.project_id,
            account.platform,
            reason=reason,
            grant_version=account.grant_version,
            now=SOON,
        )
    (event,) = await told(database)
    assert event["type"] == EventType.ACCOUNT_RECONNECT_REQUIRED
    assert event["job_id"] is None
    assert {"access_token", "refresh_token"}.isdisjoint(event["data"])
    assert not re.search(r"act\.|rft\.|v1\.", str(event["data"]))
    told_of = payload_of(event)
    assert isinstance(told_of, Account)
    lost = await store.get(account.project_id, account.platform)
    assert told_of == structs.replace(lost, grant=told_of.grant)
    assert told_of.status is AccountStatus.RECONNECT_REQUIRED


async def _row_of(database: Database, job: Job, *, listener: bool) -> dict[str, Any]:
    statement = select(schedule_jobs).where(schedule_jobs.c.id == job.id)
    async with database.read() as connection:
        row = (await connection.execute(statement)).mappings().one()
    return {**row, "listener": EndpointStatus.ACTIVE if listener else None}
