"""A shell that somebody types into."""

import asyncio
import os
import re
import signal
from pathlib import Path

from tests.support.patience import PATIENCE_SECONDS
from tests.system.programs import SCRIPT

_PREAMBLE = """\
trap 'echo "failed: $BASH_COMMAND" >&2' ERR
set -o pipefail
"""


class Terminal:
    """Bash in a folder; it and all that it started ends with the context."""

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
                env={
                    "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}",
                    "HOME": str(self._directory),
                },
                start_new_session=True,  # with what it starts in the background
                limit=2**24,
            )
        await self._enter(_PREAMBLE)
        return self

    async def __aexit__(self, *_: object) -> None:
        os.killpg(self._shell.pid, signal.SIGKILL)
        await self._shell.communicate()

    async def answer(self, commands: str) -> str:
        """Type commands and return what they print."""
        await self._enter(f"{commands}\necho; echo the-end\n")
        assert self._shell.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                said = await self._shell.stdout.readuntil(b"\nthe-end\n")
        except asyncio.IncompleteReadError as ended:
            left = f"{commands}\n{ended.partial!r}\n{self.errors}"
            raise AssertionError(left) from None
        return said.decode().removesuffix("\nthe-end\n")

    def failed(self) -> list[str]:
        """Return the commands that ended with another status than 0."""
        return re.findall(r"^failed: (.*)$", self.errors, re.MULTILINE)

    @property
    def errors(self) -> str:
        """Return all that went to standard error."""
        return self._errors.read_text()

    async def _enter(self, commands: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(commands.encode())
        await self._shell.stdin.drain()
