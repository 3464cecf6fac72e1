"""A stop is a stop: told to end, a program ends, whatever hangs."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.sandbox.recording import Call
from app.store.db.migrate import upgrade
from tests.support.postgres import PostgresServer
from tests.system.programs import Ended, Program
from tests.system.site import Site, new_site


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Give a migrated server that a test may let hang."""
    with PostgresServer() as server:
        upgrade(server.url)
        yield server


@pytest.fixture
async def hanging(server: PostgresServer, tmp_path: Path) -> AsyncIterator[Site]:
    """Give a site on it."""
    async with new_site(server.url, tmp_path) as site:
        yield site
        server.thaw()


async def started(site: Site, *command: str, says: str) -> Program:
    """Start a program and wait until it works."""
    program = await site.programs.start(*command)
    await program.says(says)
    return program


async def stop(program: Program) -> Ended:
    """Send SIGTERM and wait for the end."""
    program.process.terminate()
    return await program.ended()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["worker"], "worker started"),
        (["serve", "--port", "0"], "Uvicorn running"),
    ],
    ids=["worker", "serve"],
)
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
async def test_a_program_ends_although_the_database_hangs(
    hanging: Site,
    server: PostgresServer,
    command: list[str],
    says: str,
    *,
    busy: bool,
) -> None:
    """It waits for nothing that does not come, and says no more than it must."""
    site = hanging
    program = await started(site, *command, says=says)
    if busy:
        site.script("init", fault={"kind": "processing", "stuck": True})
        await site.post(f"proj_{command[0]}")
        await site.called(Call.STATUS)
    server.freeze()
    try:
        ended = await stop(program)
    finally:
        server.thaw()
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err


async def test_a_program_ends_although_another_one_locks_the_file(
    sqlite_site: Site,
) -> None:
    """The same on SQLite."""
    site = sqlite_site
    program = await started(site, "worker", says="worker started")
    site.script("init", fault={"kind": "processing", "stuck": True})
    await site.post()
    await site.called(Call.STATUS)
    file = make_url(site.programs.env["DATABASE_URL"]).database or ""
    lock = sqlite3.connect(file, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        ended = await stop(program)
    finally:
        lock.close()
    assert ended.code == 0, ended.err
