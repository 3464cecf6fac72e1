"""Every row there is, and a short form of a dozen telling cells."""

from collections.abc import Iterator
from typing import Final

from chaos import (
    clocks,
    faults,
    foreign,
    kills,
    outages,
    persons,
    pushes,
    restores,
    together,
)
from chaos.cells import Cell, Row, cells_of

BACKUP: Final = (
    "a backup is restored: nobody says so; the backup is from: before claim [SQLite]"
)
FOREIGN: Final = (
    "somebody else publishes: theirs is `post.publish.failed`,"
    " our unanswered init was not taken [Postgres]"
)

SHORT: Final = frozenset(
    {
        "SIGKILL: after stamp [SQLite]",
        "SIGKILL: before init [Postgres + gateway]",
        "SIGKILL: after init [SQLite + gateway]",
        "SIGKILL: after save_id [Postgres]",
        "SIGKILL: uncommitted record [Postgres]",
        "SIGKILL, token stale: after save_pair [SQLite]",
        "SIGTERM: before status [Postgres]",
        "SIGSTOP past the lease, then SIGCONT: after stamp [Postgres]",
        "SIGSTOP past the lease, then SIGCONT: before init [SQLite + gateway]",
        "fault at init: reset, taken [SQLite]",
        "fault at status: access token died [SQLite]",
        "a commit's confirmation is lost: after claim [Postgres]",
        "connections are cut: before save_id [Postgres]",
        "push, SIGKILL: after mark [SQLite]",
        "push of one chunk, SIGKILL: after save_upload [SQLite]",
        "push, SIGSTOP past the lease, then SIGCONT: before chunk, time 3 [Postgres]",
        "push, fault at a chunk: the last: reset, taken [SQLite]",
        "reconnected as another person: before access, then SIGKILL [SQLite]",
        "another worker's clock is 10 minutes ahead: before wait [SQLite]",
        "the clock is set: an hour forth: after init [SQLite]",
        BACKUP,
        FOREIGN,
    }
)
"""One of each kind, for every test run."""


def rows() -> Iterator[Row]:
    """Return every row, in the order in which they are shown."""
    yield from kills.rows()
    yield from faults.rows()
    yield from outages.rows()
    yield from together.rows()
    yield from pushes.rows()
    yield from persons.rows()
    yield from clocks.rows()
    yield from restores.rows()
    yield from foreign.rows()


def is_upload(cell: Cell) -> bool:
    """Tell whether a cell is about bytes that we upload, or about photos."""
    return cell.row.group.startswith(("push", "photos"))


def cells(*, short: bool = False, only: str = "") -> list[Cell]:
    """Return the cells whose name has ``only`` in it."""
    found = [cell for row in rows() for cell in cells_of(row)]
    if short:
        found = [cell for cell in found if str(cell) in SHORT]
    wanted = only.split("|")
    return [cell for cell in found if any(words in str(cell) for words in wanted)]
