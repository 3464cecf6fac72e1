"""Few connections: idle ones are given back, and a full server is waited for."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import make_url, text

from app.domain.errors import StoreUnavailable
from app.store.db import engine
from app.store.db.engine import Database, normalise_url
from app.store.db.outage import DatabaseUnreachable
from app.store.db.postgres import pool
from app.store.db.postgres.address import postgres_address
from app.store.db.postgres.session import Sessions
from app.store.jobs.requests.job_store import JobStore
from tests.store.db.roles import as_url, make_role
from tests.support.factories import NOW, new_job
from tests.support.patience import PATIENCE_SECONDS
from tests.support.sql import execute

COUNT = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid()"
)


async def connections(url: str) -> int:
    """Count the sessions that others have with a database."""
    found = await execute(url, COUNT)
    assert isinstance(found, int)
    return found


async def use(database: Database, at_once: int) -> None:
    """Use so many connections at the same time."""
    together = asyncio.Barrier(at_once)

    async def one() -> None:
        async with database.read() as connection:
            await connection.execute(text("SELECT 1"))
            await together.wait()

    await asyncio.gather(*(one() for _ in range(at_once)))


@pytest.fixture
async def limited(
    shared_server_url: str, postgres_url: str, request: pytest.FixtureRequest
) -> str:
    """Give a database of which a role may have only so many sessions."""
    role = await make_role(shared_server_url)
    await execute(
        postgres_url,
        f"ALTER ROLE {role} CONNECTION LIMIT {request.param}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}",
        "SELECT 1",
    )
    return as_url(postgres_url, username=role)


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """Give a database on Postgres."""
    database = Database(postgres_url, pool_size=5)
    yield database
    await database.close()


async def test_the_pool_shrinks_to_what_is_needed(
    database: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a burst needed, others may need now; two connections stay."""
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.05)
    await use(database, 5)
    while await connections(postgres_url) > 2:
        await execute(postgres_url, "SELECT pg_sleep(0.02)")
    assert await connections(postgres_url) == 2
    await use(database, 5)


async def test_what_is_not_idle_yet_is_closed_later(
    database: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look finds all used lately: there is another one after it."""
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.05)
    await use(database, 5)  # the look is in 0.05 s
    monkeypatch.setattr(pool, "IDLE_SECONDS", 0.5)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await connections(postgres_url) > 2:
            await execute(postgres_url, "SELECT pg_sleep(0.02)")


async def test_the_pool_never_grows_beyond_its_size(
    database: Database, postgres_url: str
) -> None:
    """DATABASE_POOL_SIZE is what a process takes at most."""

    async def others() -> int:
        async with database.read() as connection:
            await connection.execute(text("SELECT pg_sleep(0.3)"))  # let others come
            return int((await connection.execute(text(COUNT))).scalar_one())

    assert max(await asyncio.gather(*(others() for _ in range(15)))) == 4


@pytest.mark.parametrize("limited", [2], indirect=True)
async def test_a_full_server_is_waited_for_by_who_has_a_connection(
    limited: str,
) -> None:
    """Sixty writes on two connections: every one is done, none is a 503."""
    database = Database(limited)
    jobs = JobStore(database)
    await asyncio.gather(*(jobs.add(new_job(), now=NOW) for _ in range(60)))
    await database.close()


@pytest.mark.parametrize("limited", [1], indirect=True)
async def test_a_full_server_is_waited_for_by_who_has_none(limited: str) -> None:
    """A command gets through as soon as somebody gives a connection back."""
    first, second = Database(limited), Database(limited)
    await use(first, 1)
    waiting = asyncio.create_task(use(second, 1))
    done, _ = await asyncio.wait([waiting], timeout=0.5)
    assert not done
    await first.close()
    await waiting
    await second.close()


@pytest.mark.parametrize("limited", [0], indirect=True)
async def test_room_is_looked_for_at_once_however_long_there_was_none(
    limited: str, postgres_url: str
) -> None:
    """A full server is no outage, after which the next try would wait half a minute."""
    hours = 0
    sessions = Sessions(
        postgres_address(normalise_url(limited)),
        command_seconds=None,
        now=lambda: hours * 3_600.0,
    )
    while hours < 2:
        with pytest.raises(DatabaseUnreachable):
            await sessions.connect()
        hours += 1
    role = make_url(limited).username
    await execute(postgres_url, f"ALTER ROLE {role} CONNECTION LIMIT 1", "SELECT 1")
    await (await sessions.connect()).close()


@pytest.mark.parametrize("limited", [0], indirect=True)
async def test_a_server_that_stays_full_is_away(
    limited: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever, and the cause is told."""
    monkeypatch.setattr(engine, "POSTGRES_COMMAND_SECONDS", 0.5)
    database = Database(limited)
    with pytest.raises(StoreUnavailable):
        await use(database, 1)
    role = make_url(limited).username
    assert database.trouble.cause == f'too many connections for role "{role}" (53300)'
    await database.close()
