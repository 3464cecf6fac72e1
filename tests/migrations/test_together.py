"""Several processes start at once, and each of them migrates."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from alembic import command

from app.store.db.migrate import alembic_config
from tests.support.patience import PATIENCE_SECONDS

PROCESSES = 3

# Says that it is ready, and waits for the word.
MIGRATE = """
import sys
from app.store.db.migrate import upgrade
print(flush=True)
sys.stdin.readline()
upgrade(sys.argv[1])
"""

Process = subprocess.Popen[str]


@contextmanager
def ready(url: str) -> Iterator[Process]:
    """Start a process that is about to migrate."""
    with subprocess.Popen(
        [sys.executable, "-c", MIGRATE, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_they_take_turns(empty_url: str) -> None:
    """One migrates, the others wait and find the work done; none fails."""
    with ExitStack() as stack:
        started = [stack.enter_context(ready(empty_url)) for _ in range(PROCESSES)]
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        errors = [
            process.communicate(timeout=PATIENCE_SECONDS)[1] for process in started
        ]
    assert errors == [""] * PROCESSES
    await asyncio.to_thread(command.check, alembic_config(empty_url))
