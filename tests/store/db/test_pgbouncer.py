"""Behind PgBouncer, in either mode: it is noticed, and nothing has to be set."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest
from sqlalchemy import make_url, text
from structlog.testing import capture_logs

from app.domain.errors import StoreUnavailable
from app.machine.clock import SystemClock
from app.service.operations.checks import database_checks
from app.store.db.engine import Database, normalise_url
from app.store.db.migrate import upgrade
from app.store.db.notify import DueHints
from app.store.db.postgres.address import postgres_address
from app.store.db.postgres.session import Sessions
from app.store.jobs.claims import ClaimStore
from app.store.jobs.requests.job_store import JobStore
from tests.store.claiming import claim
from tests.store.db.roles import as_url
from tests.support.factories import LEASE, NOW, new_job, store_job
from tests.support.pgbouncer import PgBouncer, find_pgbouncer
from tests.support.sql import execute

pytestmark = pytest.mark.skipif(
    find_pgbouncer() is None, reason="PgBouncer is not installed"
)


@pytest.fixture(params=["transaction", "session"])
def bounced_url(postgres_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give a migrated database behind PgBouncer."""
    with PgBouncer(make_url(postgres_url).port or 0, mode=request.param) as bouncer:
        yield as_url(postgres_url, port=bouncer.port)


async def test_many_transactions_share_few_sessions(bounced_url: str) -> None:
    """Two programs with more connections than there are sessions."""
    one, other = Database(bounced_url), Database(bounced_url)
    jobs = [JobStore(one), JobStore(other)]
    for _ in range(3):
        await asyncio.gather(
            *(jobs[n % 2].add(new_job(scheduled_for=None), now=NOW) for n in range(30))
        )
    claims = ClaimStore(one, lease=LEASE)
    claimed = (await claim(claims)).jobs
    assert len(claimed) == 90
    found = await jobs[1].get(claimed[0].id)
    assert found.claim_token == claimed[0].claim_token
    assert one.sessions is not None
    assert one.sessions.pooled
    await one.close()
    await other.close()


async def test_a_database_is_migrated_through_it(
    bounced_url: str, shared_server_url: str
) -> None:
    """All migrations run through PgBouncer."""
    name = f"{make_url(bounced_url).database}_new"
    await execute(shared_server_url, f"CREATE DATABASE {name}", "SELECT 1")
    url = as_url(bounced_url, database=name)
    await asyncio.to_thread(upgrade, url)
    database = Database(url)
    found = {each.name: each for each in await database_checks(database)}
    await database.close()
    assert found["revision"].ok
    assert "a pooler is in between" in found["pooler"].text


async def test_a_pooler_that_is_full_is_waited_for(postgres_url: str) -> None:
    """As a full server is: sixty writes on two connections, and none is a 503."""
    port = make_url(postgres_url).port or 0
    with PgBouncer(port, mode="transaction", clients=2) as bouncer:
        database = Database(as_url(postgres_url, port=bouncer.port))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(60):
                tasks.create_task(store_job(database))
        await database.close()


async def test_the_first_look_leaves_no_name_behind(
    bounced_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process counts its statements from 1, and gets a session of the last."""
    address = postgres_address(normalise_url(bounced_url))
    for _ in range(10):
        monkeypatch.setattr(asyncpg.connection, "_uid", 0)
        await (await Sessions(address, command_seconds=None).connect()).close()


async def test_nobody_listens_through_it(bounced_url: str) -> None:
    """LISTEN would be another transaction's; workers look each second anyway."""
    database = Database(bounced_url)
    async with database.read() as connection:
        await connection.execute(text("SELECT 1"))
    said = asyncio.Event()
    assert database.sessions is not None
    with capture_logs() as logs:
        await DueHints(database, SystemClock())._listen(database.sessions, said.set)
    await database.close()
    assert not said.is_set()
    assert [each["event"] for each in logs] == [
        "no LISTEN through a pooler: due jobs are found by polling"
    ]


async def test_no_setting_is_left_in_a_shared_session(bounced_url: str) -> None:
    """What only saves time is a matter of our own sessions."""
    database = Database(bounced_url)
    asked = text("SELECT current_setting('jit')")
    async with database.read() as connection:
        assert (await connection.execute(asked)).scalar_one() == "on"
    await database.close()


async def test_durability_that_nobody_would_keep_is_refused(
    bounced_url: str, postgres_url: str
) -> None:
    """A session's setting would be another transaction's: it says what to run."""
    own = make_url(postgres_url).database
    turned_off = f"ALTER DATABASE {own} SET synchronous_commit = 'off'"
    await execute(postgres_url, turned_off, "SELECT 1")
    database = Database(bounced_url)
    with pytest.raises(StoreUnavailable):
        await JobStore(database).add(new_job(), now=NOW)
    assert database.trouble.cause is not None
    assert "ALTER ROLE … SET synchronous_commit = on" in database.trouble.cause
    await database.close()
