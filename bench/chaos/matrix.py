"""Every row there is, and a short form of a dozen telling ones."""

from collections.abc import Iterator
from typing import Final

from bench.chaos import faults, kills, outages, together
from bench.chaos.cells import Cell, Row, cells_of

SHORT: Final = frozenset(
    {
        "SIGKILL: after stamp",
        "SIGKILL: after init",
        "SIGKILL: after save_id",
        "SIGKILL: uncommitted record",
        "SIGTERM: before status",
        "SIGSTOP past the lease, then SIGCONT: after stamp",
        "fault at init: reset, taken",
        "fault at init: hang, not taken",
        "fault at status: access token died",
        "a commit's confirmation is lost: after record",
        "connections are cut: before save_id",
        "another worker's clock is 10 minutes ahead: before wait",
    }
)
"""One of each kind, for every test run."""


def rows() -> Iterator[Row]:
    """Return every row, in the order in which they are shown."""
    yield from kills.rows()
    yield from faults.rows()
    yield from outages.rows()
    yield from together.rows()


def cells(*, short: bool = False, only: str = "") -> list[Cell]:
    """Return the cells whose name has ``only`` in it."""
    found = [cell for row in rows() for cell in cells_of(row)]
    if short:
        found = [cell for cell in found if _name(cell.row) in SHORT]
    wanted = only.split("|")
    return [cell for cell in found if any(words in str(cell) for words in wanted)]


def _name(row: Row) -> str:
    return f"{row.group}: {row.cause}"
