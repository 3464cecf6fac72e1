"""Run benchmarks one after the other, each in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from bench import report
from bench.catalogue import CATALOGUE, Entry
from bench.report import Result

ROOT = Path(__file__).parents[1]
QUICK_ROUNDS = 1


def main(
    names: Annotated[list[str] | None, typer.Argument(help="All if none.")] = None,
    *,
    quick: Annotated[bool, typer.Option(help="Small: does it run?")] = False,
    rounds: Annotated[int | None, typer.Option(help="Rounds of each.")] = None,
    write: Annotated[bool, typer.Option(help="Write docs/performance.md.")] = True,
) -> None:
    """Measure, print, and write the figures to bench/results/."""
    unknown = set(names or ()) - {entry.name for entry in CATALOGUE}
    if unknown:
        known = ", ".join(entry.name for entry in CATALOGUE)
        raise typer.BadParameter(f"no such benchmark; there are {known}")
    results = []
    for entry in CATALOGUE:
        if not names or entry.name in names:
            results.append(_run(entry, rounds=rounds, quick=quick))
            report.show(results[-1])
            report.save(results[-1], quick=quick)
            if write and not quick:
                report.write_page(results[-1])
    report.draw()
    sys.exit(_summary(results))


def _run(entry: Entry, *, rounds: int | None, quick: bool) -> Result:
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        into = Path(folder) / "figures.json"
        failure = _measure(entry, rounds=rounds, quick=quick, into=into)
        figures = report.read_figures(into) if into.exists() else ()
    return Result(entry, figures, time.monotonic() - began, failure)


def _measure(entry: Entry, *, rounds: int | None, quick: bool, into: Path) -> str:
    """Run one benchmark; return why it failed, if it did."""
    count = rounds or (QUICK_ROUNDS if quick else entry.rounds)
    size = "quick" if quick else "full"
    command = [sys.executable, "-m", "bench.child", entry.name, str(count), size]
    child = subprocess.Popen([*command, str(into)], cwd=ROOT, start_new_session=True)
    try:
        code = child.wait(entry.timeout_seconds)
    except subprocess.TimeoutExpired:
        return f"not over after {entry.timeout_seconds:.0f} s"
    finally:
        # Kills whatever it started, too: it leads a session of its own.
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    return f"exit code {code}" if code else ""


def _summary(results: list[Result]) -> int:
    figures = [figure for result in results for figure in result.figures]
    missed = [figure.name for figure in figures if figure.is_met is False]
    failed = [result.entry.name for result in results if result.failure]
    bars = sum(figure.bar is not None for figure in figures)
    print(f"\n{bars} bars, missed: {', '.join(missed) or 'none'}")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    typer.run(main)
