"""A log that nobody reads freezes nothing."""

import asyncio
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.patience import PATIENCE_SECONDS
from tests.system.programs import SCRIPT, free_port, until

LEAST = 4096


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
