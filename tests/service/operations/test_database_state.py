"""A health check answers in time, whatever the database does."""

import asyncio

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from app.container import open_container
from app.domain.errors import StoreUnavailable
from app.machine.clock import SystemClock
from app.runner.runner import Runner
from app.service.operations import health as checked
from app.service.operations.health import (
    DatabaseState,
    found_in,
    wait_until_ready,
)
from app.settings import load
from app.store.db.engine import Database
from app.store.db.health import is_migrated
from app.store.db.migrate import newest_revision
from tests.api.serving import settings_of
from tests.support.patience import PATIENCE_SECONDS


async def test_a_database_that_hangs_is_not_waited_for(unused_tcp_port: int) -> None:
    """A server that takes the connection and says nothing counts as away."""
    hung = asyncio.Event()

    async def say_nothing(
        _reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        hung.set()
        await over.wait()
        writer.close()

    over = asyncio.Event()
    server = await asyncio.start_server(say_nothing, "127.0.0.1", unused_tcp_port)
    database = Database(f"postgresql://u:p@127.0.0.1:{unused_tcp_port}/x")
    async with server:
        found = (await found_in(database, patience=0.2)).state
        async with asyncio.timeout(PATIENCE_SECONDS):
            await hung.wait()
        over.set()
    await database.close()

    assert found is DatabaseState.DATABASE_UNAVAILABLE
    assert checked.PATIENCE_SECONDS < 5  # what probes usually wait


async def test_a_migrated_database_is_ready(database_url: str) -> None:
    """At this program's revision there is nothing in the way."""
    database = Database(database_url)
    assert (await found_in(database)).state is DatabaseState.READY
    await database.close()


class Revisions(SystemClock):
    """A clock that migrates a database while somebody waits by it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.waits = 0

    async def sleep(self, seconds: float) -> None:
        """Let the second wait see the migration."""
        del seconds
        self.waits += 1
        if self.waits == 2:
            await set_revision(self._database, newest_revision())


async def set_revision(database: Database, revision: str) -> None:
    """Let a database be at another revision."""
    async with database.write() as connection:
        statement = "UPDATE tiktok_scheduler_version SET version_num = :revision"
        await connection.execute(text(statement), {"revision": revision})


async def test_a_runner_waits_for_the_tables_it_needs(database_url: str) -> None:
    """On older ones it would send what it cannot write down."""
    database = Database(database_url)
    await set_revision(database, "0001")
    clock, stop = Revisions(database), asyncio.Event()
    settings = settings_of(database_url)
    async with open_container(settings, clock=clock) as container:
        with capture_logs() as logs:
            waited = wait_until_ready(container.ready, clock=clock, stop=stop)
            assert await waited
        assert clock.waits == 2
        assert [each["event"] for each in logs] == ["no jobs are run yet"]
    await set_revision(database, "0001")
    stop.set()
    async with open_container(settings, clock=clock, stop=stop) as container:
        assert not await wait_until_ready(container.ready, clock=clock, stop=stop)
        with pytest.raises(StoreUnavailable, match="not migrated"):
            await container.ready()
        await container.run_jobs()
        assert container.runner.running is None
    await database.close()


async def test_no_job_is_run_before_the_tables_are_there(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that starts beside a running migration waits for its end."""
    database = Database(database_url)
    await set_revision(database, "0001")
    clock, migrated = Revisions(database), list[bool]()

    async def run(_runner: Runner, _stop: asyncio.Event) -> None:
        migrated.append(await is_migrated(database))

    monkeypatch.setattr(Runner, "run", run)
    settings = load(
        _env_file=None, database_url=database_url, token_encryption_keys="A" * 43 + "="
    )
    async with open_container(settings, clock=clock) as container:
        await container.run_jobs()
    assert migrated == [True]
    await database.close()
