"""A pushed video goes from one connection to the other, never through a file."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from app.domain.jobs.job import JobStatus
from tests.runner.stage import Stage
from tests.runner.test_runner_push import BYTES, push, pusher

WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND

_listening: list[list[str]] = []  # a hook stays for the life of its process


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if not _listening or event not in {"open", "tempfile.mkstemp", "tempfile.mkdtemp"}:
        return
    flags = arguments[2] if event == "open" else WRITES
    if isinstance(flags, int) and flags & WRITES:
        _listening[-1].append(f"{event} {arguments[0]}")


@cache
def _hook() -> None:
    sys.addaudithook(_hear)


@contextmanager
def files_written() -> Iterator[list[str]]:
    """Note every file that this process opens to write, temporary ones too.

    SQLite opens its own from C, which no hook hears of.
    """
    _hook()
    found: list[str] = []
    _listening.append(found)
    try:
        yield found
    finally:
        _listening.pop()


async def test_a_push_opens_no_file_to_write(stage: Stage) -> None:
    """Not for its bytes and for nothing else, also where a chunk is sent again."""
    worker = await pusher(stage)
    await stage.connect(worker, "proj_1")
    small = await push(stage, worker, query="bytes=5000")
    stage.fault("upload", "reset", rule={"match": {"chunk": 2}})
    large = await push(stage, worker, query=f"bytes={BYTES}&seed=7")
    with files_written() as written:
        await worker.tick()
    for job in (small, large):
        assert (await worker.job(job)).status is JobStatus.POSTED
    assert written == []


def test_a_temporary_file_would_be_seen(tmp_path: Path) -> None:
    """Else the test above could not fail."""
    with files_written() as written, TemporaryFile(dir=tmp_path):
        pass
    assert written
