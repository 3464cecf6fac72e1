"""What an event gives reason to look at, and what it leaves alone."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import select

from app.domain.jobs.job import Job
from app.domain.posts.post import Post, PostMode, PrivacyLevel
from app.machine.clock import Clock
from app.service.tiktok_events import Receipt, TikTokEventService
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.rows import post_to_json
from app.store.jobs.tables import tiktok_events
from app.store.jobs.tiktok_events import TikTokEventStore
from tests.support.accounts import VAULT, new_account
from tests.support.factories import (
    FAILED,
    NOW,
    POSTED,
    PROCESSING,
    RETRYING,
    handed_on,
    job_row,
    store_job,
    store_row,
    unconfirmed,
)
from tests.support.outbox import listen, told

SECRET: Final = "a-client-secret"
HOOK: Final = "https://app.example.com/hook"
LATER: Final = NOW + timedelta(hours=1)
PUBLIC: Final = post_to_json(Post(privacy_level=PrivacyLevel.PUBLIC_TO_EVERYONE))
DRAFT: Final = post_to_json(Post(mode=PostMode.INBOX, privacy_level=None))

FAILURE: Final = "post.publish.failed"
COMPLETE: Final = "post.publish.complete"
AVAILABLE: Final = "post.publish.publicly_available"
REMOVED: Final = "authorization.removed"


class Fixed(Clock):
    """A clock that stands."""

    def now(self) -> datetime:
        """Return the one time there is."""
        return NOW

    async def sleep(self, seconds: float) -> None:
        """Let nobody sleep."""
        raise AssertionError(f"slept for {seconds} s")


@dataclass
class Bench:
    """The service on a database, and how often it woke the runner."""

    database: Database
    client_key: str | None = "key"
    secret: str | None = SECRET
    hints: list[None] = field(default_factory=list)

    @property
    def service(self) -> TikTokEventService:
        """Make the service."""
        return TikTokEventService(
            store=TikTokEventStore(self.database),
            clock=Fixed(),
            client_key=self.client_key,
            client_secret=self.secret,
            on_hint=lambda: self.hints.append(None),
        )

    @property
    def accounts(self) -> AccountStore:
        """Give the accounts."""
        return AccountStore(self.database, VAULT)

    async def tell(self, name: str, publish_id: str = "pub_1") -> Receipt:
        """Deliver an event of the account that the first project has."""
        return await self.deliver(event(name, {"publish_id": publish_id}))

    async def deliver(self, body: bytes) -> Receipt:
        """Deliver a body that TikTok signed."""
        return await self.service.receive(signed(body), body)

    async def after(self, job: Job) -> Job:
        """Read a job again."""
        return await JobStore(self.database).get(job.id)

    async def kept(self) -> list[Any]:
        """Read the events that were kept."""
        statement = select(tiktok_events).order_by(tiktok_events.c.id)
        async with self.database.read() as connection:
            return list((await connection.execute(statement)).all())


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    """Give a service with one connected account."""
    database = Database(database_url)
    bench = Bench(database)
    await bench.accounts.put(new_account(), now=NOW - timedelta(days=1))
    yield bench
    await database.close()


def event(name: str, content: object, **changes: object) -> bytes:
    """Write an event."""
    outer = {
        "client_key": "key",
        "event": name,
        "create_time": int(NOW.timestamp()),
        "user_openid": "open_1",
        "content": json.dumps(content),
    }
    return json.dumps(outer | changes).encode()


def signed(body: bytes, *, at: datetime = NOW, secret: str = SECRET) -> str:
    """Sign a body."""
    seconds = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), seconds.encode() + b"." + body, hashlib.sha256)
    return f"t={seconds},s={digest.hexdigest()}"


# What is waiting for TikTok


@pytest.mark.parametrize("name", [FAILURE, COMPLETE, AVAILABLE])
@pytest.mark.parametrize("status", [PROCESSING, RETRYING, "scheduled"])
async def test_a_publish_in_flight_is_polled_at_once(
    bench: Bench, status: str, name: str
) -> None:
    """Whatever it waits for, if no worker has it; the event itself changes no state."""
    row = handed_on(next_attempt_at=LATER) | {"status": status}
    job = await store_row(bench.database, row)
    assert await bench.tell(name) is Receipt.STORED
    after = await bench.after(job)
    assert (after.status, after.next_attempt_at) == (status, NOW)
    assert len(bench.hints) == 1


async def test_a_claimed_job_is_left_alone(bench: Bench) -> None:
    """Its worker asks TikTok anyway, and its lease is no time to be moved."""
    job = await store_job(
        bench.database, PROCESSING, publish_id="pub_1", init_sent_at=NOW
    )
    for name in (FAILURE, COMPLETE, AVAILABLE):
        await bench.tell(name)
    assert await bench.after(job) == job
    assert bench.hints == []


async def test_a_retry_that_sends_anew_keeps_its_time(bench: Bench) -> None:
    """Its publish is over: the schedule holds."""
    row = job_row(RETRYING, publish_id="pub_1", next_attempt_at=LATER)
    job = await store_row(bench.database, row)
    await bench.tell(FAILURE)
    assert await bench.after(job) == job


async def test_a_poll_is_never_put_off(bench: Bench) -> None:
    """What is due already stays where it is in the queue."""
    row = handed_on(next_attempt_at=NOW - timedelta(seconds=9))
    job = await store_row(bench.database, row)
    await bench.tell(COMPLETE)
    assert await bench.after(job) == job


# What is over


@pytest.mark.parametrize("name", [FAILURE, COMPLETE, AVAILABLE])
async def test_a_failed_job_in_flight_is_looked_at(bench: Bench, name: str) -> None:
    """TikTok knows by now what became of it; the record waits for its own word."""
    job = await store_row(bench.database, unconfirmed(publish_id="pub_1"))
    await bench.tell(name)
    after = await bench.after(job)
    assert (after.status, after.confirm_at) == (FAILED, NOW)
    assert len(bench.hints) == 1


async def test_a_failure_that_is_known_is_no_news(bench: Bench) -> None:
    """TikTok tells of each; no call is spent on what its status said before."""
    job = await store_job(bench.database, FAILED, publish_id="pub_1")
    await bench.tell(FAILURE)
    assert await bench.after(job) == job


@pytest.mark.parametrize(
    ("name", "columns", "looked_at"),
    [
        (AVAILABLE, {"post": PUBLIC}, True),
        (AVAILABLE, {"post": PUBLIC, "post_id": "7602"}, False),
        (AVAILABLE, {"post": DRAFT, "delivery": "inbox"}, True),
        (COMPLETE, {"post": PUBLIC}, False),
        (FAILURE, {}, True),
        (FAILURE, {"post_id": "7602"}, False),
    ],
)
async def test_a_posted_job_is_looked_at_for_what_it_lacks(
    bench: Bench, name: str, columns: dict[str, Any], looked_at: bool
) -> None:
    """Its id, or a failure before anybody saw it; else it stays as it is."""
    job = await store_job(bench.database, POSTED, **columns)
    await bench.tell(name)
    after = await bench.after(job)
    assert (after.status, after.confirm_at == NOW) == (POSTED, looked_at)


async def test_a_publish_of_nobodys_is_looked_for_in_the_doubtful(
    bench: Bench,
) -> None:
    """It may be the one whose answer was lost: of this account, not long ago."""
    mine = await store_row(bench.database, unconfirmed())
    waiting = await store_row(
        bench.database, handed_on(publish_id=None, next_attempt_at=LATER)
    )
    others = [
        await store_row(bench.database, row)
        for row in (
            unconfirmed(project_id="proj_2"),
            unconfirmed(init_sent_at=NOW - timedelta(days=5)),
            unconfirmed(publish_id="pub_2"),
            job_row(FAILED),
            job_row(PROCESSING, init_sent_at=NOW),
        )
    ]
    await bench.tell(COMPLETE, "pub_9")
    assert (await bench.after(mine)).confirm_at == NOW
    assert (await bench.after(waiting)).next_attempt_at == NOW
    assert [await bench.after(job) for job in others] == others


async def test_a_publish_of_somebodys_is_looked_for_nowhere_else(bench: Bench) -> None:
    """What a job has is no hint for another."""
    await store_job(bench.database, POSTED, post_id="7602")
    doubtful = await store_row(bench.database, unconfirmed())
    await bench.tell(COMPLETE)
    assert await bench.after(doubtful) == doubtful


# What is kept


async def test_a_repeat_is_kept_once_and_does_nothing(bench: Bench) -> None:
    """TikTok delivers at least once; the answer is the same."""
    job = await store_row(bench.database, unconfirmed(publish_id="pub_1"))
    for _ in range(3):
        assert await bench.tell(COMPLETE) is Receipt.STORED
    assert len(await bench.kept()) == 1
    assert len(bench.hints) == 1
    assert (await bench.after(job)).confirm_at == NOW


async def test_the_same_event_many_times_at_once_is_kept_once(bench: Bench) -> None:
    """Several workers of ours may get it in the same moment."""
    answers = await asyncio.gather(*(bench.tell(COMPLETE) for _ in range(8)))
    assert set(answers) == {Receipt.STORED}
    assert len(await bench.kept()) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\x00\xff", b"[]", event("portability.download.ready", {"a": 1})],
)
async def test_what_is_signed_is_kept_whatever_it_is(bench: Bench, body: bytes) -> None:
    """TikTok would send it for 72 hours otherwise, and it would never get better."""
    for _ in range(2):
        assert await bench.deliver(body) is Receipt.STORED
    assert len(await bench.kept()) == 1
    assert bench.hints == []


async def test_an_old_event_is_kept_too(bench: Bench) -> None:
    """It comes late if we were away for hours; TikTok is asked whether it is true."""
    job = await store_row(bench.database, unconfirmed(publish_id="pub_1"))
    body = event(COMPLETE, {"publish_id": "pub_1"})
    old = signed(body, at=NOW - timedelta(hours=70))
    assert await bench.service.receive(old, body) is Receipt.STORED
    assert (await bench.after(job)).confirm_at == NOW


async def test_what_is_not_signed_by_tiktok_is_not_kept(bench: Bench) -> None:
    """Another secret, another body, another app."""
    body = event(COMPLETE, {"publish_id": "pub_1"})
    foreign = event(COMPLETE, {"publish_id": "pub_1"}, client_key="another")
    for header, given in (
        (signed(body, secret="another"), body),
        (signed(body), body[:-1]),
        ("", body),
        (signed(foreign), foreign),
    ):
        refused = await bench.service.receive(header, given)
        assert refused is Receipt.BAD_SIGNATURE
    assert await bench.kept() == []


async def test_without_a_secret_nothing_can_be_believed(bench: Bench) -> None:
    """An empty key would let everybody sign."""
    bench.secret = None
    body = event(COMPLETE, {"publish_id": "pub_1"})
    header = signed(body, secret="")
    assert await bench.service.receive(header, body) is Receipt.NOT_CONFIGURED
    assert await bench.kept() == []


# Access that was removed


async def removed(bench: Bench, *, at: datetime = NOW) -> None:
    """Say that the person removed the app's access."""
    body = event(REMOVED, {"reason": 1}, create_time=int(at.timestamp()))
    assert await bench.deliver(body) is Receipt.STORED


async def to_check(bench: Bench) -> list[str]:
    """List the projects whose account TikTok is to be asked about."""
    found = await bench.accounts.claim_removals(now=NOW, until=NOW, limit=9)
    return sorted(each.project_id for each in found)


async def test_removed_access_is_checked_in_every_project(bench: Bench) -> None:
    """It is a hint: the account is lost only once TikTok refuses its token."""
    before = NOW - timedelta(days=1)
    await bench.accounts.put(new_account(project_id="proj_2"), now=before)
    await bench.accounts.put(
        new_account(project_id="proj_3", open_id="open_2"), now=before
    )
    await removed(bench)
    assert await to_check(bench) == ["proj_1", "proj_2"]
    assert (await bench.accounts.get("proj_1", "tiktok")).usable


async def test_why_a_lost_account_was_removed_is_told_once(bench: Bench) -> None:
    """A dead token may be found before TikTok says why it is dead."""
    before = NOW - timedelta(days=1)
    account = await bench.accounts.get("proj_1", "tiktok")
    await bench.accounts.mark_reconnect_required(
        "proj_1",
        "tiktok",
        reason="invalid_grant",
        grant_version=account.grant_version,
        now=before,
    )
    await listen(bench.database, HOOK, now=before, project_id="proj_1")
    for minutes in (1, 0):
        await removed(bench, at=NOW - timedelta(minutes=minutes))
    lost = await bench.accounts.get("proj_1", "tiktok")
    assert (lost.usable, lost.reconnect_reason) == (False, "removed_by_person")
    (event,) = await told(bench.database)
    assert event["type"] == "account.reconnect_required"
    assert event["data"]["reconnect_reason"] == "removed_by_person"


async def test_a_time_of_no_calendar_breaks_nothing(bench: Bench) -> None:
    """TikTok's clock may be wrong; what it signed counts as of now at the latest."""
    await removed(bench, at=datetime.max.replace(tzinfo=UTC))
    (kept,) = await bench.kept()
    assert kept.created_at == NOW
    assert await to_check(bench) == ["proj_1"]
