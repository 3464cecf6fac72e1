"""The statements that claim due jobs; making one costs as much as running it.

A plain claim is one statement, which commits on its own. Whatever is more than that
needs a transaction.
"""

from functools import cache, cached_property
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    Interval,
    Text,
    Update,
    and_,
    any_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from app.domain.jobs.job import JobStatus
from app.machine.clock import ClockWatch
from app.store.db.engine import Database
from app.store.db.postgres.identity import IDENTITY_SQL
from app.store.db.prepared import Prepared
from app.store.db.types import UtcDateTime, database_time
from app.store.jobs.holds import held_until
from app.store.jobs.rows import JOB_COLUMNS
from app.store.jobs.tables import schedule_jobs

_jobs = schedule_jobs.c

WRITTEN: Final = (
    "status",
    "claim_token",
    "claimed_by",
    "claimed_at",
    "next_attempt_at",
    "held_since",
    "updated_at",
)
"""The columns that a claim gives a value: the parameters ``new_…``."""

_OF_ENDS: Final = (
    "failure_reason",
    "delivery",
    "post_id",
    "post_ids",
    "post_url",
    "availability",
    "posted_at",
    "discarded_at",
    "confirm_at",
    "confirm_tries",
)
"""Columns that are empty until a job is over."""

_FOR_PEOPLE: Final = ("created_by",)
_UNREAD: Final = frozenset({*WRITTEN, *_OF_ENDS, *_FOR_PEOPLE})
READ: Final = tuple(name for name in JOB_COLUMNS if name not in _UNREAD)
"""The columns that a claim reads; it knows those that it writes."""

# What each claim says itself.
_NOW: Final = bindparam("now", type_=UtcDateTime())
_DUE_BY: Final = bindparam("due_by", type_=UtcDateTime())
_MOST: Final = bindparam("most", type_=Integer())

SERVER: Final = (
    select(literal_column(IDENTITY_SQL, Text())).scalar_subquery().label("server")
)
"""A column that tells which server answers."""


class ClaimStatements:
    """The statements of one database; each takes ``now``, ``due_by`` and ``most``."""

    def __init__(self, database: Database, watch: ClockWatch | None) -> None:
        self._database = database
        self._watch = watch
        self.taking_any = cache(self._taking_any)

    @cached_property
    def taking_plain(self) -> Prepared:
        """Claim those of the first due jobs that need no more than that, on Postgres.

        Not those that another worker abandoned, nor held ones. Each row tells how many
        were ``found``. It commits without waiting for the disk, unless one is in
        flight: two workers would disturb its upload.
        """
        due = self._due()
        rows = select(_jobs.id, _jobs.claim_token, _jobs.init_sent_at).where(due)
        first = _first(rows).with_for_update(skip_locked=True).cte("unlocked")
        free = select(first.c.id).where(first.c.claim_token.is_(None))
        is_free = _jobs.id == any_(func.array(free.scalar_subquery()))
        found = select(func.count()).select_from(first).scalar_subquery()
        follows = select(first.c.id).where(first.c.init_sent_at.is_not(None)).exists()
        claiming = self._claiming(abandoned_by=null())
        claimed = claiming.where(is_free, due, held_until(_NOW).is_(None))
        return Prepared(
            claimed.returning(
                *[_jobs[name] for name in READ],
                found.label("found"),
                *self._database.lazily_unless(follows),
            )
        )

    def _taking_any(self, *, asks_server: bool) -> ReturningUpdate[Any]:
        """Claim the first due jobs, whatever else has to be done about them."""
        due = self._due()
        # Processing without a token was handed on; with one, abandoned.
        abandoned_by = case((_jobs.claim_token.is_not(None), _jobs.claimed_by))
        asked = (SERVER,) if asks_server else ()
        claiming = self._claiming(abandoned_by=abandoned_by)
        return claiming.where(
            self._database.unlocked(_first(select(_jobs.id).where(due))), due
        ).returning(
            *[_jobs[name] for name in READ],
            _jobs.abandoned_by,
            held_until(_NOW),
            *asked,
            # Under a new post's claim nothing is sent before its mark.
            *self._database.lazily,
        )

    def _claiming(self, **more: ColumnElement[Any]) -> Update:
        was_processing = _jobs.status == JobStatus.PROCESSING
        started = func.coalesce(_jobs.attempt_started_at, _NOW)
        claim = {
            name: bindparam(f"new_{name}", type_=_jobs[name].type) for name in WRITTEN
        }
        return update(schedule_jobs).values(
            **claim,
            attempt_started_at=case((was_processing, started), else_=_NOW),
            **more,
        )

    def _due(self) -> ColumnElement[bool]:
        """Match jobs that are due by both clocks, while the two agree."""
        if self._watch is None:
            return _jobs.next_attempt_at <= _DUE_BY
        theirs, tolerance = database_time(), literal(self._watch.tolerance, Interval())
        return and_(
            _jobs.next_attempt_at <= func.least(_DUE_BY, theirs),
            _NOW.between(theirs - tolerance, theirs + tolerance),
        )


def _first(rows: Any) -> Any:  # noqa: ANN401  a Select of any columns
    return rows.order_by(_jobs.next_attempt_at, _jobs.id).limit(_MOST)
