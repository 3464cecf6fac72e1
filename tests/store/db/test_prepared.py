"""A prepared statement does what ``execute`` does, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import (
    bindparam,
    event,
    func,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from app.domain.errors import StoreUnavailable, WriteUnknown
from app.domain.jobs.job import Job, JobStatus
from app.store.db.engine import Database
from app.store.db.migrate import upgrade
from app.store.db.prepared import Prepared
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.tables import schedule_jobs
from tests.support.factories import job_row, store_job, store_rows
from tests.support.patience import PATIENCE_SECONDS
from tests.support.postgres import PostgresServer

_jobs = schedule_jobs.c
ALL = Prepared(select(schedule_jobs).order_by(_jobs.id))
NAMED = Prepared(
    update(schedule_jobs)
    .where(_jobs.id == bindparam("which"))
    .values(asset_id=bindparam("new"))
    .returning(_jobs.id, _jobs.asset_id.label("now"))
)
CUT = Prepared(select(func.pg_terminate_backend(func.pg_backend_pid())))
SLEEP = Prepared(select(func.pg_sleep(literal(PATIENCE_SECONDS))))
SLEEPING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")


@pytest.fixture
async def lone(postgres_url: str) -> AsyncIterator[Database]:
    """Give a database with one session."""
    database = Database(postgres_url, pool_size=1)
    yield database
    await database.close()


@pytest.fixture
async def stoppable(postgres_server: PostgresServer) -> AsyncIterator[Database]:
    """Give a database whose server may be stopped."""
    await asyncio.to_thread(upgrade, postgres_server.url)
    database = Database(postgres_server.url)
    yield database
    await database.close()


async def rename(database: Database, job: Job, name: str | None = "new") -> Any:  # noqa: ANN401  the rows
    """Change a job by one statement."""
    return await database.run(NAMED, {"which": job.id, "new": name})


async def asset_of(database: Database, job: Job) -> str | None:
    """Read what was written."""
    return (await JobStore(database).get(job.id)).asset_id


async def test_its_rows_are_those_of_execute(database: Database) -> None:
    """Times, JSON, lists and NULLs are read by the same types."""
    await store_rows(database, [job_row(status) for status in JobStatus])
    async with database.read() as connection:
        expected = (await connection.execute(ALL.statement)).all()
        assert await ALL.on(connection, {}) == expected
    found = await database.run(ALL, {}, writes=False)
    assert found == expected
    assert [row._mapping for row in found] == [row._mapping for row in expected]


async def test_it_commits_by_itself(database: Database) -> None:
    """And its session is in transactions again afterwards."""
    job = await store_job(database)
    ((job_id, name),) = await rename(database, job)
    assert (job_id, name, await asset_of(database, job)) == (job.id, "new", "new")
    async with database.write() as connection:
        await NAMED.on(connection, {"which": job.id, "new": "undone"})
        await connection.rollback()
    assert await asset_of(database, job) == "new"


async def test_a_value_that_is_refused_costs_nothing_else(database: Database) -> None:
    """The error is that of ``execute``, and the session goes on."""
    job = await store_job(database)
    before = await asset_of(database, job)
    with pytest.raises(DBAPIError):
        await rename(database, job, None)
    assert await asset_of(database, job) == before
    await rename(database, job)
    assert await asset_of(database, job) == "new"


async def test_who_watches_the_engine_sees_it(database: Database) -> None:
    """As tools that trace statements do."""
    seen = list[str]()

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        seen.append(call[2])

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    await database.run(ALL, {}, writes=False)
    event.remove(engine, "before_cursor_execute", note)
    assert any("schedule_jobs" in text for text in seen)


async def test_whoever_objects_once_there_is_a_session_prevents_it(
    lone: Database,
) -> None:
    """Nothing was sent, so that nobody has to wonder."""
    job = await store_job(lone)

    def object_to() -> None:
        raise StoreUnavailable

    with pytest.raises(StoreUnavailable) as refused:
        await lone.run(NAMED, {"which": job.id, "new": "new"}, before=object_to)
    assert not isinstance(refused.value, WriteUnknown)
    assert await asset_of(lone, job) != "new"


async def test_a_cut_line_leaves_a_write_unknown_and_a_read_unread(
    lone: Database,
) -> None:
    """The next statement has another session."""
    with pytest.raises(WriteUnknown):
        await lone.run(CUT, {})
    job = await store_job(lone)
    with pytest.raises(StoreUnavailable) as unread:
        await lone.run(CUT, {}, writes=False)
    assert not isinstance(unread.value, WriteUnknown)
    await rename(lone, job)
    assert await asset_of(lone, job) == "new"


async def test_without_a_session_nothing_was_written(
    postgres_server: PostgresServer, stoppable: Database
) -> None:
    """Nothing was sent, so that nobody has to wonder."""
    job = await store_job(stoppable)
    postgres_server.stop()
    with pytest.raises(StoreUnavailable) as refused:
        await rename(stoppable, job)
    assert not isinstance(refused.value, WriteUnknown)
    postgres_server.start()
    await rename(stoppable, job)
    assert await asset_of(stoppable, job) == "new"


async def test_whoever_is_cancelled_leaves_no_session_half_used(
    lone: Database, postgres_url: str
) -> None:
    """The statement is broken off, and the next one has another session."""
    job = await store_job(lone)
    asleep = asyncio.create_task(lone.run(SLEEP, {}))
    other = Database(postgres_url)
    async with other.single() as connection:
        while not await connection.scalar(SLEEPING):
            pass
    await other.close()
    asleep.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asleep
    await rename(lone, job)
    assert await asset_of(lone, job) == "new"
