"""Sessions are what the promises need, and are replaced when they went bad."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import func, make_url, select, text

from app.domain.errors import StoreUnavailable
from app.machine.look_ups import Names
from app.service.operations.health import DatabaseState, found_in
from app.store.db import engine
from app.store.db.engine import Database
from app.store.db.migrate import upgrade
from app.store.db.postgres import dial, session
from app.store.db.prepared import Prepared
from app.store.jobs.requests.job_store import JobStore
from tests.store.db.relay import Relay
from tests.store.db.roles import as_url
from tests.support.factories import NOW, new_job, store_job
from tests.support.postgres import PostgresServer
from tests.support.sql import execute


async def setting(database: Database, name: str) -> str:
    """Ask a session for one of its settings."""
    async with database.read() as connection:
        found = await connection.execute(text(f"SELECT current_setting('{name}')"))
        return str(found.scalar_one())


@asynccontextmanager
async def opened(url: str, *, pool_size: int = 10) -> AsyncIterator[Database]:
    """Open a database, and close it."""
    database = Database(url, pool_size=pool_size)
    try:
        yield database
    finally:
        await database.close()


async def preset(url: str, name: str, value: str) -> None:
    """Let new sessions of a database have another default, as some hosts do."""
    own = make_url(url).database
    await execute(url, f"ALTER DATABASE {own} SET {name} = '{value}'", "SELECT 1")


@pytest.mark.parametrize("preset_to", ["off", "local", "remote_write"])
async def test_commits_are_durable_whatever_the_host_presets(
    postgres_url: str, preset_to: str
) -> None:
    """A server that dies must not forget a mark that was committed."""
    await preset(postgres_url, "synchronous_commit", preset_to)
    async with opened(postgres_url) as database:
        assert await setting(database, "synchronous_commit") == "on"


async def test_a_stricter_durability_is_kept(postgres_url: str) -> None:
    """Whoever waits for a replica has a reason."""
    await preset(postgres_url, "synchronous_commit", "remote_apply")
    async with opened(postgres_url) as database:
        assert await setting(database, "synchronous_commit") == "remote_apply"


@pytest.mark.parametrize("alone", [True, False])
async def test_the_mark_alone_can_be_stricter(
    postgres_url: str, *, alone: bool
) -> None:
    """What must never be forgotten waits for the standby, nothing else does."""
    asked = select(func.current_setting("synchronous_commit"))
    database = Database(postgres_url, pool_size=1, mark_commit="remote_apply")
    if alone:
        ((found,),) = await database.mark(Prepared(asked), {})
    else:
        async with database.marking() as connection:
            found = (await connection.execute(asked)).scalar_one()
    assert found == "remote_apply"
    assert await setting(database, "synchronous_commit") == "on"
    await database.close()


async def test_transactions_are_read_committed_whatever_the_host_presets(
    postgres_url: str,
) -> None:
    """Serializable ones would fail, and be right."""
    await preset(postgres_url, "default_transaction_isolation", "serializable")
    async with opened(postgres_url) as database, database.write() as connection:
        found = await connection.execute(text("SHOW transaction_isolation"))
        assert found.scalar_one() == "read committed"


async def test_settings_of_the_url_are_the_sessions(postgres_url: str) -> None:
    """`options` and `application_name` do what they say."""
    query = "?options=-c%20lock_timeout%3D7s&application_name=mine"
    async with opened(postgres_url + query) as database:
        assert await setting(database, "lock_timeout") == "7s"
        assert await setting(database, "application_name") == "mine"


async def test_no_statement_is_compiled(postgres_url: str) -> None:
    """It takes longer than any of ours runs; what the URL says comes first."""
    async with opened(postgres_url) as database:
        assert await setting(database, "jit") == "off"
    async with opened(postgres_url + "?options=-c%20jit%3Don") as database:
        assert await setting(database, "jit") == "on"


async def test_a_server_without_such_a_setting_is_used_without_it(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other engines that speak the protocol need not compile at all."""
    unknown = {
        hidden: asked.replace("('jit'", "('unheard_of'")
        for hidden, asked in session._LOOKS.items()
    }
    monkeypatch.setattr(session, "_LOOKS", unknown)
    async with opened(postgres_url) as database:
        assert await setting(database, "jit") == "on"


async def test_a_session_keeps_its_way_open(postgres_url: str) -> None:
    """A NAT in between forgets connections on which nothing goes."""
    async with opened(postgres_url) as database, database.read() as connection:
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None
        found: socket.socket = driver._transport.get_extra_info("socket")
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30


async def test_sessions_that_stayed_read_only_are_replaced(postgres_url: str) -> None:
    """The host has lifted it, but a session stays as it was opened."""
    await preset(postgres_url, "default_transaction_read_only", "on")
    async with opened(postgres_url) as database:
        assert (await found_in(database)).state is DatabaseState.DATABASE_READ_ONLY
        with pytest.raises(StoreUnavailable):
            await store_job(database)
        name = make_url(postgres_url).database
        lift = "default_transaction_read_only = off"
        writable = "SET default_transaction_read_only = off"
        await execute(
            postgres_url, writable, f"ALTER DATABASE {name} SET {lift}", "SELECT 1"
        )
        assert (await found_in(database)).state is DatabaseState.READY
        await store_job(database)


async def test_a_disk_that_is_full_is_not_ready_until_writing_works(
    postgres_url: str,
) -> None:
    """A health check looks whether it can write once a write has failed."""
    full = (
        "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'could not extend file' USING ERRCODE = '53100'; END $$"
    )
    tables = ("schedule_jobs", "oauth_states")
    triggers = [
        f"CREATE TRIGGER no_room BEFORE INSERT ON {table} EXECUTE FUNCTION no_room()"
        for table in tables
    ]
    await execute(postgres_url, full, *triggers, "SELECT 1")
    async with opened(postgres_url) as database:
        assert (await found_in(database)).state is DatabaseState.READY
        with pytest.raises(StoreUnavailable):
            await store_job(database)
        assert (await found_in(database)).state is DatabaseState.DATABASE_READ_ONLY
        drops = [f"DROP TRIGGER no_room ON {table}" for table in tables]
        await execute(postgres_url, *drops, "SELECT 1")
        assert (await found_in(database)).state is DatabaseState.READY
        assert database.trouble.cause is None
        found = await execute(postgres_url, "SELECT count(*) FROM oauth_states")
        assert found == 0


async def test_a_full_sqlite_file_is_not_ready_until_writing_works(
    sqlite_url: str,
) -> None:
    """The same there."""
    async with opened(sqlite_url, pool_size=1) as database:
        async with database.read() as connection:
            await connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(StoreUnavailable):
            await store_job(database, asset_url="x" * 1_000_000)
        assert database.trouble.cause == "database or disk is full"
        # A row still fits.
        assert (
            await found_in(database)
        ).state is DatabaseState.READY  # a row still fits


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """Give a migrated primary and its standby."""
    with PostgresServer() as primary:
        upgrade(primary.url)
        with PostgresServer(source=primary) as standby:
            yield primary, standby


def both(pair: tuple[PostgresServer, PostgresServer]) -> str:
    """Name both servers in one URL, the standby first."""
    primary, standby = pair
    hosts = f"127.0.0.1:{standby.port},127.0.0.1:{primary.port}"
    return f"postgresql://postgres@{hosts}/postgres"


async def test_of_several_hosts_the_writable_one_is_taken(
    pair: tuple[PostgresServer, PostgresServer],
) -> None:
    """Whether the URL says so or not."""
    for query in ("", "?target_session_attrs=read-write"):
        async with opened(both(pair) + query) as database:
            await store_job(database)


async def test_a_standby_alone_says_what_it_is(
    pair: tuple[PostgresServer, PostgresServer],
) -> None:
    """It is one kind of outage like any other, with its cause."""
    _, standby = pair
    url = f"{standby.url}?target_session_attrs=read-write"
    async with opened(url) as database:
        with pytest.raises(StoreUnavailable):
            await store_job(database)
        assert database.trouble.cause == "a standby, which can only be read"
    async with opened(standby.url) as database:
        assert (await found_in(database)).state is DatabaseState.DATABASE_READ_ONLY


async def test_a_host_that_is_read_only_is_not_the_writable_one(
    postgres_url: str,
) -> None:
    """As hosts make a primary whose disk is full: another one is looked for."""
    await preset(postgres_url, "default_transaction_read_only", "on")
    async with opened(f"{postgres_url}?target_session_attrs=read-write") as database:
        with pytest.raises(StoreUnavailable):
            await store_job(database)
        assert database.trouble.cause == "read-only at present"


async def test_a_switch_over_is_followed(postgres_server: PostgresServer) -> None:
    """The old primary goes, the standby is promoted: the same URL leads to it."""
    await asyncio.to_thread(upgrade, postgres_server.url)
    with PostgresServer(source=postgres_server) as standby:
        await asyncio.to_thread(standby.start)
        async with opened(both((postgres_server, standby))) as database:
            await store_job(database)
            await asyncio.to_thread(postgres_server.stop)
            with pytest.raises(StoreUnavailable):
                await store_job(database)
            await asyncio.to_thread(standby.promote)
            await store_job(database)


async def test_an_old_session_is_replaced(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a switch the name leads elsewhere, and the old server may still be up."""
    monkeypatch.setattr(engine, "OLDEST_SESSION_SECONDS", 0.001)
    pid = text("SELECT pg_backend_pid()")
    found = set[int]()
    async with opened(postgres_url, pool_size=1) as database:
        for _ in range(2):
            async with database.read() as connection:
                found.add((await connection.execute(pid)).scalar_one())
                await connection.execute(text("SELECT pg_sleep(0.01)"))
    assert len(found) == 2


async def test_an_address_that_swallows_everything_keeps_nobody(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name has several: the others are tried beside it."""
    lost = asyncio.Event()
    original = dial._open

    async def opening(
        loop: asyncio.AbstractEventLoop, info: dial.AddressInfo
    ) -> socket.socket:
        if not lost.is_set():
            lost.set()
            await asyncio.Event().wait()  # no packet ever comes back
        return await original(loop, info)

    async def two_addresses(*_: object, **__: object) -> list[dial.AddressInfo]:
        info = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        port = make_url(postgres_url).port
        return [(*info, (host, port)) for host in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(dial, "_open", opening)
    monkeypatch.setattr(dial, "_addresses", two_addresses)
    async with opened(f"{postgres_url}?connect_timeout=60") as database:
        await store_job(database)
    assert lost.is_set()


async def test_a_way_that_was_forgotten_costs_seconds_not_the_request(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in between drops idle connections and says nothing."""
    monkeypatch.setattr(engine, "ASKED_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(engine, "ANSWER_SECONDS", 0.2)
    port = make_url(postgres_url).port or 0
    async with Relay(port) as relay:
        url = as_url(postgres_url, port=relay.port)
        async with opened(url) as database:
            jobs = JobStore(database)
            job, _ = await jobs.add(new_job(), now=NOW)
            relay.forget()
            assert await jobs.get(job.id) == job


async def test_no_family_of_addresses_waits_for_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where IPv6 is a black hole, its second address is not the second attempt."""
    tried = list[str]()

    async def refused(
        _: asyncio.AbstractEventLoop, info: dial.AddressInfo
    ) -> socket.socket:
        tried.append(info[-1][0])
        raise ConnectionRefusedError

    class Known(Names):
        async def addresses(self, *_: object, **__: object) -> tuple[str, ...]:
            return "::1", "::2", "::3", "127.0.0.1"

    monkeypatch.setattr(dial, "_open", refused)
    with pytest.raises(ConnectionRefusedError):
        await dial.dial(asyncio.get_running_loop(), Known(), "name", 5432)
    assert tried == ["::1", "127.0.0.1", "::2", "::3"]
