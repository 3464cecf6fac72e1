"""Lists of jobs in every filter and order, each at the cost of its page.

A list is merged from the first rows of each state, which an index has in order. Jobs
being processed have their own index, without an order: they are few, and so a claim
writes to one list index instead of six.
"""

import operator
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    Text,
    TextClause,
    bindparam,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from app.domain.jobs.job import FailureReason, Job, JobStatus
from app.store.db.types import AFTER_ALL, UtcDateTime, unseen
from app.store.jobs.tables import (
    IS_POSTED,
    IS_PROCESSING,
    NEITHER,
    NOT_PROCESSING,
    in_state,
    schedule_jobs,
)

_jobs = schedule_jobs.c
_Condition = ColumnElement[bool] | TextClause
_Columns = ReadOnlyColumnCollection[str, Any]

_NO_ID: Final[ColumnElement[str]] = literal_column("''", Text())
_SIZES: Final = (11, 26, 51, 101, 201)
"""How many rows a list reads: few numbers, so few statements."""

_KEPT: Final = 256  # shapes and sizes; frontends have a handful
_SOME_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
_BEFORE_ALL: Final = datetime(1900, 1, 1, tzinfo=UTC)
_VALUES: Final = {
    "project_id": "",
    "platform": "",
    "asset_id": "",
    "external_id": "",
    "scheduled_from": _SOME_TIME,
    "scheduled_to": _SOME_TIME,
}
"""The fields of a filter whose values a statement takes as parameters."""

_STATES: Final[frozenset[JobStatus | FailureReason]] = frozenset(
    {*JobStatus, *FailureReason} - {JobStatus.PROCESSING, JobStatus.FAILED}
)


class JobSort(StrEnum):
    """What a list is sorted by."""

    CREATED_AT = "createdAt"
    SCHEDULED_FOR = "scheduledFor"


class JobFilter(Struct, frozen=True, kw_only=True):
    """Which jobs a list shows; None and an empty set match all."""

    project_id: str | None = None
    statuses: frozenset[JobStatus] = frozenset()
    failure_reasons: frozenset[FailureReason] = frozenset()
    platform: str | None = None
    asset_id: str | None = None
    external_id: str | None = None
    scheduled_from: datetime | None = None  # inclusive
    scheduled_to: datetime | None = None  # exclusive


class JobOrder(Struct, frozen=True, kw_only=True):
    """The order of a list; jobs with the same time are sorted by id."""

    sort: JobSort = JobSort.CREATED_AT
    descending: bool = True


class JobPosition(Struct, frozen=True, kw_only=True):
    """A position in a list: right after a job, which may be deleted."""

    id: str
    scheduled_for: datetime | None = None  # only for lists that are sorted by it


NEWEST_FIRST: Final = JobOrder()


def position_of(job: Job, order: JobOrder) -> JobPosition:
    """Return the position right after a job in a list of that order."""
    by_time = order.sort is JobSort.SCHEDULED_FOR
    return JobPosition(id=job.id, scheduled_for=job.scheduled_for if by_time else None)


def page_of(
    which: JobFilter,
    order: JobOrder,
    *,
    limit: int,
    after: JobPosition | None,
) -> tuple[Select[Any], dict[str, Any]] | None:
    """Return the statement of a page after a position, or of the first, and its values.

    It may find more rows than the limit. None: nothing can be in it.
    """
    which = _with_both_ends(which)
    statement = _statement(
        _shape_of(which), order, _size_of(limit), is_continued=after is not None
    )
    if statement is None:
        return None
    values = {name: getattr(which, name) for name in _VALUES}
    if after is not None:
        values |= {"after_id": after.id, "after_time": after.scheduled_for}
    return statement, values


def _with_both_ends(which: JobFilter) -> JobFilter:
    """Close a window that has one end.

    A plan that is made once, without values, takes a window with one end for a third of
    the table, and would read all of it; one with two ends for a small part.
    """
    first, last = which.scheduled_from, which.scheduled_to
    if first is None and last is None:
        return which
    return replace(
        which,
        scheduled_from=first or _BEFORE_ALL,
        scheduled_to=last or AFTER_ALL,
    )


def _size_of(limit: int) -> int:
    return next((size for size in _SIZES if size >= limit), limit)


def _shape_of(which: JobFilter) -> JobFilter:
    """Return the same filter with some value or other in the place of each."""
    some: dict[str, Any] = {
        name: None if getattr(which, name) is None else value
        for name, value in _VALUES.items()
    }
    return replace(which, **some)


@lru_cache(_KEPT)
def _statement(
    shape: JobFilter, order: JobOrder, size: int, *, is_continued: bool
) -> Select[Any] | None:
    """Return the statement of every list of a shape; None: nothing can be in it.

    To plan it takes Postgres several times as long as to run it. It keeps one plan for
    all values if that seems no dearer than one for these, so it sees none of them. It
    takes a limit that it does not know for a tenth of the table: a size is in the text.

    Kept: to put it together takes many times as long as to read a page, and nobody
    else's turn comes meanwhile.
    """
    page = literal_column(str(size), Integer())
    parts = list(_Parts(shape, order, page, is_continued))
    if not parts:
        return None
    found = union_all(*(select(part.subquery()) for part in parts)).subquery("found")
    by = _sort_columns(found.c, order.sort)
    return select(found).order_by(*_directed(by, order)).limit(page)


class _Parts(Struct, frozen=True):
    """The statements whose merged rows make the page."""

    which: JobFilter
    order: JobOrder
    page: ColumnElement[int]
    is_continued: bool

    def __iter__(self) -> Iterator[Select[Any]]:
        states = self._states()
        if self._is_narrow:
            if states:
                some = () if states == _STATES else (or_(*map(in_state, states)),)
                yield self._all(NOT_PROCESSING, *some)
        else:
            for state in sorted(states):
                yield self._first(state)
        if not self.which.failure_reasons and (
            not self.which.statuses or JobStatus.PROCESSING in self.which.statuses
        ):
            yield self._all(IS_PROCESSING)

    @property
    def _is_narrow(self) -> bool:
        """Tell whether a filter leaves few rows, without an order."""
        return self.which.asset_id is not None or self.which.external_id is not None

    def _states(self) -> frozenset[JobStatus | FailureReason]:
        """Return the requested states, except processing."""
        statuses = self.which.statuses or frozenset(JobStatus)
        reasons = self.which.failure_reasons
        if JobStatus.FAILED not in statuses:
            return _STATES & statuses if not reasons else frozenset()
        return reasons or _STATES & {*statuses, *FailureReason}

    def _first(self, state: JobStatus | FailureReason) -> Select[Any]:
        index = self._index_of(state)
        conditions = (index, in_state(state))
        if self.which.project_id is not None:
            # A sub-query: no index of all projects can be proven to have these rows.
            conditions = (index, in_state(state, hidden=True))
        if self.order.sort is JobSort.CREATED_AT and self._has_window:
            # The window is in another order: all of it is read and sorted.
            return self._all(*conditions)
        order: tuple[Any, ...] = _sort_columns(_jobs, self.order.sort)
        if index is not IS_POSTED:
            # The reason is constant; named, the order matches the index's.
            order = (_jobs.failure_reason, *order)
        found = self._matching(*conditions).where(*self._after(_jobs))
        found = found.order_by(*_directed(order, self.order))
        if self.which.project_id is None:
            return found.limit(self.page)
        # If an average project has fewer jobs than a page, Postgres would read and sort
        # all that a project has. A limit that it does not see it takes for a tenth of
        # them; the other limit makes that a page's cost again.
        return select(found.limit(unseen(self.page)).subquery()).limit(self.page)

    def _index_of(self, state: JobStatus | FailureReason) -> TextClause:
        """Return the condition of the index that has the state's jobs in order."""
        if self.which.project_id is not None:
            return NOT_PROCESSING
        return IS_POSTED if state is JobStatus.POSTED else NEITHER

    def _all(self, *conditions: _Condition) -> Select[Any]:
        # OFFSET stops the planner from scanning an index in the list's order instead,
        # hoping to find enough rows soon.
        found = self._matching(*conditions).offset(0).subquery()
        return select(found).where(*self._after(found.c))

    def _matching(self, *conditions: _Condition) -> Select[Any]:
        return select(schedule_jobs).where(*conditions, *self._filters())

    def _after(self, columns: _Columns) -> Iterator[ColumnElement[bool]]:
        if self.is_continued:
            yield _is_after(columns, self.order)

    @property
    def _has_window(self) -> bool:
        return (self.which.scheduled_from or self.which.scheduled_to) is not None

    def _filters(self) -> Iterator[ColumnElement[bool]]:
        which = self.which
        for name in ("project_id", "platform", "asset_id", "external_id"):
            if getattr(which, name) is not None:
                yield _jobs[name] == unseen(bindparam(name, type_=_jobs[name].type))
        if self._has_window:
            yield from self._window()

    def _window(self) -> Iterator[ColumnElement[bool]]:
        first = unseen(_time("scheduled_from"))
        end = unseen(_time("scheduled_to"))
        of_all = self.which.project_id is None
        if not of_all or self.order.sort is JobSort.CREATED_AT:
            yield from (_jobs.scheduled_for >= first, _jobs.scheduled_for < end)
            return
        # The same: no id is less. Postgres would take a window for so few jobs that it
        # reads and sorts them all, not the first ones in an index's order.
        place = tuple_(_jobs.scheduled_for, _jobs.id)
        yield place >= tuple_(first, _NO_ID)
        yield place < tuple_(end, _NO_ID)


def _is_after(columns: _Columns, order: JobOrder) -> ColumnElement[bool]:
    values: list[Any] = [unseen(bindparam("after_id", type_=_jobs.id.type))]
    if order.sort is JobSort.SCHEDULED_FOR:
        values.insert(0, unseen(_time("after_time")))
    comes_after: Any = operator.lt if order.descending else operator.gt
    place = tuple_(*_sort_columns(columns, order.sort))
    after: ColumnElement[bool] = comes_after(place, tuple_(*values))
    return after


def _time(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=UtcDateTime())


def _sort_columns(columns: _Columns, sort: JobSort) -> tuple[ColumnElement[Any], ...]:
    by_time = sort is JobSort.SCHEDULED_FOR
    return (columns.scheduled_for, columns.id) if by_time else (columns.id,)


def _directed(
    columns: Iterable[ColumnElement[Any]], order: JobOrder
) -> list[ColumnElement[Any]]:
    return [column.desc() if order.descending else column.asc() for column in columns]
