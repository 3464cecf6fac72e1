"""Other job queues, each run by a Python that has it installed, apart from ours.

`make bench` installs them into an environment of their own; without it nothing is
compared with them.
"""

import asyncio
from pathlib import Path
from typing import Final

from bench.servers import ROOT, fresh_database, libpq_url

PYTHON: Final = ROOT / ".venv-bench" / "bin" / "python"
_PROGRAMS: Final = Path(__file__).parent
AIOHTTP: Final = _PROGRAMS / "run_aiohttp.py"

PGQUEUER_BATCHES: Final = (500, 1000)
"""Where PgQueuer 1.6 is at its best: 10 does a quarter of it, 100 two thirds."""

PROCRASTINATE_CONCURRENCY: Final = 10
"""Where Procrastinate 3.10 is at its best: it claims and finishes one by one."""


def are_installed() -> bool:
    """Tell whether there is anything to compare with."""
    return PYTHON.exists()


async def pgqueuer(server_url: str, jobs: int) -> float:
    """Return PgQueuer's jobs a second at its best setting."""
    rates = [
        await _rate(server_url, "run_pgqueuer.py", jobs, batch)
        for batch in PGQUEUER_BATCHES
    ]
    return max(rates)


async def procrastinate(server_url: str, jobs: int) -> float:
    """Return Procrastinate's jobs a second."""
    return await _rate(
        server_url, "run_procrastinate.py", jobs, PROCRASTINATE_CONCURRENCY
    )


async def _rate(server_url: str, program: str, jobs: int, setting: int) -> float:
    url = libpq_url(await fresh_database(server_url, migrated=False))
    return jobs / float(await run_peer(program, url, jobs, setting))


async def run_peer(program: str, *arguments: object) -> str:
    """Run a program beside this file to its end and return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(PYTHON, _PROGRAMS / program, *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await process.communicate()
    if process.returncode:
        raise RuntimeError(complaint.decode())
    return said.decode()
