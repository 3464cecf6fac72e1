"""Print figures, save them, and write docs/performance.md."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.catalogue import CATALOGUE, Entry
from bench.figures import TIMES, Bar, Direction, Figure

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "bench" / "results"
PAGE: Final = ROOT / "docs" / "performance.md"
PYTHON: Final = ROOT / ".venv-bench" / "bin" / "python"

_DIGITS: Final = 3
_TOLD: Final = {
    ("claim_finish", "to PgQueuer"): "Claiming and finishing jobs, next to PgQueuer",
    ("race", "posts a second to the best of them, 50 in flight"): (
        "Publishing posts, next to the best job queue with an HTTP client"
    ),
    ("attempt_cost", "attempt to bare calls, the service's own transport"): (
        "CPU of a whole attempt, next to its bare HTTP calls"
    ),
    ("post_now", "answer to init, 99 % of them within"): (
        "Post Now, from the answer to the init, 99 % of them"
    ),
    ("start", "the app, created"): "Start of the app",
    ("memory", "per post in flight"): "Memory per post in flight",
    ("ten_thousand", "the last init arrives after"): (
        "Ten thousand posts due at once, until the last init"
    ),
}
"""The figures that the page begins with, each with its words."""
_MET: Final = {None: "", True: "ok", False: "**missed**"}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one benchmark."""

    entry: Entry
    figures: tuple[Figure, ...]
    seconds: float
    failure: str = ""  # why there are no figures


def read_figures(path: Path) -> tuple[Figure, ...]:
    """Read figures as a benchmark's process wrote them."""
    return tuple(_figure(each) for each in json.loads(path.read_text()))


def show(result: Result) -> None:
    """Print a benchmark's figures."""
    entry = result.entry
    print(f"\n{entry.name}: {entry.question}  ({result.seconds:.0f} s)")
    if result.failure:
        print(f"  FAILED: {result.failure}")
    for each in result.figures:
        value = f"{number(each.value)} {each.unit}"
        bar = f"bar {each.bar}" if each.bar else ""
        met = {None: "", True: "ok", False: "MISSED"}[each.is_met]
        print(f"  {each.name:<44} {value:>16}  {bar:<10} {met:<6} {each.note}")


def save(result: Result, *, quick: bool) -> None:
    """Write one benchmark's figures to results/, with the machine and the time."""
    RESULTS.mkdir(exist_ok=True)
    found = {
        "benchmark": result.entry.name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "quick": quick,
        "seconds": round(result.seconds, 1),
        "failure": result.failure,
        "figures": [
            {**asdict(each), "bar": each.bar and str(each.bar), "ok": each.is_met}
            for each in result.figures
        ],
    }
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    (RESULTS / f"{result.entry.name}.json").write_text(text)


def write_page(result: Result) -> None:
    """Put a benchmark's table between its markers in docs/performance.md."""
    if result.failure:
        return
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    PAGE.write_text(written_into(PAGE.read_text(), result, day))


def written_into(page: str, result: Result, day: str) -> str:
    """Return a page with a benchmark's figures; what others measured stays."""
    text = _replaced(page, result.entry.name, _table(result, day))
    text = _replaced(text, "bars", _bars(_written(text, "bars"), result, day))
    return _replaced(text, "message", message(_written(text, "bars")))


def message(bars: Iterable[str]) -> Iterator[str]:
    """Say in a few lines what the table of the bars comes to."""
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in bars]
    rows = [row for row in rows if row[0].startswith("`")]
    missed = [row for row in rows if row[4] == _MET[False]]
    newest = max((row[5] for row in rows), default="never")
    yield f"**{len(rows) - len(missed)} of {len(rows)} bars are met**, measured up to"
    yield f"{newest}; all of them are in [the table](#the-bars)."
    yield ""
    for name, figure, value, bar, *_ in rows:
        if words := _TOLD.get((name.strip("`"), figure)):
            yield f"- {words}: {value} (bar {bar})."
    if missed:
        names = (f"{name} ({figure})" for name, figure, *_ in missed)
        yield f"- Missed: {', '.join(names)}."


def draw() -> None:
    """Draw what results/ holds, if what it takes is installed."""
    if PYTHON.exists():
        subprocess.run([PYTHON, "-m", "bench.plots"], cwd=ROOT, check=False)


def number(value: float) -> str:
    """Spell a number with as many digits as it deserves."""
    if value >= 10**_DIGITS:
        return f"{value:,.0f}"
    return f"{value:.{_DIGITS}g}"


def machine() -> str:
    """Name what was measured on."""
    cores = os.cpu_count()
    python = platform.python_version()
    return f"{cores} cores, {platform.system()} {platform.machine()}, Python {python}"


def _figure(written: dict[str, Any]) -> Figure:
    bar = written["bar"]
    return Figure(
        name=written["name"],
        value=written["value"],
        unit=written["unit"],
        bar=bar and Bar(Direction(bar["direction"]), bar["limit"]),
        note=written["note"],
        rounds=tuple(written["rounds"]),
    )


def _replaced(text: str, name: str, lines: Iterable[str]) -> str:
    """Put lines between the markers of a name, if the page has them."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    before, found, rest = text.partition(begin)
    if not found:
        return text
    after = rest.partition(end)[2]
    return "\n".join([f"{before}{begin}", *lines, f"{end}{after}"])


def _written(text: str, name: str) -> list[str]:
    """Return the lines between the markers of a name."""
    after = text.partition(f"<!-- begin {name} -->")[2]
    return after.partition(f"<!-- end {name} -->")[0].splitlines()


def _table(result: Result, day: str) -> Iterator[str]:
    yield f"`python -m bench {result.entry.name}`, {day}, {machine()}."
    yield ""
    yield "| figure | | bar | | |"
    yield "|---|--:|--:|---|---|"
    for each in result.figures:
        bar = str(each.bar) if each.bar else ""
        value = _with_unit(each.value, each.unit)
        met = _MET[each.is_met]
        yield f"| {each.name} | {value} | {bar} | {met} | {each.note} |"


def _bars(before: Iterable[str], ran: Result, day: str) -> Iterator[str]:
    """List every figure that has a bar: of what ran, and else as the page had it."""
    rows = list(before)
    yield "| benchmark | figure | | bar | | measured |"
    yield "|---|---|--:|--:|---|---|"
    for entry in CATALOGUE:
        if entry.name == ran.entry.name:
            yield from _bar_rows(ran, day)
        else:
            yield from (row for row in rows if row.startswith(f"| `{entry.name}` |"))


def _bar_rows(ran: Result, day: str) -> Iterator[str]:
    for each in ran.figures:
        if each.bar:
            value = _with_unit(each.value, each.unit)
            cells = (each.name, value, str(each.bar), _MET[each.is_met])
            row = " | ".join((f"`{ran.entry.name}`", *cells, day))
            yield f"| {row} |"


def _with_unit(value: float, unit: str) -> str:
    return f"{number(value)}{unit if unit == TIMES else f' {unit}'}"
