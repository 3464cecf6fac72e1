"""docs/performance.md, which the benchmarks write."""

import pytest

from bench.catalogue import CATALOGUE, Entry
from bench.figures import TIMES, Figure, at_most, median
from bench.report import PAGE, Result, written_into

PAGE_NOW = PAGE.read_text("utf-8")
DAY = "2030-01-01"


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_a_benchmark_alone_keeps_the_rows_of_others(entry: Entry) -> None:
    """Whoever measures one thing does not take back what was measured before."""
    figures = (median("a new figure", [3.0], TIMES, bar=at_most(2)),)
    page = written_into(PAGE_NOW, Result(entry, figures, 1.0), DAY)
    others = [row for row in _bars(PAGE_NOW) if _name(row) != entry.name]
    own = f"| `{entry.name}` | a new figure | 3{TIMES} | ≤ 2 | **missed** | {DAY} |"
    assert sorted(_bars(page)) == sorted([*others, own])
    assert page.count("a new figure") == 3  # its table, the bars, the message


def test_what_has_no_bar_leaves_the_bars_alone() -> None:
    """Only its own table changes."""
    entry, *_ = CATALOGUE
    page = written_into(PAGE_NOW, Result(entry, (Figure("x", 1.0, "s"),), 1.0), DAY)
    assert _bars(page) == [row for row in _bars(PAGE_NOW) if _name(row) != entry.name]


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_the_page_has_room_for_every_benchmark(entry: Entry) -> None:
    """Its figures go between two marks."""
    assert PAGE_NOW.count(f"<!-- begin {entry.name} -->") == 1
    assert PAGE_NOW.count(f"<!-- end {entry.name} -->") == 1


def _bars(page: str) -> list[str]:
    _, _, rest = page.partition("<!-- begin bars -->")
    rows = rest.partition("<!-- end bars -->")[0].splitlines()
    return [row for row in rows if row.startswith("| `")]


def _name(row: str) -> str:
    return row.split("`")[1]
