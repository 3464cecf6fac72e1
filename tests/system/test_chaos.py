"""A few cells of the crash matrix; `make chaos` runs all of them."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from chaos import matrix
from chaos.cells import Cell
from chaos.run import run_cells
from chaos.world import World, new_world

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "pidfd_send_signal"), reason="signals to descriptors are Linux'"
)

UNHURRIED: Final[Mapping[str, int]] = {
    "poll_deadline_seconds": 12,
    "claim_timeout_seconds": 15,
    "http_timeout_seconds": 10,
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Give what cells share."""
    async with new_world(tmp_path, seed=1) as world:
        yield world


def unhurried(cell: Cell) -> Cell:
    """Let a cell's times be long enough for a busy machine."""
    return replace(
        cell, row=replace(cell.row, settings={**UNHURRIED, **cell.row.settings})
    )


async def test_whatever_strikes_there_is_one_post_at_most_and_an_end(
    world: World,
) -> None:
    """Killed, frozen, cut off, misled: every job ends as the matrix says."""
    cells = [unhurried(cell) for cell in matrix.cells(short=True)]
    assert len(cells) == len(matrix.SHORT)
    results = await run_cells(world, cells)
    assert {str(each.cell): each.wrong for each in results if each.wrong} == {}


INSTALL_ALL: Final = """
from chaos.mutants import MUTANTS, OUTSIDE
for mutant in (MUTANTS | OUTSIDE).values():
    mutant.install()
"""


async def test_every_mutant_takes_something_out() -> None:
    """A mechanism that has moved stops its mutant, which would else prove nothing."""
    program = await asyncio.create_subprocess_exec(sys.executable, "-c", INSTALL_ALL)
    assert await program.wait() == 0


@pytest.mark.parametrize(
    ("mutant", "cell"),
    [
        ("stamp", "SIGKILL: after init [SQLite]"),
        ("unknown", "fault at init: reset, taken [SQLite]"),
        ("resume", "SIGKILL: after wait [SQLite]"),
    ],
)
async def test_a_mechanism_that_is_missing_is_noticed(
    world: World, mutant: str, cell: str
) -> None:
    """The judges see the second post that each of these mechanisms prevents."""
    cells = [unhurried(each) for each in matrix.cells() if str(each) == cell]
    (result,) = await run_cells(world, cells, mutant=mutant)
    assert [end.posts for end in result.ends] == [2]
    assert "2 posts" in result.broken
