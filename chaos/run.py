"""Run cells, side by side where they do not disturb each other."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Final

from chaos.acts import NotReached
from chaos.audit import Found, complaints, look
from chaos.cells import Cell, End
from chaos.disk import can_mount
from chaos.place import new_place
from chaos.world import World

SIDE_BY_SIDE: Final = 10
MISTAKES: Final = (
    "Traceback",
    "an attempt failed unexpectedly",
    "stumbled",
    "could not be written",
)
"""What a worker writes only when our own code failed."""

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a cell."""

    cell: Cell
    ends: tuple[End, ...]
    broken: tuple[str, ...] = ()  # what no job may ever be
    differs: tuple[str, ...] = ()  # honest, but not the end that was promised
    skipped: bool = False

    @property
    def wrong(self) -> tuple[str, ...]:
        """Return all that is not as it should be."""
        return self.broken + self.differs

    @property
    def certain(self) -> bool:
        """Tell whether it is wrong in a way that no slow machine explains."""
        late = any(each.startswith("no end") for each in self.broken)
        return bool(self.ends and self.wrong) and not late

    def __str__(self) -> str:
        if self.skipped:
            return "not run"
        ends = Counter(map(str, self.ends))
        text = "; ".join(
            end if number == 1 else f"{number} {end}" for end, number in ends.items()
        )
        return f"**WRONG** {'; '.join(self.wrong)}" if self.wrong else text


Progress = Callable[[Result], None]


async def run_cells(
    world: World,
    cells: Sequence[Cell],
    *,
    mutant: str | None = None,
    enough: int | None = None,
    progress: Progress = lambda _: None,
) -> list[Result]:
    """Run cells and return their results; those that need the machine come last.

    A cell that is wrong without the mutant, too, says nothing and is left as skipped.
    After ``enough`` cells whose wrong end is certain, the others are skipped.
    """
    gate, alone = asyncio.Semaphore(SIDE_BY_SIDE), asyncio.Semaphore(1)
    certain = 0

    async def run(cell: Cell) -> Result:
        nonlocal certain
        async with alone if cell.row.crowded else gate:
            if enough is not None and certain >= enough:
                return Result(cell, (), skipped=True)
            try:
                result = await run_cell(world, cell, mutant=mutant)
                if mutant and result.wrong and (await run_cell(world, cell)).wrong:
                    result = Result(cell, (), skipped=True)
            except Exception as error:  # noqa: BLE001 - the other cells go on
                result = Result(cell, (), (f"the cell itself broke: {error!r}",))
            certain += result.certain
        progress(result)
        return result

    quiet = [run(cell) for cell in cells if not cell.row.crowded]
    crowded = [run(cell) for cell in cells if cell.row.crowded]
    return [*await asyncio.gather(*quiet), *await asyncio.gather(*crowded)]


async def run_cell(world: World, cell: Cell, *, mutant: str | None = None) -> Result:
    """Run a cell and judge it."""
    if cell.row.breaks_disk and not can_mount():
        return Result(cell, (), skipped=True)
    name = f"cell_{next(_numbers)}"
    with (world.directory / "cells").open("a") as names:
        names.write(f"{name} {cell}\n")
    async with AsyncExitStack() as stack:
        if cell.row.breaks_server:
            await stack.enter_async_context(world.fragile.turn)
        place = await stack.enter_async_context(
            new_place(world, cell, name, mutant=mutant)
        )
        try:
            await cell.row.script(place)
        except (NotReached, TimeoutError) as error:
            return Result(cell, (), (f"never came there: {error}",))
        await place.over()
        await place.settled()
        found = await look(place.container, place.jobs, place.posts)
        broken = [*chain(*map(complaints, found)), *_mistakes(place.log)]
        if others := place.calls_of_the_other():
            broken.append(f"called as another person: {', '.join(others)}")
    return Result(
        cell,
        tuple(each.end for each in found),
        broken=tuple(dict.fromkeys(broken)),
        differs=tuple(dict.fromkeys(_differences(cell, found))),
    )


def _differences(cell: Cell, found: Sequence[Found]) -> Iterator[str]:
    row = cell.row
    for each in found:
        if each.end not in cell.ends:
            honest = " or ".join(map(str, cell.ends))
            yield f"ended {each.end}, not {honest}"
        if row.attempts is not None and each.job.attempts != row.attempts:
            codes = ", ".join(str(entry.error_code) for entry in each.ledger)
            yield f"attempts counted, not {row.attempts}: {codes}"


def _mistakes(log: Path) -> Iterator[str]:
    text = log.read_text() if log.exists() else ""
    for mistake in MISTAKES:
        if mistake in text:
            yield f"a worker's log says {mistake!r}"
