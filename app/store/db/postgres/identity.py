"""Which server the database is: that changes when another one takes its place.

A standby that is promoted begins a new timeline, and so does a backup that is restored
to a point in time; another cluster has another system identifier. Any role may read
both: https://www.postgresql.org/docs/current/functions-info.html
"""

from typing import Final

import structlog
from msgspec import Struct

from app.domain.errors import StoreUnavailable

log = structlog.get_logger(__name__)

IDENTITY_SQL: Final = """
CASE WHEN pg_is_in_recovery() THEN NULL
ELSE (SELECT system_identifier FROM pg_control_system()) || '/' ||
    ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
END
"""
"""NULL of a standby: which timeline it begins is not settled before its promotion."""

HIDING_STATES: Final = ("0A", "42501", "42883", "55000")
"""A host does not offer the functions, or not to us."""


class Identity(Struct, frozen=True):
    """A server's identity."""

    system: str
    timeline: int

    @classmethod
    def of(cls, text: str) -> "Identity":
        """Read what ``IDENTITY_SQL`` gives."""
        system, _, timeline = text.partition("/")
        return cls(system, int(timeline))

    def __str__(self) -> str:
        return f"{self.system}/{self.timeline}"


class LeftBehind(Exception):
    """The server is one that another has replaced."""


class AnotherServer(Exception):
    """Another server is the database than before."""


class Lineage:
    """Remembers the servers that this process met: it never goes back to a former one.

    What a former one takes in, the present one never hears of.
    """

    def __init__(self) -> None:
        self.newest: Identity | None = None
        """None: nobody was met yet, or the host does not tell."""

        self.is_hidden = False
        self.is_left_behind = False
        """The server that was met last has been replaced by another."""

        self._former = set[str]()

    def meet(self, met: Identity) -> bool:
        """Note a server; True if it is another than before.

        Raises LeftBehind for one that a newer one has replaced.
        """
        newest = self.newest
        if newest is not None and self._is_former(met, newest):
            if not self.is_left_behind:
                log.error(
                    "split brain: a database that was replaced still answers",
                    answers=str(met),
                    newest=str(newest),
                )
            self.is_left_behind = True
            raise LeftBehind(
                f"a server that was replaced: it is {met}, the newest is {newest}"
            )
        self.is_left_behind = False
        if met == newest:
            return False
        if newest is not None and met.system != newest.system:
            self._former.add(newest.system)
        self.newest = met
        return newest is not None

    def hear(self, told: str | None) -> None:
        """Note what a statement says of its server: a pooler gives each another one.

        Raises StoreUnavailable for one that a newer one has replaced.
        """
        if told is not None:
            try:
                self.meet(Identity.of(told))
            except LeftBehind as error:
                raise StoreUnavailable(str(error)) from error

    def expect(self, expected: Identity) -> None:
        """Raise AnotherServer if the newest is another than expected."""
        if self.newest != expected:
            raise AnotherServer

    def _is_former(self, met: Identity, newest: Identity) -> bool:
        if met.system == newest.system:
            return met.timeline < newest.timeline
        return met.system in self._former
