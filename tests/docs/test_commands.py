"""What the pages tell people to type works as it is written."""

import json
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import (
    OTHERS,
    PLAN,
    Block,
    Place,
    Run,
    blocks_of,
    not_run,
    other_blocks,
    pages,
    to_run,
)
from tests.docs.places import Machine, prepare
from tests.docs.terminal import Terminal
from tests.support.patience import PATIENCE_SECONDS

PROGRAMS = {"curl", "jq", "sqlite3", "pg_dump", "openssl"}

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def test_every_block_is_run_or_listed() -> None:
    """A new one in any page fails here until it is in the plan or among the others."""
    assert set(pages()) == set(PLAN)
    assert other_blocks() == set(OTHERS)


@pytest.mark.parametrize(
    ("block", "why"),
    not_run(),
    ids=[f"{block.page}:{block.line}" for block, _ in not_run()],
)
def test_a_block_is_not_run(block: Block, why: str) -> None:
    """Shown with its reason, so that nobody takes it for tried."""
    pytest.skip(f"{block.page}:{block.line}: {why}")


@pytest.mark.parametrize(
    ("page", "place", "typed"),
    to_run(),
    ids=[f"{page} {place.name.lower()}" for page, place, _ in to_run()],
)
async def test_a_pages_commands_work(
    page: str,
    place: Place,
    typed: Sequence[tuple[Block, Run]],
    postgres_url: str,
    tmp_path: Path,
) -> None:
    """Each ends with status 0, and no request with an error."""
    if lacking := [each for each in _named(typed) if not shutil.which(each)]:
        pytest.skip(f"{page} needs {' and '.join(lacking)}")
    machine = Machine(tmp_path, postgres_url)
    async with Terminal(tmp_path) as terminal:
        await prepare(terminal, machine, place)
        for block, how in typed:
            before = len(terminal.failed())
            await terminal.answer(machine.moved(how.first))
            commands = machine.moved(block.text)
            said = await terminal.answer(commands)
            wrong = terminal.failed()[before:]
            expected = [each for each in wrong if how.fails and how.fails in each]
            assert wrong == expected, f"{page}:{block.line}\n{said}\n{terminal.errors}"
            assert bool(expected) == bool(how.fails)
            await machine.started(commands)


@pytest.mark.parametrize("transfer", ["pull", "push"])
async def test_the_readmes_first_post_is_posted(
    transfer: str, postgres_url: str, tmp_path: Path
) -> None:
    """Whoever types the section's commands ends with a posted job, either way."""
    if not shutil.which("curl"):
        pytest.skip("the README uses curl")
    machine = Machine(tmp_path, postgres_url)
    _, *blocks = (machine.moved(each.text) for each in blocks_of("README.md"))
    start, post, look = blocks
    assert '"assetUrl"' in post
    if transfer == "push":
        post = post.replace('"assetUrl"', '"transfer": "push", "assetUrl"')
    async with Terminal(tmp_path) as terminal:
        await terminal.answer(start)
        await machine.started(start)
        assert '"status":"scheduled"' in (await terminal.answer(post)).replace(" ", "")
        deadline = time.monotonic() + PATIENCE_SECONDS
        jobs: list[dict[str, Any]] = []
        while [job["status"] for job in jobs] != ["posted"]:
            assert time.monotonic() < deadline, jobs
            jobs = json.loads(await terminal.answer(f"sleep 0.2; {look}"))["items"]
    assert [job["transfer"] for job in jobs] == [transfer]


def _named(typed: Sequence[tuple[Block, Run]]) -> list[str]:
    words = set(re.findall(r"\w+", " ".join(block.text for block, _ in typed)))
    return sorted(PROGRAMS & words)
