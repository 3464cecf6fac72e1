"""Streams that nobody reads, that are closed, or that lack characters."""

import asyncio
import fcntl
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.patience import PATIENCE_SECONDS
from tests.system.programs import SCRIPT, Programs, free_port, until

LEAST = 4096
CLOSED = ("sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-')


@pytest.fixture
def full_pipe() -> Iterator[int]:
    """Give the end of a full pipe that nobody reads."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, LEAST)  # Linux alone
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x")
    except BlockingIOError:
        os.set_blocking(writer, True)
    yield writer
    os.close(reader)
    os.close(writer)


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="needs Linux")
async def test_the_api_answers_while_nobody_reads_its_log(
    full_pipe: int, tmp_path: Path
) -> None:
    """Probes, requests and the stop, each of which writes a line."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        SCRIPT,
        "serve",
        "--port",
        str(port),
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "LOG_LEVEL": "debug"},
        stdout=full_pipe,
        stderr=full_pipe,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:

            async def answers() -> bool:
                try:
                    return (await client.get(f"{url}/healthz")).status_code == 200
                except httpx.ConnectError:
                    return False

            await until(answers)
            for _ in range(50):
                assert (await client.get(f"{url}/v1/jobs")).status_code == 401
                assert await answers()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("command", [("tick",), ("keys", "list", "--json")])
async def test_a_program_does_without_standard_streams(
    programs: Programs, command: tuple[str, ...]
) -> None:
    """Some managers close all three: no file and no socket may take their numbers."""
    programs.wrapper = CLOSED
    for _ in range(2):
        ended = await programs.run(*command)
        assert (ended.code, ended.out, ended.err) == (0, "", "")


async def test_the_programs_that_stay_do_without_standard_streams(
    programs: Programs,
) -> None:
    """The API runs, and ends as it is told to."""
    programs.wrapper = CLOSED
    port = free_port()
    running = await programs.start("serve", "--port", str(port))
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:

        async def answers() -> bool:
            assert running.process.returncode is None
            try:
                found = await client.get(f"http://127.0.0.1:{port}/readyz")
            except httpx.TransportError:
                return False
            return found.status_code == 200

        await until(answers)
    assert (await running.stop()).code == 0


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
async def test_no_character_ends_a_command(programs: Programs, encoding: str) -> None:
    """What a terminal cannot show is escaped; JSON stays JSON."""
    name = "a \N{PARTY POPPER}"
    assert (await programs.run("keys", "create", "--name", name)).code == 0
    listed = await programs.run("keys", "list", "--json", PYTHONIOENCODING=encoding)
    assert [each["name"] for each in json.loads(listed.out)["items"]] == [name]
    shown = await programs.run("keys", "list", PYTHONIOENCODING="latin-1")
    assert (shown.code, shown.err) == (0, "")
    assert "a \\U0001f389" in shown.out
