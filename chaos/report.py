"""Write docs/crash-matrix.md, each part by the command that measures it."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from chaos.cells import Cell, Database, Row
from chaos.mutants import MUTANTS
from chaos.run import Result

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "crash-matrix.md"
COLUMNS: Final = tuple(
    (database, gateway) for gateway in (False, True) for database in Database
)
_Found = Mapping[tuple[object, ...], Result]

SHOWN: Final = 3
"""How many of the cells that notice a mutant are named."""


def write_part(part: str, lines: Iterable[str]) -> None:
    """Replace a part of the page."""
    text = "".join(f"{line}\n" for line in lines)
    page = PAGE.read_text()
    former = _part(part, page)
    begin, end = former.span(1)
    PAGE.write_text(f"{page[:begin]}{text}{page[end:]}")


def rows_of(part: str) -> Mapping[str, str]:
    """Return the present lines of a part's table by their first column."""
    lines = _part(part, PAGE.read_text())[1].splitlines()[2:]
    return {line.split("|")[1].strip(): line for line in lines}


def _part(part: str, page: str) -> re.Match[str]:
    marks = f"<!-- {part} -->\n(.*?)<!-- end of {part} -->"
    if (found := re.search(marks, page, re.DOTALL)) is None:
        raise SystemExit(f"{PAGE.name} has no place for {part}")
    return found


def write_group(name: str, lines: Iterable[str]) -> None:
    """Replace one group of the matrix, or append it."""
    head, end = f"\n### {name}\n\n", "<!-- end of matrix -->"
    text = head + "".join(f"{line}\n" for line in lines)
    page = PAGE.read_text()
    former = re.compile(f"{re.escape(head)}(?:\\|.*\n)*")
    if former.search(page):
        PAGE.write_text(former.sub(lambda _: text, page))
    else:
        PAGE.write_text(page.replace(end, f"{text}{end}"))


def group(results: Sequence[Result]) -> Iterator[str]:
    """Draw the rows of one group."""
    rows = {id(result.cell.row): result.cell.row for result in results}
    found = {_place(result.cell): result for result in results}
    yield from _table(list(rows.values()), found)


def message(results: Sequence[Result], *, seed: int) -> Iterator[str]:
    """Sum the matrix up in a few lines."""
    wrong = sum(bool(result.wrong) for result in results)
    yield f"**{len(results)} cells, {wrong} wrong** (`python -m chaos --seed {seed}`)."
    if not wrong:
        yield "In no cell is there a second post, a job without an end, or a job that"
        yield "says `posted` of something that is not."
    yield ""
    yield "Where nobody can know what TikTok did, a job says so: `failed(unconfirmed)`."
    for gateway, name in ((False, "without the"), (True, "with the")):
        cells = [each for each in results if each.cell.gateway is gateway]
        doubtful = sum(map(_in_doubt, cells))
        yield f"That is so in {doubtful} of {len(cells)} cells {name} media gateway."
    pushes = [each for each in results if each.cell.row.push]
    doubtful = sum(map(_in_doubt, pushes))
    yield f"By push it is so in {doubtful} of {len(pushes)}: nothing is posted before"
    yield "the last byte."


def matrix(
    results: Sequence[Result], *, seed: int, command: str = "python -m chaos"
) -> Iterator[str]:
    """Draw the matrix."""
    yield f"`{command} --seed {seed}`: {len(results)} cells."
    found = {_place(result.cell): result for result in results}
    rows = dict.fromkeys(id(result.cell.row) for result in results)
    by_id = {id(result.cell.row): result.cell.row for result in results}
    ordered = [by_id[each] for each in rows]
    for group, members in groupby(ordered, key=lambda row: row.group):
        yield ""
        yield f"### {group}"
        yield ""
        yield from _table(list(members), found)


def in_doubt(results: Sequence[Result]) -> Iterator[str]:
    """List the cells in which ``unconfirmed`` is the correct end."""
    for without, name in ((False, "Without the gateway"), (True, "With the gateway")):
        causes = dict.fromkeys(
            f"{result.cell.row.group}: {result.cell.row.cause}"
            for result in results
            if result.cell.gateway is without and _in_doubt(result)
        )
        cells = [result for result in results if result.cell.gateway is without]
        doubtful = sum(map(_in_doubt, cells))
        yield f"{name}, {doubtful} of {len(cells)} cells:"
        yield ""
        yield from (f"- {cause}" for cause in causes)
        yield ""


def mutants(
    found: Mapping[str, Sequence[Result]], *, enough: int, cells: int, seed: int
) -> Iterator[str]:
    """Draw which cells notice each missing mechanism."""
    yield f"`python -m chaos mutants --seed {seed}`: for each mechanism, the {cells}"
    yield f"cells are run in random order until {enough} have noticed; those that are"
    yield "running then are counted too. A cell counts if it ends right with the"
    yield "mechanism in place."
    yield ""
    yield (
        "| without | cells run | second posts | untrue or lost | another end"
        " | for instance |"
    )
    yield "|---|---|---|---|---|---|"
    for name, results in found.items():
        noticed = sorted((each for each in results if each.wrong), key=_gravity)
        counts = Counter(map(_gravity, noticed))
        named = "; ".join(map(_noticed, noticed[:SHOWN]))
        shown = " | ".join(str(counts[gravity]) for gravity in range(3))
        yield f"| {MUTANTS[name].without} | {len(results)} | {shown} | {named} |"


def _table(rows: Sequence[Row], found: _Found) -> Iterator[str]:
    used = [
        column for column in COLUMNS if any((id(row), *column) in found for row in rows)
    ]
    heads = [f"{database}{' + gateway' * gateway}" for database, gateway in used]
    yield f"| cause | {' | '.join(heads)} |"
    yield "|---" * (len(used) + 1) + "|"
    for row in rows:
        shown = [str(found.get((id(row), *column), "")) for column in used]
        yield f"| {row.cause} | {' | '.join(shown)} |"


def _place(cell: Cell) -> tuple[object, ...]:
    return id(cell.row), cell.database, cell.gateway


def _in_doubt(result: Result) -> bool:
    return any(end.fate == "unconfirmed" for end in result.ends)


def _gravity(result: Result) -> int:
    if any(end.posts > 1 for end in result.ends):
        return 0
    return 1 if result.broken else 2


def _noticed(result: Result) -> str:
    row, gateway = result.cell.row, " + gateway" * result.cell.gateway
    return f"{row.group}: {row.cause}{gateway} ({result.wrong[0]})"
