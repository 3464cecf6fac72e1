"""A claim and a permit wait for no disk; whatever lets something be sent does.

That is enough, as a database's log is lost from its end only: a mark that is there has
all before it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from app.domain.accounts.quota import IDLE, Permits, Quota, QuotaCall
from app.domain.jobs.hold import Hold
from app.domain.jobs.outcome import Published
from app.store.accounts.quotas import Owner, QuotaStore
from app.store.db.engine import Database
from app.store.db.migrate import upgrade
from app.store.jobs.claims import ClaimStore
from app.store.jobs.holds import HoldStore
from app.store.jobs.requests.job_store import JobStore
from tests.store.claiming import claim, claim_one, decided
from tests.support.factories import (
    LEASE,
    NOW,
    SCHEDULED,
    abandoned,
    handed_on,
    job_row,
    store_job,
    store_row,
)
from tests.support.postgres import TEST_FLAGS, PostgresServer
from tests.support.sql import execute

OWNER = Owner("tiktok", "open_1")
CRASHES = 20

# A deferred trigger runs as the transaction commits.
NOTING = (
    "CREATE TABLE commits (id serial, level text)",
    """CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO commits (level) VALUES (current_setting('synchronous_commit'));
    RETURN NULL; END $$""",
    *(
        f"CREATE CONSTRAINT TRIGGER note AFTER INSERT OR UPDATE ON {table}"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note()"
        for table in ("schedule_jobs", "account_quotas")
    ),
    "SELECT 1",
)


@pytest.fixture(params=["on", "remote_apply"])
async def noted(
    request: pytest.FixtureRequest, postgres_url: str
) -> AsyncIterator[Database]:
    """Give a database that notes how each of its transactions is committed."""
    await execute(postgres_url, *NOTING)
    name = postgres_url.rpartition("/")[2]
    preset = f"ALTER DATABASE {name} SET synchronous_commit = '{request.param}'"
    await execute(postgres_url, preset, "SELECT 1")
    database = Database(postgres_url)
    yield database
    await database.close()


async def level(database: Database) -> str:
    """Tell how the latest commit was made."""
    asked = "SELECT level FROM commits ORDER BY id DESC LIMIT 1"
    return str(await execute(database.url.render_as_string(False), asked))


def taken(*, over: Quota = IDLE) -> Quota:
    """Take an init."""
    call = QuotaCall.INIT
    quota = over.take({call: Permits()}, {call: 6}, NOW)
    assert quota is not None
    return quota


async def test_a_claim_waits_for_no_disk_and_all_that_follows_does(
    noted: Database, request: pytest.FixtureRequest
) -> None:
    """The mark, the publish_id and the end are as durable as the sessions are."""
    durable = request.node.callspec.params["noted"]
    claims = ClaimStore(noted, lease=LEASE)
    await store_job(noted)
    assert await level(noted) == durable
    job = await claim_one(claims)
    assert await level(noted) == "off"
    marked = await claims.stamp_init(job, now=NOW)
    assert marked is not None
    assert await level(noted) == durable
    told = await claims.save_publish_id(marked, "pub_1", now=NOW)
    assert told is not None
    assert await level(noted) == durable
    await claims.apply(told, decided(told, Published(publish_id="pub_1")), now=NOW)
    assert await level(noted) == durable


async def test_a_permit_waits_for_no_disk(noted: Database) -> None:
    """Neither an idle account's nor a busy one's."""
    quotas = QuotaStore(noted)
    quota = taken()
    assert await quotas.take_idle(OWNER, quota, now=NOW) == 1
    assert await level(noted) == "off"
    assert await quotas.swap(OWNER, taken(over=quota), seen=1)
    assert await level(noted) == "off"


@pytest.mark.parametrize("reason", ["abandoned", "in flight", "held", "unreadable"])
async def test_a_claim_that_is_more_than_a_claim_waits(
    noted: Database, request: pytest.FixtureRequest, reason: str
) -> None:
    """One that ends an attempt, follows a publish, or puts a job off."""
    rows = {"abandoned": abandoned(), "in flight": handed_on(publish_id="pub_1")}
    await store_row(noted, rows.get(reason, job_row(SCHEDULED)))
    if reason == "held":
        hold = Hold(project_id=None, reason="a recall", until=None)
        await HoldStore(noted).put(hold, now=NOW)
    if reason == "unreadable":
        url = noted.url.render_as_string(False)
        spoilt = "UPDATE schedule_jobs SET post = '{}'"
        await execute(url, spoilt, "SELECT 1")
    found = await claim(ClaimStore(noted, lease=LEASE))
    is_so = {
        "abandoned": found.taken_over,
        "in flight": found.jobs and found.jobs[0].in_flight,
        "held": found.held,
        "unreadable": found.unreadable,
    }
    assert is_so[reason]
    assert await level(noted) == request.node.callspec.params["noted"]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Give a Postgres that writes its log only when somebody waits for it."""
    seldom = ("-c", "wal_writer_delay=10s", "-c", "autovacuum=off")
    with PostgresServer(flags=(*TEST_FLAGS, *seldom)) as server:
        upgrade(server.url)
        yield server


@asynccontextmanager
async def crashing(server: PostgresServer) -> AsyncIterator[Database]:
    """Open the database, and let the server lose its power at the end."""
    database = Database(server.url)
    try:
        yield database
        await asyncio.to_thread(server.stop_immediate)
    finally:
        await database.close()
        await asyncio.to_thread(server.start)


async def test_a_claim_that_a_crash_forgot_lets_nothing_be_sent(
    server: PostgresServer,
) -> None:
    """Its worker gets no mark, and the job is anybody's to claim."""
    for _ in range(CRASHES):  # the server may have written its log on its own
        async with crashing(server) as database:
            created = await store_job(database)
            lost = await claim_one(ClaimStore(database, lease=LEASE))
        database = Database(server.url)
        claims = ClaimStore(database, lease=LEASE)
        try:
            if (await JobStore(database).get(created.id)).claim_token is None:
                assert await claims.stamp_init(lost, now=NOW) is None
                again = await claim_one(claims)
                assert await claims.stamp_init(again, now=NOW) is not None
                return
            await execute(server.url, "DELETE FROM schedule_jobs", "SELECT 1")
        finally:
            await database.close()
    raise AssertionError("no crash forgot the claim: was it written at once?")


async def test_a_mark_brings_its_claim_and_its_permit_along(
    server: PostgresServer,
) -> None:
    """Whatever an init that goes out relies on has outlived every crash."""
    async with crashing(server) as database:
        created = await store_job(database)
        job = await claim_one(ClaimStore(database, lease=LEASE))
        await QuotaStore(database).take_idle(OWNER, taken(), now=NOW)
        claims = ClaimStore(database, lease=LEASE)
        assert await claims.stamp_init(job, now=NOW) is not None
    database = Database(server.url)
    try:
        found = await JobStore(database).get(created.id)
        assert (found.claim_token, found.init_sent_at) == (job.claim_token, NOW)
        assert (await QuotaStore(database).load(OWNER)).version == 1
    finally:
        await database.close()
