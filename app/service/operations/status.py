"""Tell an operator whether the service is posting, and what needs a person."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from app.domain.jobs.hold import Hold
from app.domain.jobs.job import FailureReason
from app.machine.clock import Clock
from app.machine.descriptors import Descriptors
from app.service.operations.health import found_in
from app.store.backlog import BacklogStore
from app.store.db.engine import Database
from app.store.runners import RunnerStore, SeenRunner

SEEN_WITHIN: Final = timedelta(minutes=5)
"""A runner records itself every half minute; a cron trigger comes every minute."""

LATE_AFTER: Final = timedelta(minutes=1)
"""How late a due job has to be to need a person."""


class Status(Struct, frozen=True, kw_only=True):
    """The findings; ``to_look_at`` is empty if all is well."""

    database: str
    revision: str
    runners: tuple[SeenRunner, ...]
    due: int
    late_since: datetime | None  # the due time of the oldest due job
    in_flight: int
    unconfirmed: int
    failed_last_day: Mapping[FailureReason, int]
    accounts_to_reconnect: int
    holds: tuple[Hold, ...]
    descriptors: Mapping[str, int]  # of a process that starts here, by their use
    to_look_at: tuple[str, ...]


class StatusService(Struct, frozen=True, kw_only=True):
    """Collects the figures."""

    database: Database
    backlog: BacklogStore
    runners: RunnerStore
    descriptors: Descriptors
    clock: Clock

    async def look(self) -> Status:
        """Return the status; raises StoreUnavailable."""
        now = self.clock.now()
        backlog = await self.backlog.look(now=now)
        overview = await self.backlog.jobs_and_holds(now=now)
        runners = await self.runners.seen_since(now - SEEN_WITHIN)
        found = await found_in(self.database)
        late = backlog.oldest is not None and backlog.oldest < now - LATE_AFTER
        return Status(
            database="SQLite" if self.database.is_sqlite else "Postgres",
            revision=found.revision,
            runners=runners,
            due=backlog.due,
            late_since=backlog.oldest if late else None,
            in_flight=overview.in_flight,
            unconfirmed=backlog.unconfirmed,
            failed_last_day=overview.failed,
            accounts_to_reconnect=backlog.reconnect_required,
            holds=overview.holds,
            descriptors={
                name: getattr(self.descriptors, name)
                for name in ("limit", "reserved", "callers")
            },
            to_look_at=tuple(
                _to_look_at(
                    runs=bool(runners),
                    late=backlog.due if late else 0,
                    unconfirmed=backlog.unconfirmed,
                    reconnect=backlog.reconnect_required,
                    held=[each for each in overview.holds if each.until is None],
                )
            ),
        )


def _to_look_at(
    *, runs: bool, late: int, unconfirmed: int, reconnect: int, held: Sequence[Hold]
) -> Iterator[str]:
    if not runs:
        yield "No runner was seen in the last 5 minutes: nothing is posted."
    if late:
        yield f"Jobs that are over a minute late: {late}."
    if unconfirmed:
        yield (
            f"Jobs that ended unconfirmed: {unconfirmed}. See"
            " `tiktok-scheduler jobs list --failure-reason unconfirmed`."
        )
    if reconnect:
        yield (
            f"Accounts that have to be connected again: {reconnect}. See"
            " `tiktok-scheduler accounts list --status reconnect_required`."
        )
    for hold in held:
        whose = "" if hold.project_id is None else f" of {hold.project_id}"
        yield (
            f"Posting{whose} is on hold until `tiktok-scheduler release`: {hold.reason}"
        )
