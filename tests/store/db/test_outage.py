"""Postgres goes away and comes back: a clear error, and no restart of ours."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from app.domain.errors import StoreUnavailable, WriteUnknown
from app.machine.clock import SystemClock
from app.store.db import engine
from app.store.db.engine import Database
from app.store.db.migrate import upgrade
from app.store.db.notify import DueHints
from app.store.db.outage import DatabaseUnreachable
from app.store.jobs.claims import ClaimStore
from app.store.jobs.requests.job_store import JobStore
from tests.support.factories import LEASE, NOW, new_job, store_job
from tests.support.patience import PATIENCE_SECONDS
from tests.support.postgres import PostgresServer

PASSWORD = "open-sesame"  # the test server asks for none and takes any


@pytest.fixture
async def server(postgres_server: PostgresServer) -> PostgresServer:
    """Give a migrated server of the test's own."""
    await asyncio.to_thread(upgrade, postgres_server.url)
    return postgres_server


@pytest.fixture
async def stoppable(server: PostgresServer) -> AsyncIterator[Database]:
    """Give a database whose server may be stopped; its URL has a password."""
    url = make_url(server.url).set(password=PASSWORD)
    database = Database(url.render_as_string(hide_password=False))
    yield database
    await database.close()


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Database]:
    """Give a database on the shared server."""
    database = Database(postgres_url)
    yield database
    await database.close()


async def test_every_call_says_so_while_the_server_is_down_and_works_again_after(
    server: PostgresServer, stoppable: Database
) -> None:
    """Each store recovers by itself; connections kept from before do no harm."""
    jobs, claims = JobStore(stoppable), ClaimStore(stoppable, lease=LEASE)
    kept = await asyncio.gather(*(jobs.add(new_job(), now=NOW) for _ in range(8)))
    server.stop()
    for call in (jobs.get(kept[0][0].id), jobs.add(new_job(), now=NOW)):
        with pytest.raises(StoreUnavailable):
            await call
    with pytest.raises(StoreUnavailable):
        await claims.next_due()
    server.start()
    found = await asyncio.gather(*(jobs.get(job.id) for job, _ in kept))
    assert found == [job for job, _ in kept]


async def test_a_restart_that_nobody_saw_costs_no_call(
    server: PostgresServer, stoppable: Database
) -> None:
    """Connections that died unused are replaced before they are used."""
    jobs = JobStore(stoppable)
    kept = await asyncio.gather(*(jobs.add(new_job(), now=NOW) for _ in range(8)))
    server.restart()
    found = await asyncio.gather(*(jobs.get(job.id) for job, _ in kept))
    assert found == [job for job, _ in kept]


async def test_a_connection_that_breaks_in_a_statement_is_unavailable(
    shared: Database,
) -> None:
    """As when a proxy or an operator cuts it; the next call has another."""
    with pytest.raises(StoreUnavailable):
        await cut_own_connection(shared)
    await store_job(shared)


async def test_a_commit_that_is_not_answered_may_have_been_written(
    shared: Database,
) -> None:
    """What broke before COMMIT is rolled back for certain; what broke in it is not."""
    with pytest.raises(StoreUnavailable) as rolled_back:
        await cut_own_connection(shared)
    assert not isinstance(rolled_back.value, WriteUnknown)
    with pytest.raises(WriteUnknown):
        await cut_at_commit(shared)
    with pytest.raises(WriteUnknown):
        await cut_alone(shared)


async def cut_at_commit(database: Database) -> None:
    """End the session between its last statement and its COMMIT."""
    async with database.write() as connection:
        own = await connection.execute(text("SELECT pg_backend_pid()"))
        pid = own.scalar_one()
        async with database.read() as other:
            await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})


async def cut_alone(database: Database) -> None:
    """End the session in a statement that would commit by itself."""
    async with database.single() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


async def cut_own_connection(database: Database) -> None:
    """Let the server end the session that asks for it."""
    async with database.write() as connection:
        end = "SELECT pg_terminate_backend(pg_backend_pid())"
        await connection.execute(text(end))


async def test_a_crash_in_the_middle_leaves_nothing_half_done(
    server: PostgresServer, stoppable: Database
) -> None:
    """What was not committed never happened, what was is still there."""
    job = await store_job(stoppable)
    with pytest.raises(StoreUnavailable):
        await crash_before_commit(server, stoppable)
    server.start()
    assert await JobStore(stoppable).get(job.id) == job


async def crash_before_commit(server: PostgresServer, database: Database) -> None:
    """Change every job, and lose the server before the commit."""
    async with database.write() as connection:
        # The test server commits lazily; what came before must survive the crash.
        await connection.execute(text("CHECKPOINT"))
        await connection.execute(text("UPDATE schedule_jobs SET asset_id = 'lost'"))
        server.stop_immediate()


async def test_an_outage_tells_no_secret(
    server: PostgresServer, stoppable: Database
) -> None:
    """Neither the message nor the whole traceback holds the password."""
    assert PASSWORD in stoppable.url.render_as_string(hide_password=False)
    server.stop()
    with pytest.raises(StoreUnavailable) as raised:
        await store_job(stoppable)
    assert "127.0.0.1" not in str(raised.value)
    assert PASSWORD not in "".join(traceback.format_exception(raised.value))


async def fail_with(database: Database, state: str) -> None:
    """Let the server itself raise an error of this SQLSTATE."""
    async with database.write() as connection:
        await connection.exec_driver_sql(
            f"DO $$ BEGIN RAISE 'no' USING ERRCODE = '{state[:5]}'; END $$"
        )


@pytest.mark.parametrize(
    "state",
    [
        "08006 connection failure",
        "25006 read-only standby",
        "28P01 password changed",
        "3D000 no such database",
        "40001 serialization",
        "40P01 deadlock",
        "53100 disk full",
        "53300 too many connections",
        "55P03 lock timeout",
        "57014 statement timeout",
        "57P01 shutting down",
        "57P03 starting up",
        "58030 input or output",
    ],
)
async def test_what_time_or_an_operator_mends_is_unavailable(
    shared: Database, state: str
) -> None:
    """The caller is told to come back; the next call may work."""
    with pytest.raises(StoreUnavailable):
        await fail_with(shared, state)
    await store_job(shared)


@pytest.mark.parametrize(
    "state", ["23514 check violated", "42P01 no such table", "22P02 bad value"]
)
async def test_a_mistake_of_ours_is_no_outage(shared: Database, state: str) -> None:
    """It will not go away by waiting, so it must not look as if it would."""
    with pytest.raises(DBAPIError):
        await fail_with(shared, state)


@pytest.mark.parametrize("change", [{"username": "no"}, {"database": "no"}], ids=str)
async def test_a_login_that_is_refused_is_unavailable(
    postgres_url: str, change: dict[str, Any]
) -> None:
    """Role or database not there (yet): the same answer as for no server."""
    url = make_url(postgres_url).set(password=PASSWORD, **change)
    database = Database(url.render_as_string(hide_password=False))
    with pytest.raises(StoreUnavailable) as raised:
        await store_job(database)
    await database.close()
    assert PASSWORD not in "".join(traceback.format_exception(raised.value))


@pytest.fixture
async def impatient(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """Give a database with one connection that waits for nothing long."""
    monkeypatch.setattr(engine, "POSTGRES_COMMAND_SECONDS", 0.2)
    database = Database(postgres_url, pool_size=1)
    yield database
    await database.close()


async def sleep_long(database: Database) -> None:
    """Let the server be busy for longer than the test may take."""
    async with database.write() as connection:
        await connection.execute(text("SELECT pg_sleep(3600)"))


async def test_a_server_that_hangs_is_unavailable(impatient: Database) -> None:
    """A worker is not held up for ever, and can go on afterwards."""
    with pytest.raises(StoreUnavailable):
        await sleep_long(impatient)
    await store_job(impatient)


async def test_a_hurried_program_breaks_off_what_hangs(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits learns it, in time to write elsewhere what must not be lost."""
    monkeypatch.setattr(engine, "POSTGRES_COMMAND_SECONDS", 3600)
    monkeypatch.setattr(engine, "HURRIED_SECONDS", 0.2)
    database = Database(postgres_url)
    hanging = asyncio.create_task(sleep_long(database))
    sessions = database.sessions
    assert sessions is not None
    while not sessions.borrowed:  # noqa: ASYNC110  no event tells it
        await asyncio.sleep(0)
    database.hurry()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(StoreUnavailable):
            await hanging
    await database.close()


async def test_a_hanging_server_holds_no_close(
    server: PostgresServer, stoppable: Database
) -> None:
    """Neither the sessions of the pool nor the one that listens."""
    await asyncio.gather(*(store_job(stoppable) for _ in range(3)))

    async def end() -> None:
        on_due = asyncio.Event()
        async with DueHints(stoppable, SystemClock()).waking(on_due.set):
            await on_due.wait()  # it listens
            server.freeze()
        await stoppable.close()

    ending = asyncio.create_task(end())
    await asyncio.wait([ending], timeout=PATIENCE_SECONDS)
    server.thaw()
    assert ending.done()
    await ending


async def test_nobody_waits_twice_for_a_server_that_hangs_at_the_end(
    server: PostgresServer, stoppable: Database
) -> None:
    """One that came back a moment later would not be asked again either."""
    sessions = stoppable.sessions
    assert sessions is not None
    await (await sessions.connect()).close()
    server.freeze()
    sessions.hurry(0.2)
    with pytest.raises(DatabaseUnreachable):
        await sessions.connect()
    server.thaw()
    with pytest.raises(DatabaseUnreachable):
        await sessions.connect()


async def test_waiting_for_a_connection_ends(impatient: Database) -> None:
    """If all are in use for long, the caller learns that, and not of an outage."""
    async with impatient.read():
        with pytest.raises(StoreUnavailable, match="in use"):
            await store_job(impatient)
    await store_job(impatient)


async def test_an_errors_text_holds_no_values(database: Database) -> None:
    """Asset URLs may be signed and tokens are secret; errors end up in logs."""
    secret = "https://cdn.example.com/v.mp4?signature=c2VjcmV0"
    job = await store_job(database)
    with pytest.raises(DBAPIError) as raised:
        await store_job(database, id=job.id, asset_url=secret)
    assert "c2VjcmV0" not in str(raised.value)
