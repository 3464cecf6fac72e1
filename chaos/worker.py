"""The worker process that is broken: the real worker, with a gate at every step.

Started once, it imports everything and then forks a worker for each order that it reads
from standard input, so that hundreds of real processes start within a minute.
"""

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from app.container import open_container
from app.domain.errors import StoreUnavailable
from app.grants import refresh
from app.logs import configure_logging
from app.machine.clock import SystemClock
from app.settings import Settings
from chaos import mutants, steps
from chaos.gate import Gate, Moment, Stop

REFRESH_SHARE: Final = 3 / 4  # of the lease of a claim
"""The one time that is no setting, compressed like the others; in earnest 30 s."""


@dataclass(frozen=True, slots=True)
class GateClock(SystemClock):
    """A clock that can be wrong, and can jump."""

    gate: Gate

    def now(self) -> datetime:
        """Return the time as this process believes it to be."""
        return SystemClock.now() + timedelta(seconds=self.gate.shift)


def fork_workers(meeting_place: str) -> None:
    """Fork a worker for each line; the end of input ends all of them."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while line := sys.stdin.buffer.readline():
        if os.fork() == 0:
            _live(json.loads(line), meeting_place)
    os.killpg(0, signal.SIGKILL)


def _live(order: Mapping[str, Any], meeting_place: str) -> None:
    """Be a worker until the end, and never return to ``fork_workers``."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        random.seed()
        _log_to(order["log"])
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(meeting_place)
            line.sendall(f"{order['name']} {os.getpid()}\n".encode())
            asyncio.run(_work(order, line))
        code = 0
    except BaseException:  # noqa: BLE001 - told like any other, and the process ends
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _log_to(path: str) -> None:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    configure_logging("console", "warning")


async def _work(order: Mapping[str, Any], line: socket.socket) -> None:
    stops = (
        Stop(step, Moment(moment), nth) for step, moment, nth in order.get("stops", ())
    )
    gate = Gate(line, tuple(stops), shift=order.get("clock", 0.0))
    if (name := order.get("mutant")) is not None:
        {**mutants.MUTANTS, **mutants.OUTSIDE}[name].install()
    steps.install(gate)
    settings = Settings(**order["settings"], _env_file=None)
    lease = REFRESH_SHARE * settings.claim_timeout_seconds
    refresh.LEASE = timedelta(seconds=lease)  # type: ignore[misc]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_container(settings, clock=GateClock(gate)) as container:
        if container.database.is_sqlite:
            gate.writer = container.database._writer  # noqa: SLF001
        if order.get("doubts"):  # a clock that is handed in is right by default
            container._doubts_clock = True  # noqa: SLF001
            await container.ready()
        if (budget := order.get("tick")) is not None:
            with suppress(StoreUnavailable):  # one line and exit 1, in earnest
                await container.runner.tick(budget=budget, stop=stop)
        else:
            await container.runner.run(stop)


if __name__ == "__main__":
    fork_workers(sys.argv[1])
