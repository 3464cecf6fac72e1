"""The chaos program."""

import asyncio
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from app.logs import configure_logging
from chaos import failovers, matrix, report
from chaos.cells import Cell, Database
from chaos.mutants import MUTANTS
from chaos.run import Result, run_cells
from chaos.soak import Run, Soaked, ways_compared
from chaos.soak import soak as run_soak
from chaos.world import new_world

MUTANT_PATIENCE_SECONDS = 45.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Seed = Annotated[int, typer.Option(help="Makes chance fall the same way again.")]
Only = Annotated[str, typer.Option(help="Cells with this in their name; | for or.")]
Write = Annotated[bool, typer.Option(help="Write docs/crash-matrix.md.")]


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    *,
    seed: Seed = 1,
    short: Annotated[bool, typer.Option(help="A dozen telling cells.")] = False,
    only: Only = "",
    group: Annotated[str, typer.Option(help="All cells of one group.")] = "",
    write: Write = True,
) -> None:
    """Run the crash matrix."""
    if context.invoked_subcommand is not None:
        return
    cells = matrix.cells(short=short, only=f"{group}: " if group else only)
    results = asyncio.run(_run(cells, seed=seed))
    if write and group:
        report.write_group(group, report.group(results))
    elif write and not short and not only:
        report.write_part("message", report.message(results, seed=seed))
        rest = [each for each in results if not matrix.is_upload(each.cell)]
        report.write_part("matrix", report.matrix(rest, seed=seed))
        report.write_part("in doubt", report.in_doubt(results))
        _write_uploads(results, seed=seed)
    _conclude(results)


@app.command()
def uploads(*, seed: Seed = 1, write: Write = True) -> None:
    """Run the cells of uploads and photos alone."""
    cells = list(filter(matrix.is_upload, matrix.cells()))
    results = asyncio.run(_run(cells, seed=seed))
    if write:
        _write_uploads(results, seed=seed)
    _conclude(results)


@app.command()
def mutants(
    *,
    seed: Seed = 1,
    only: Only = "",
    write: Write = True,
    name: str = "",
    enough: Annotated[
        int, typer.Option(help="Go on to the next one after so many cells noticed.")
    ] = 5,
) -> None:
    """Take one mechanism out at a time, and see which cells notice."""
    cells = [cell for cell in matrix.cells(only=only) if _tells(cell)]
    random.Random(seed).shuffle(cells)
    found = {}
    for mutant in [name] if name else MUTANTS:
        results = asyncio.run(_run(cells, seed=seed, mutant=mutant, enough=enough))
        found[mutant] = results = [each for each in results if not each.skipped]
        noticed = sum(bool(result.wrong) for result in results)
        print(f"without {MUTANTS[mutant].without}: {noticed} of {len(results)} notice")
    if write and not only and not name:
        lines = report.mutants(found, enough=enough, cells=len(cells), seed=seed)
        report.write_part("mutants", lines)
    sys.exit(0 if all(map(_is_noticed, found.values())) else 1)


@app.command()
def soak(
    *,
    jobs: int = 10_000,
    sqlite_jobs: int = 1_000,
    gateway_jobs: int = 1_000,
    seed: Seed = 1,
    write: Write = True,
) -> None:
    """Run thousands of posts under random faults and kills."""
    runs = (
        Run(Database.POSTGRES, jobs, seed),
        Run(Database.SQLITE, sqlite_jobs, seed),
        Run(Database.POSTGRES, gateway_jobs, seed, gateway=True),
    )
    results = [asyncio.run(_soak(run)) for run in runs if run.jobs]
    lines = [line for result in results for line in result.lines()]
    print("\n".join(lines))
    if write:
        report.write_part("soak", lines)
    sys.exit(1 if any(result.wrong for result in results) else 0)


@app.command()
def ways(*, jobs: int = 1_000, seed: Seed = 1, write: Write = True) -> None:
    """Run as many pulls as pushes under the same random faults and kills."""
    runs = [
        Run(database, jobs, seed, push=push)
        for database in Database
        for push in (False, True)
    ]
    results = [asyncio.run(_soak(run)) for run in runs]
    lines = [
        *ways_compared(results),
        *(each for one in results for each in one.lines()),
    ]
    print("\n".join(lines))
    if write:
        report.write_part("ways", lines)
    sys.exit(1 if any(result.wrong for result in results) else 0)


def _write_uploads(results: Sequence[Result], *, seed: int) -> None:
    found = [each for each in results if matrix.is_upload(each.cell)]
    lines = report.matrix(found, seed=seed, command="python -m chaos uploads")
    report.write_part("uploads", lines)


def _conclude(results: Sequence[Result]) -> None:
    wrong = sum(bool(result.wrong) for result in results)
    print(f"{len(results)} cells, {wrong} wrong")
    sys.exit(1 if wrong else 0)


@app.command()
def failover(
    *,
    seed: Seed = 1,
    only: Only = "",
    write: Write = True,
    without: Annotated[str, typer.Option(help="The mechanism taken out.")] = "failover",
) -> None:
    """Let a database fail over in the middle of posting, in every way."""
    chosen = [case for case in failovers.cases() if only in str(case)]
    results = asyncio.run(_fail_over(chosen, seed=seed, without=without))
    lines = list(failovers.table(results))
    print("\n".join(lines))
    if write and not only and without == "failover":
        report.write_part("failover", lines)
    saved = [each for each in results if each[0].kind is not failovers.Kind.PARTED]
    sys.exit(1 if any(after.wrong for _, _, after in saved) else 0)


async def _fail_over(
    chosen: Sequence[failovers.Case], *, seed: int, without: str
) -> list[tuple[failovers.Case, failovers.Outcome, failovers.Outcome]]:
    configure_logging("console", "critical")
    with TemporaryDirectory(prefix="chaos-") as directory:
        async with new_world(Path(directory), seed=seed) as world:
            return await failovers.run(world, chosen, side_by_side=4, without=without)


async def _soak(run: Run) -> Soaked:
    configure_logging("console", "critical")  # of the gateway in this process
    with TemporaryDirectory(prefix="chaos-") as directory:
        async with new_world(Path(directory), seed=run.seed) as world:
            return await run_soak(world, run)


async def _run(
    cells: Sequence[Cell],
    *,
    seed: int,
    mutant: str | None = None,
    enough: int | None = None,
) -> list[Result]:
    configure_logging("console", "critical")  # of the gateways in this process
    with TemporaryDirectory(prefix="chaos-") as directory:
        async with new_world(Path(directory), seed=seed) as world:
            if mutant is not None:
                world.patience = MUTANT_PATIENCE_SECONDS
            return await run_cells(
                world, cells, mutant=mutant, enough=enough, progress=_progress()
            )


def _progress() -> Callable[[Result], None]:
    began = time.monotonic()

    def show(result: Result) -> None:
        print(f"{time.monotonic() - began:6.1f} {result.cell}: {result}", flush=True)

    return show


def _tells(cell: Cell) -> bool:
    """Leave out what takes long and what no mutant touches."""
    row = cell.row
    quiet = not (row.breaks_server or row.breaks_disk or row.crowded)
    touched = not row.group.startswith(("fault at creator_info", "fault at token"))
    return cell.database is row.databases[0] and quiet and touched


def _is_noticed(results: Sequence[Result]) -> bool:
    return any(result.certain for result in results)


if __name__ == "__main__":
    app()
