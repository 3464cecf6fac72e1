"""A few cells of the crash matrix; `make chaos` runs all of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chaos import matrix
from chaos.run import run_cells
from chaos.world import World, new_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Give what cells share."""
    async with new_world(tmp_path, seed=1) as world:
        yield world


async def test_whatever_strikes_there_is_one_post_at_most_and_an_end(
    world: World,
) -> None:
    """Killed, frozen, cut off, misled: every job ends as the matrix says."""
    cells = matrix.cells(short=True)
    assert len(cells) == len(matrix.SHORT)
    results = await run_cells(world, cells)
    assert {str(each.cell): each.wrong for each in results if each.wrong} == {}


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
    (result,) = await run_cells(world, matrix.cells(only=cell), mutant=mutant)
    assert [end.posts for end in result.ends] == [2]
    assert "2 posts" in result.broken
