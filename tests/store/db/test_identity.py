"""Which server the database is: any role may ask, and a former one is refused."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import make_url, text
from structlog.testing import capture_logs

from app.domain.errors import StoreUnavailable
from app.service.operations.checks import database_checks
from app.service.operations.health import Check, _failover
from app.store.db.engine import Database
from app.store.db.migrate import upgrade
from app.store.db.postgres.identity import AnotherServer, Identity, LeftBehind, Lineage
from app.store.jobs.claims import ClaimStore
from tests.store.claiming import claim
from tests.store.db.roles import as_url, make_role
from tests.support.factories import LEASE, NOW, store_job
from tests.support.failing_over import paired
from tests.support.pgbouncer import PgBouncer, find_pgbouncer
from tests.support.postgres import PostgresServer
from tests.support.relay import relaying
from tests.support.sql import execute

A, B = "7712", "9931"
HIDE = "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Database, Lineage]]:
    """Open a database, and close it."""
    database = Database(url)
    assert database.lineage is not None
    try:
        yield database, database.lineage
    finally:
        await database.close()


async def ask(database: Database) -> None:
    """Use a session."""
    async with database.read() as connection:
        await connection.execute(text("SELECT 1"))


def test_a_lineage_goes_forward_only() -> None:
    """A newer timeline, or a cluster that was not met before."""
    lineage = Lineage()
    assert not lineage.meet(Identity(A, 1))
    assert not lineage.meet(Identity(A, 1))
    assert lineage.meet(Identity(A, 2))
    with pytest.raises(LeftBehind):
        lineage.meet(Identity(A, 1))
    assert lineage.is_left_behind
    assert lineage.meet(Identity(B, 1))
    assert not lineage.is_left_behind
    for former in (Identity(A, 2), Identity(A, 3)):
        with pytest.raises(LeftBehind):
            lineage.meet(former)
    assert lineage.newest == Identity(B, 1)


def test_a_split_brain_is_told_once() -> None:
    """A split brain is logged once, and again only after it was over."""
    lineage = Lineage()
    lineage.meet(Identity(A, 2))
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                lineage.hear(f"{A}/1")
    assert [each["log_level"] for each in logs] == ["error"]


async def test_a_plain_role_reads_it(postgres_url: str, shared_server_url: str) -> None:
    """No right has to be granted."""
    role = await make_role(shared_server_url)
    async with opened(as_url(postgres_url, username=role)) as (database, lineage):
        await ask(database)
        assert lineage.newest is not None
        assert lineage.newest.timeline == 1
        assert not lineage.is_hidden


@pytest.fixture
def hiding_url() -> Iterator[str]:
    """Give a role on a server whose host hides what it is."""
    with PostgresServer() as server:
        asyncio.run(execute(server.url, HIDE, "SELECT 1"))
        asyncio.run(execute(server.url, "CREATE ROLE plain LOGIN", "SELECT 1"))
        yield as_url(server.url, username="plain")


async def test_a_host_that_hides_it_is_named(hiding_url: str) -> None:
    """All else works, and whoever looks is told that no fail-over is noticed."""
    async with opened(hiding_url) as (database, lineage):
        with capture_logs() as logs:
            await ask(database)
        assert (lineage.is_hidden, lineage.newest) == (True, None)
        assert [each["log_level"] for each in logs] == ["warning"]
        assert _failover(lineage) is Check.HIDDEN
        found = {each.name: each for each in await database_checks(database)}
        assert "hides" in found["fail-over"].text


async def test_a_standby_is_nobody_until_it_is_promoted() -> None:
    """Its sessions outlive the promotion, and tell of it before they are used."""
    with PostgresServer() as primary:
        await asyncio.to_thread(upgrade, primary.url)
        with PostgresServer(source=primary) as standby:
            async with opened(standby.url) as (database, lineage):
                await ask(database)
                assert lineage.newest is None
                assert database.sessions is not None
                (session,) = database.sessions.open
                await asyncio.to_thread(standby.promote)
                await ask(database)
                assert not session.is_closed()
                assert lineage.newest is not None
                assert lineage.newest.timeline == 2


async def test_nothing_is_claimed_of_another_server(postgres_url: str) -> None:
    """The claim itself looks, in the transaction that would take it."""
    async with opened(postgres_url) as (database, lineage):
        job = await store_job(database)
        claims = ClaimStore(database, lease=LEASE)
        with pytest.raises(AnotherServer):
            await claim(claims, server=Identity(A, 1))
        assert lineage.newest is not None
        claimed = await claim(claims, server=lineage.newest)
        assert [each.id for each in claimed.jobs] == [job.id]


@pytest.mark.skipif(find_pgbouncer() is None, reason="PgBouncer is not installed")
async def test_behind_a_pooler_each_statement_says_whose_it_is(
    postgres_url: str,
) -> None:
    """It may give each another server's session."""
    port = make_url(postgres_url).port or 0
    with PgBouncer(port, mode="transaction") as bouncer:
        async with opened(as_url(postgres_url, port=bouncer.port)) as (database, known):
            await store_job(database)
            claims = ClaimStore(database, lease=LEASE)
            await claims.next_due()
            real = known.newest
            assert real is not None
            known.newest = Identity(real.system, 0)  # as if it had been promoted since
            with pytest.raises(AnotherServer):
                await claim(claims, server=known.newest)
            known.newest = Identity(real.system, 0)
            await claims.next_due()
            assert known.newest == real
            assert len((await claim(claims, server=real, now=NOW)).jobs) == 1


async def test_sessions_with_a_former_server_end_as_its_successor_is_met() -> None:
    """It lives on, and would take writes that nobody ever sees again."""
    async with paired() as pair, relaying(pair.primary.port) as relay:
        by_relay = as_url(pair.primary.url, port=relay.port)
        async with opened(by_relay) as (database, _):
            assert database.sessions is not None
            former = await database.sessions.connect()
            await pair.promote()
            await relay.lead_to(pair.standby.port, cut=False)
            assert not former.is_closed()
            fresh = await database.sessions.connect()
            assert former.is_closed()
            assert not fresh.is_closed()
