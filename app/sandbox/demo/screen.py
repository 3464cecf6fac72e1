"""What is watched: a table that changes while the posts live."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from app.sandbox.demo.scenario import Life

COLOURS = {
    "scheduled": "cyan",
    "processing": "yellow",
    "retrying": "magenta",
    "posted": "green",
    "failed": "red",
    "killed": "bold white on red",
}

EXPLAINED: Final = "Attempts counts failed tries: a job posted at the first try has 0."
WIDE: Final = 130
"""Columns from which on each job's whole way fits into a line."""

LONGEST_STEP: Final = len("uploaded 99.9 MB")

AROUND: Final = 4
"""Lines of the table beside its rows, and the one that the cursor is on."""

Screen = Callable[[Sequence[Life]], None]


@contextmanager
def shown_on(console: Console, lives: Sequence[Life], *, rows: int) -> Iterator[Screen]:
    """Give what shows lives as they go on, of which there will be ``rows``.

    In a file, a pipe or a terminal too low for the table, it is a line for each end.
    """
    if console.is_terminal and console.height >= rows + AROUND:
        first = watched(lives, width=console.width)
        with Live(first, console=console, refresh_per_second=8) as live:
            yield lambda shown: live.update(watched(shown, width=console.width))
        return
    told = set[str]()

    def tell(shown: Sequence[Life]) -> None:
        for life in shown:
            if life.over and life.scenario.name not in told:
                told.add(life.scenario.name)
                console.print(f"{life.scenario.name}: {_way(life)}")

    yield tell


def watched(lives: Sequence[Life], *, width: int) -> Table:
    """Draw how every job stands now; a narrow terminal has room for its last step."""
    wide = width >= WIDE
    drawn = _columns("Each row is one job", "Way" if wide else "Now")
    for life in lives:
        drawn.add_row(*_row(life, _way(life) if wide else _step(life.trail[-1:])))
    return drawn


def closing(lives: Sequence[Life]) -> Table:
    """Draw how every job ended, and whether it should have ended so."""
    drawn = _columns("How it ended", "Way")
    drawn.add_column("As it should", max_width=6)
    for life in lives:
        verdict = "[green]yes" if life.as_it_should else "[bold red]NO"
        drawn.add_row(*_row(life, _way(life)), verdict)
    return drawn


def _columns(title: str, way: str) -> Table:
    # Without lines in between, so that 80 columns hold it all.
    gap = (0, 1, 0, 0)
    drawn = Table(title=title, caption=EXPLAINED, box=None, padding=gap)
    drawn.add_column("Scenario")
    drawn.add_column(way, min_width=LONGEST_STEP)
    for heading in ("Reason", "Attempts", "Inits", "Posts"):
        drawn.add_column(heading, no_wrap=True)
    return drawn


def _row(life: Life, way: str) -> list[str]:
    return [
        life.scenario.name,
        way,
        life.job.get("failureReason") or "",
        str(life.job.get("attempts", "")),
        str(life.inits),
        str(life.published),
    ]


def _step(steps: Sequence[str]) -> str:
    return " → ".join(f"[{_colour(each)}]{each}[/]" for each in steps)


def _way(life: Life) -> str:
    return _step(life.trail)


def _colour(step: str) -> str:
    return COLOURS.get(step, COLOURS["processing"])  # how far an upload is
