"""The README's first post works as it is written."""

import asyncio
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.support.patience import PATIENCE_SECONDS
from tests.support.repository import ROOT
from tests.system.programs import SCRIPT, free_port

SECTION = re.compile(r"^## Your first post.*?$(.*?)^## ", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
INSTALL = "make install && . .venv/bin/activate"


def shell_blocks(*, sandbox: int, api: int) -> list[str]:
    """Return the section's commands, on other ports, and without installing anew."""
    section = SECTION.search((ROOT / "README.md").read_text())
    assert section is not None
    assert INSTALL in section[1]
    commands = section[1].replace(INSTALL, f". {SCRIPT.parent / 'activate'}")
    moved = commands.replace("9000", str(sandbox)).replace("8000", str(api))
    return SHELL.findall(moved)


class Terminal:
    """A shell that somebody types into."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._errors = directory / "terminal.err"

    async def __aenter__(self) -> "Terminal":
        with self._errors.open("wb") as errors:
            self._shell = await asyncio.create_subprocess_exec(
                *("bash", "--norc"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                cwd=self._directory,
                env={"PATH": os.environ["PATH"], "HOME": str(self._directory)},
                start_new_session=True,  # with what it starts in the background
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        os.killpg(self._shell.pid, signal.SIGKILL)
        await self._shell.communicate()

    async def enter(self, commands: str) -> None:
        """Type commands."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(commands.encode())
        await self._shell.stdin.drain()

    async def answer(self, commands: str) -> str:
        """Type commands and read what they print."""
        await self.enter(f"{commands}\necho; echo the-end\n")
        assert self._shell.stdout is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            said = await self._shell.stdout.readuntil(b"\nthe-end\n")
        return said.decode()


async def answers(url: str) -> None:
    """Wait until somebody answers there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        while time.monotonic() < deadline:
            try:
                (await client.get(url)).raise_for_status()
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
            else:
                return
    raise AssertionError(f"nobody answers at {url}")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README uses curl")
async def test_the_first_post_is_posted(tmp_path: Path) -> None:
    """Whoever types the section's commands ends with a posted job."""
    sandbox, api = free_port(), free_port()
    start, post, look = shell_blocks(sandbox=sandbox, api=api)
    async with Terminal(tmp_path) as terminal:
        await terminal.enter(start)
        await answers(f"http://127.0.0.1:{api}/readyz")
        assert '"status":"scheduled"' in (await terminal.answer(post)).replace(" ", "")
        deadline = time.monotonic() + PATIENCE_SECONDS
        statuses: list[str] = []
        while statuses != ["posted"] and time.monotonic() < deadline:
            page = json.loads((await terminal.answer(look)).partition("\nthe-end")[0])
            statuses = [job["status"] for job in page["items"]]
            await asyncio.sleep(0.2)
    assert statuses == ["posted"]
