"""A cell of the matrix: a cause, a place, and the ends that are correct there."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

Script = Callable[..., Awaitable[None]]
"""Takes the cell's ``chaos.place.Place``, which itself knows cells."""

Fault = Mapping[str, Any]


class Database(StrEnum):
    """Where the jobs are."""

    SQLITE = "SQLite"
    POSTGRES = "Postgres"


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended, and how many posts TikTok shows of it."""

    fate: str  # the status, or the reason of a failure
    posts: int

    def __str__(self) -> str:
        if self.fate == "posted" and self.posts == 1:
            return "posted"
        seen = {0: "not posted", 1: "posted"}.get(self.posts, f"{self.posts} posts")
        return f"{self.fate} ({seen})"


POSTED: Final = End("posted", 1)
IN_DOUBT_POSTED: Final = End("unconfirmed", 1)
IN_DOUBT_NOT_POSTED: Final = End("unconfirmed", 0)
AUTH: Final = End("auth", 0)
PERMANENT: Final = End("permanent", 0)
GAVE_UP: Final = End("max_attempts", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One cause, tried on both databases, without and with the media gateway."""

    group: str
    cause: str
    script: Script
    ends: tuple[End, ...]  # the correct ones, without the gateway
    ends_with_gateway: tuple[End, ...] | None = None  # None: it makes no difference
    faults: tuple[Fault, ...] = ()
    databases: tuple[Database, ...] = tuple(Database)
    jobs: int = 1
    attempts: int | None = None  # how many must be counted; None: any
    max_attempts: int = 5
    inbox: bool = False
    push: bool = False  # we upload the video, in three chunks
    photos: int = 0  # so many instead of a video
    query: str = ""  # what the asset's server is told to do
    settings: Mapping[str, Any] = field(default_factory=dict)
    crowded: bool = False  # keeps the machine busy alone
    breaks_server: bool = False  # needs a Postgres that nobody else uses
    breaks_disk: bool = False  # needs a disk that nobody else uses
    settles_after: float = 0.0  # seconds until TikTok has carried out what was late


@dataclass(frozen=True, slots=True)
class Cell:
    """A row in one place."""

    row: Row
    database: Database
    gateway: bool

    @property
    def ends(self) -> tuple[End, ...]:
        """Return the correct ends."""
        with_gateway = self.row.ends_with_gateway if self.gateway else None
        return with_gateway or self.row.ends

    def __str__(self) -> str:
        place = f"{self.database}{' + gateway' if self.gateway else ''}"
        return f"{self.row.group}: {self.row.cause} [{place}]"


def cells_of(row: Row) -> list[Cell]:
    """Return a row's cells."""
    gateways = [False] if row.ends else []  # without ends: makes no sense there
    gateways += [True] if row.ends_with_gateway else []
    return [
        Cell(row, database, gateway)
        for gateway in gateways
        for database in row.databases
    ]
