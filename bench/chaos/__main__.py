"""The chaos program."""

import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from app.logs import configure_logging
from bench.chaos import matrix
from bench.chaos.run import Result, run_cells
from bench.chaos.world import new_world

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Seed = Annotated[int, typer.Option(help="Makes chance fall the same way again.")]


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    seed: Seed = 1,
    short: Annotated[bool, typer.Option(help="A dozen telling rows.")] = False,
    only: Annotated[str, typer.Option(help="Cells with this in their name.")] = "",
    keep: Annotated[Path | None, typer.Option(help="Where to leave the logs.")] = None,
) -> None:
    """Run the crash matrix."""
    if context.invoked_subcommand is not None:
        return
    results = asyncio.run(_matrix(seed=seed, short=short, only=only, keep=keep))
    wrong = sum(bool(result.wrong) for result in results)
    print(f"{len(results)} cells, {wrong} wrong")
    sys.exit(1 if wrong else 0)


async def _matrix(
    *, seed: int, short: bool, only: str, keep: Path | None
) -> list[Result]:
    configure_logging("console", "critical")  # of the gateways in this process
    began = time.monotonic()

    def progress(result: Result) -> None:
        seconds = time.monotonic() - began
        print(f"{seconds:6.1f} {result.cell}: {result}", flush=True)

    with TemporaryDirectory(prefix="chaos-") as directory:
        async with new_world(keep or Path(directory), seed=seed) as world:
            cells = matrix.cells(short=short, only=only)
            return await run_cells(world, cells, progress=progress)


if __name__ == "__main__":
    app()
