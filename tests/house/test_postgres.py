"""The tests' own Postgres."""

import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from tests.support import postgres
from tests.support.postgres import PostgresServer, PostgresUnavailableError


async def execute(url: str, *statements: str) -> object:
    """Run statements and return the first value of the last one."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""), ssl=False)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


async def test_data_outlives_an_orderly_and_a_sudden_stop(
    postgres_server: PostgresServer,
) -> None:
    """A stopped server comes back on the same port with everything committed."""
    url = postgres_server.url
    await execute(url, "CREATE TABLE seen (n int)", "INSERT INTO seen VALUES (1)")
    postgres_server.restart()
    await execute(url, "INSERT INTO seen VALUES (2)", "CHECKPOINT")
    postgres_server.stop_immediate()
    with pytest.raises(OSError, match="Connect call failed"):
        await execute(url, "SELECT 1")
    postgres_server.start()
    assert await execute(url, "SELECT sum(n) FROM seen") == 3
    assert postgres_server.url == url


def test_closing_removes_every_file(tmp_path: Path) -> None:
    """Nothing of a closed server stays in the temporary folder."""
    with PostgresServer() as server:
        directory = server._directory
        assert directory is not None
        assert directory.is_dir()
    assert not directory.exists()
    server.close()


def test_a_killed_run_leaves_no_server_behind() -> None:
    """A test run that dies without a chance to clean up takes its Postgres along."""
    program = (
        "import os, signal\n"
        "from tests.support.postgres import PostgresServer\n"
        "server = PostgresServer(); server.start()\n"
        "print(server._directory, server._leash.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    directory, leash = run.stdout.split()
    _wait_for_process(int(leash))
    assert not Path(directory).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
async def test_binaries_that_only_root_may_read_are_copied(tmp_path: Path) -> None:
    """A virtual environment below /root is no obstacle."""
    binaries = postgres._wheel_binaries()[0]
    package = binaries.parent.parent
    hidden = tmp_path / package.name
    shutil.copytree(package, hidden, symlinks=True)
    shutil.copytree(f"{package}.libs", f"{hidden}.libs")
    tmp_path.chmod(0o700)
    with PostgresServer(binaries=hidden / binaries.relative_to(package)) as server:
        assert await execute(server.url, "SELECT 1") == 1


def test_a_failed_start_says_what_postgres_said(tmp_path: Path) -> None:
    """The error carries the program's own words, and nothing stays behind."""
    for name in ("initdb", "postgres"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho no such luck; exit 1\n")
        program.chmod(0o755)
    server = PostgresServer(binaries=tmp_path)
    with pytest.raises(PostgresUnavailableError, match="no such luck"):
        server.start()
    assert not server.running


def _wait_for_process(pid: int) -> None:
    # No child of ours: a pidfd is readable once it has ended.
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([descriptor], [], [], 20)[0]
    os.close(descriptor)
