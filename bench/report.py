"""Show figures, write them down, and put them into the documentation."""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.catalogue import Entry
from bench.figures import TIMES, Bar, Direction, Figure

RESULTS: Final = Path(__file__).parent / "results"
PAGE: Final = Path(__file__).parents[1] / "docs" / "performance.md"

_DIGITS: Final = 3


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


def write_page(results: Sequence[Result]) -> None:
    """Put each benchmark's table between its markers in docs/performance.md."""
    text = PAGE.read_text()
    now = f"{datetime.now(UTC):%Y-%m-%d}"
    for result in results:
        if result.failure:
            continue
        name = result.entry.name
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        if begin in text and end in text:
            before, rest = text.split(begin, 1)
            after = rest.split(end, 1)[1]
            table = "\n".join(_table(result, now))
            text = f"{before}{begin}\n{table}\n{end}{after}"
    PAGE.write_text(text)


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


def _table(result: Result, day: str) -> Iterator[str]:
    yield f"`python -m bench {result.entry.name}`, {day}, {machine()}."
    yield ""
    yield "| figure | | bar | | |"
    yield "|---|--:|--:|---|---|"
    for each in result.figures:
        unit = each.unit if each.unit == TIMES else f" {each.unit}"
        bar = str(each.bar) if each.bar else ""
        met = {None: "", True: "ok", False: "**missed**"}[each.is_met]
        value = f"{number(each.value)}{unit}"
        yield f"| {each.name} | {value} | {bar} | {met} | {each.note} |"
