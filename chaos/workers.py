"""Start, halt, freeze and kill workers."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from chaos.gate import Stop


@dataclass(slots=True)
class Worker:
    """One process, controlled over a pipe that breaks when it dies."""

    process: int  # a descriptor: unlike a pid it never comes to mean another process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _is_gone: bool = False

    async def reached(self) -> bool:
        """Wait until it halts at its next stop; False if it ends before."""
        return bool(await self.reader.readline())

    async def gone(self) -> None:
        """Wait for its end."""
        with suppress(ConnectionResetError):  # it died with an order unread
            while await self.reader.readline():
                pass
        self.writer.close()
        if not self._is_gone:
            self._is_gone = True
            os.close(self.process)

    def go(self, order: str = "go") -> None:
        """Let it continue: ``clock SECONDS`` later, or to ``lose`` a write."""
        with suppress(OSError):
            self.writer.write(f"{order}\n".encode())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; the process may have ended."""
        if not self._is_gone:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.process, number)

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.signal(signal.SIGKILL)
        await self.gone()


@dataclass(slots=True)
class WorkerStarter:
    """Starts workers, and kills all that are left at its end."""

    directory: Path
    _process: asyncio.subprocess.Process = field(init=False)
    _expected: dict[str, asyncio.Future[Worker]] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=count)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["WorkerStarter"]:
        """Start the program that forks workers."""
        meeting_place = str(self.directory / "line")
        server = await asyncio.start_unix_server(self._meet, meeting_place)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "chaos.worker", meeting_place),
            stdin=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"]},
            start_new_session=True,  # the workers end with it
        )
        try:
            async with server:
                yield self
        finally:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()

    async def start(
        self,
        settings: Mapping[str, Any],
        *stops: Stop,
        log: Path,
        **order: Any,  # noqa: ANN401 - as in JSON
    ) -> Worker:
        """Start a worker: ``clock`` seconds ahead, for a ``tick``, as a ``mutant``."""
        name = str(next(self._numbers))
        met = self._expected[name] = asyncio.get_running_loop().create_future()
        halts = [(stop.step, stop.moment, stop.nth) for stop in stops]
        order |= {"name": name, "settings": dict(settings), "stops": halts}
        assert self._process.stdin is not None
        self._process.stdin.write(
            json.dumps({**order, "log": str(log)}).encode() + b"\n"
        )
        async with asyncio.timeout(60):
            worker: Worker = await met
        return worker

    async def _meet(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        name, pid = (await reader.readline()).split()
        worker = Worker(os.pidfd_open(int(pid)), reader, writer)
        self._expected.pop(name.decode()).set_result(worker)
