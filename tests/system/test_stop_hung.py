"""A stop is a stop: told to end, a program ends, whatever hangs."""

import asyncio
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.sandbox.recording import Call
from app.store.db.migrate import upgrade
from tests.support.patience import PATIENCE_SECONDS
from tests.support.postgres import PostgresServer
from tests.system.programs import Ended, Program, Programs
from tests.system.site import Site, new_site

PATIENT_DOCTOR = (
    sys.executable,
    "-c",
    f"""\
import signal, sys
from app import cli
from app.commands import doctor
doctor.SECONDS = {PATIENCE_SECONDS}
signal.signal(signal.SIGINT, signal.default_int_handler)
del sys.argv[0]
cli.main()
""",
)
"""The script, whose own deadline is not what ends it on a slow machine.

It hears Ctrl-C although a shell that runs the tests in the background has it ignored.
"""


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


async def test_an_answer_is_kept_although_the_database_hangs(
    hanging: Site, server: PostgresServer
) -> None:
    """TikTok took the init meanwhile: its id is in a file, for the next process."""
    site = hanging
    site.script("init", fault={"kind": "drip", "secondsPerByte": 0.02})
    program = await started(site, "worker", says="worker started")
    job = await site.post("proj_kept")
    await site.called(Call.INIT)
    server.freeze()
    try:
        ended = await stop(program)
    finally:
        server.thaw()
    assert "a publish_id is kept in a file" in ended.err
    await site.programs.run("keys", "list")
    assert (await site.container.jobs.get(job.id)).publish_id is not None


async def test_a_tick_ends_although_the_database_hangs(
    hanging: Site, server: PostgresServer
) -> None:
    """Cron's, too: what it had in hand is free when its claim ends."""
    site = hanging
    site.script("init", fault={"kind": "processing", "stuck": True})
    job = await site.post("proj_tick")
    program = await site.programs.start("tick")
    await site.called(Call.STATUS)
    server.freeze()
    try:
        ended = await stop(program)
    finally:
        server.thaw()
    assert "Traceback" not in ended.err
    assert (await site.container.jobs.get(job.id)).attempts == 0


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


async def test_ctrl_c_ends_a_check_whose_answer_never_ends(programs: Programs) -> None:
    """`doctor` asks strangers; no thread that waits for them keeps the program."""
    asked = asyncio.Event()

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.write(b"HTTP/1.1 200 OK\r\n")
        with suppress(OSError):
            while not writer.is_closing():
                writer.write(b"X")
                await writer.drain()
                await asyncio.sleep(0.1)
        writer.close()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        programs.wrapper = PATIENT_DOCTOR
        program = await programs.start(
            "doctor", TIKTOK_API_BASE_URL=f"http://127.0.0.1:{port}"
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asked.wait()
        program.process.send_signal(signal.SIGINT)
        assert (await program.ended()).code == 130
