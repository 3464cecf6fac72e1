"""The console script in processes of its own."""

import asyncio
import os
import signal
import socket
import sysconfig
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.patience import PATIENCE_SECONDS

SCRIPT: Final = Path(sysconfig.get_path("scripts")) / "tiktok-scheduler"

_LOOK_SECONDS: Final = 0.02
_LIMITED: Final = 'ulimit -n "$0" && exec "$@"'


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program left behind."""

    code: int
    out: str
    err: str


@dataclass(slots=True)
class Program:
    """A running program, told apart from others by its files."""

    process: asyncio.subprocess.Process
    out: Path
    err: Path

    async def says(self, words: str) -> None:
        """Wait until its log has these words."""
        await until(lambda: self._has(words), what=f"{words!r} in {self.err}")

    async def prints(self) -> str:
        """Wait for its first line on standard output."""
        await until(lambda: "\n" in self.out.read_text(), what=f"a line in {self.out}")
        return self.out.read_text().partition("\n")[0]

    async def ended(self, *, patience: float = PATIENCE_SECONDS) -> Ended:
        """Wait for its end."""
        async with asyncio.timeout(patience):
            code = await self.process.wait()
        return Ended(code, self.out.read_text(), self.err.read_text())

    async def stop(self, *, patience: float = PATIENCE_SECONDS) -> Ended:
        """Send SIGTERM and wait for the end."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended(patience=patience)

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    def _has(self, words: str) -> bool:
        over = self.process.returncode is not None  # before the look, or words are lost
        if words in self.err.read_text():
            return True
        if over:
            raise AssertionError(f"ended unexpectedly:\n{self.err.read_text()}")
        return False


class Programs:
    """Starts programs in one environment and ends those that are left."""

    def __init__(
        self, directory: Path, env: Mapping[str, str], *, script: Path = SCRIPT
    ) -> None:
        self.directory = directory
        self._script = script
        self.env = {**_bare_environment(), **env}
        self.wrapper: tuple[str, ...] = ()
        self._started: list[Program] = []

    async def start(self, *arguments: str, **env: str) -> Program:
        """Start ``tiktok-scheduler`` with these arguments."""
        number = len(self._started)
        out, err = (self.directory / f"{number}.{end}" for end in ("out", "err"))
        with out.open("wb") as to_out, err.open("wb") as to_err:
            process = await asyncio.create_subprocess_exec(
                *self.wrapper,
                self._script,
                *arguments,
                env={**self.env, **env},
                cwd=self.directory,  # a .env of the developer's is none of the test's
                stdin=asyncio.subprocess.DEVNULL,
                stdout=to_out,
                stderr=to_err,
            )
        program = Program(process, out, err)
        self._started.append(program)
        return program

    def limit_descriptors(self, number: int) -> None:
        """Let no program that is started from now on have more than so many."""
        self.wrapper = ("sh", "-c", _LIMITED, str(number))

    async def run(self, *arguments: str, **env: str) -> Ended:
        """Start it and wait for its end."""
        return await (await self.start(*arguments, **env)).ended()

    async def close(self) -> None:
        """End what still runs."""
        for program in self._started:
            await program.kill()


async def until(
    condition: Callable[[], bool | Awaitable[bool]], *, what: str = "it"
) -> None:
    """Wait for something in another process."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        met = condition()
        if met if isinstance(met, bool) else await met:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}")
        await asyncio.sleep(_LOOK_SECONDS)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _bare_environment() -> dict[str, str]:
    """Keep what any program needs, and what measures coverage in it."""
    kept = {"PATH", "HOME", "LANG", "TMPDIR"}
    return {
        name: value
        for name, value in os.environ.items()
        if name in kept or name.startswith("COVERAGE")
    }
