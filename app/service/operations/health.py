"""Whether the service can work, and what stops it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import StrEnum
from typing import Final

import structlog
from msgspec import Struct

from app.domain.errors import StoreUnavailable
from app.machine.clock import Clock
from app.machine.concurrency import first
from app.store.db.engine import Database
from app.store.db.health import HealthStore, look_at
from app.store.db.postgres.identity import Lineage

log = structlog.get_logger(__name__)

LOOK_AGAIN_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 3.0
"""How long a health check waits for the database at most."""

CLOCKS_MAY_DIFFER: Final = timedelta(seconds=5)
"""With a larger difference a worker may take a claim for abandoned that is not."""


class DatabaseState(StrEnum):
    """Whether the database can be used, and if not, why."""

    READY = "ready"
    DATABASE_UNAVAILABLE = "database_unavailable"
    DATABASE_NOT_MIGRATED = "database_not_migrated"
    DATABASE_READ_ONLY = "database_read_only"
    DATABASE_REPLACED = "database_replaced"
    CLOCK_SKEWED = "clock_skewed"


class Check(StrEnum):
    """The result of one check."""

    OK = "ok"
    UNKNOWN = "unknown"  # the database did not answer
    UNAVAILABLE = "unavailable"
    NOT_MIGRATED = "not_migrated"
    READ_ONLY = "read_only"  # it answers, but cannot be written to
    REPLACED = "replaced"  # it answers, but another server has taken its place
    HIDDEN = "hidden"  # the host does not tell
    UNREADABLE = "unreadable"  # no TOKEN_ENCRYPTION_KEYS decrypts the tokens
    SKEWED = "skewed"
    LOCAL = "local"  # on the disk of one machine
    REPLICATED = "replicated"  # on a standby's, too
    STOPPED = "stopped"
    ELSEWHERE = "elsewhere"  # by cron, or in another process


_SEEN: Final = {
    DatabaseState.READY: (Check.OK, Check.OK),
    DatabaseState.CLOCK_SKEWED: (Check.OK, Check.OK),
    DatabaseState.DATABASE_NOT_MIGRATED: (Check.OK, Check.NOT_MIGRATED),
    DatabaseState.DATABASE_READ_ONLY: (Check.READ_ONLY, Check.UNKNOWN),
    DatabaseState.DATABASE_REPLACED: (Check.REPLACED, Check.UNKNOWN),
    DatabaseState.DATABASE_UNAVAILABLE: (Check.UNAVAILABLE, Check.UNKNOWN),
}
"""What each state says of the database and of its migrations."""


class Checks(Struct, frozen=True, kw_only=True):
    """The result of each check."""

    database: Check
    migrations: Check
    keys: Check = Check.UNKNOWN
    clock: Check = Check.UNKNOWN
    commits: Check = Check.UNKNOWN
    failover: Check = Check.UNKNOWN
    runner: Check


class Health(Struct, frozen=True):
    """The overall result, and the checks; the database and its clock decide."""

    state: DatabaseState
    checks: Checks


class HealthService(Struct, frozen=True, kw_only=True):
    """Makes all checks."""

    database: Database
    store: HealthStore
    clock: Clock
    runs: Callable[[], bool | None]  # whether the runner runs; None: not started
    tolerance: timedelta | None  # if clocks differ by more, it is not ready

    async def check(self) -> Health:
        """Make all checks, within seconds."""
        found = (await found_in(self.database)).state
        keys = clock = commits = Check.UNKNOWN
        if found is DatabaseState.READY:
            keys, clock, commits = await self._vitals()
        database, migrations = _SEEN[found]
        checks = Checks(
            database=database,
            migrations=migrations,
            keys=keys,
            clock=clock,
            commits=commits,
            failover=_failover(self.database.lineage),
            runner=self._runner(),
        )
        if clock is Check.SKEWED and self.tolerance is not None:
            found = DatabaseState.CLOCK_SKEWED
        return Health(found, checks)

    async def _vitals(self) -> tuple[Check, Check, Check]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                vitals = await self.store.look(now=self.clock.now())
        except (StoreUnavailable, TimeoutError):
            return Check.UNKNOWN, Check.UNKNOWN, Check.UNKNOWN
        skewed = abs(vitals.clock_ahead) > (self.tolerance or CLOCKS_MAY_DIFFER)
        return (
            Check.OK if vitals.keys_fit else Check.UNREADABLE,
            Check.SKEWED if skewed else Check.OK,
            Check.REPLICATED if vitals.is_replicated else Check.LOCAL,
        )

    def _runner(self) -> Check:
        runs = self.runs()
        if runs is None:
            return Check.ELSEWHERE
        return Check.OK if runs else Check.STOPPED


async def wait_until_ready(
    ready: Callable[[], Awaitable[None]], *, clock: Clock, stop: asyncio.Event
) -> bool:
    """Wait until ``ready`` raises StoreUnavailable no more; False if told to stop."""
    told: str | None = None
    while not stop.is_set():
        try:
            await ready()
        except StoreUnavailable as error:
            reason = str(error)
            if reason != told:
                log.warning("no jobs are run yet", reason=reason)
            told = reason
            await first(stop.wait(), clock.sleep(LOOK_AGAIN_SECONDS))
        else:
            return True
    return False


class DatabaseFound(Struct, frozen=True):
    """The result of a look at the database."""

    state: DatabaseState
    revision: str = ""  # empty: it has no tables, or does not answer
    cause: str | None = None  # why it cannot be used, if that is known
    is_hopeless: bool = False  # waiting cannot mend it


async def found_in(
    database: Database, *, patience: float = PATIENCE_SECONDS
) -> DatabaseFound:
    """Look at the database and its revision, for ``patience`` seconds at most."""
    try:
        async with asyncio.timeout(patience):
            found = await look_at(database)
    except (StoreUnavailable, TimeoutError):
        trouble, lineage = database.trouble, database.lineage
        state = DatabaseState.DATABASE_UNAVAILABLE
        if lineage is not None and lineage.is_left_behind:
            state = DatabaseState.DATABASE_REPLACED
        elif trouble.of_writes:
            state = DatabaseState.DATABASE_READ_ONLY
        return DatabaseFound(state, cause=trouble.cause, is_hopeless=trouble.hopeless)
    if not found.is_migrated:
        return DatabaseFound(DatabaseState.DATABASE_NOT_MIGRATED, found.revision)
    if not found.is_writable:
        return DatabaseFound(DatabaseState.DATABASE_READ_ONLY, found.revision)
    return DatabaseFound(DatabaseState.READY, found.revision)


def _failover(lineage: Lineage | None) -> Check:
    """Tell whether another server in the database's place would be noticed."""
    if lineage is None:
        return Check.OK  # a file has no other
    if lineage.is_hidden:
        return Check.HIDDEN
    return Check.UNKNOWN if lineage.newest is None else Check.OK
