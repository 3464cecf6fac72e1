"""What is watched: a table that changes while the posts live."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

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


Screen = Callable[[Sequence[Life]], None]


@contextmanager
def shown_on(console: Console, lives: Sequence[Life]) -> Iterator[Screen]:
    """Give what shows lives as they go on; in a file or a pipe, a line for each end."""
    if console.is_terminal:
        with Live(table(lives), console=console, refresh_per_second=8) as live:
            yield lambda shown: live.update(table(shown))
        return
    told = set[str]()

    def tell(shown: Sequence[Life]) -> None:
        for life in shown:
            if life.over and life.scenario.name not in told:
                told.add(life.scenario.name)
                console.print(f"{life.scenario.name}: {_way(life)}")

    yield tell


def table(lives: Sequence[Life], *, closing: bool = False) -> Table:
    """Draw how every job stands; the closing table says whether it should be so."""
    title = "How it ended" if closing else "Watch: each row is one job"
    drawn = Table(title=title, expand=False)
    for heading in ("Scenario", "Way", "Reason", "Attempts", "Inits", "Posts"):
        drawn.add_column(heading)
    if closing:
        drawn.add_column("As it should")
    for life in lives:
        row = [
            life.scenario.name,
            _way(life),
            life.job.get("failureReason") or "",
            str(life.job.get("attempts", "")),
            str(life.inits),
            str(life.published),
        ]
        if closing:
            row.append("[green]yes" if life.as_it_should else "[bold red]NO")
        drawn.add_row(*row)
    return drawn


def _way(life: Life) -> str:
    return " → ".join(f"[{_colour(each)}]{each}[/]" for each in life.trail)


def _colour(step: str) -> str:
    return COLOURS.get(step, COLOURS["processing"])  # how far an upload is
