"""Convert database rows to domain values and back."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from operator import attrgetter, itemgetter
from typing import Any, Final, TypeVar

import msgspec
import structlog
from msgspec import convert, structs

from app.domain.jobs.job import (
    AttemptRecord,
    Availability,
    Delivery,
    ErrorClass,
    FailureReason,
    Job,
    JobStatus,
    LastError,
    Transfer,
    UnreadableJob,
    WaitingFor,
)
from app.domain.jobs.readiness import Readiness, ReadinessProblem
from app.domain.posts.post import OF_PHOTOS, MediaType, Post, PostMode, PrivacyLevel
from app.store.db.types import Row

log = structlog.get_logger(__name__)

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

UNREADABLE: Final = (KeyError, ValueError, TypeError, AttributeError)
"""What is raised for a row that a newer version, or a hand, wrote."""

JOB_COLUMNS: Final = Job.__struct_fields__
_columns = itemgetter(*JOB_COLUMNS)
_post_names = Post.__struct_fields__
_post_values = attrgetter(*_post_names)
_known_in_post = frozenset(_post_names)
_always_in_post = frozenset({"mode", "privacy_level"})
_ONLY_PHOTOS = ("media_type", *OF_PHOTOS)


def job_from_row(row: Row) -> Job:
    """Read a job."""
    return job_of(dict(zip(JOB_COLUMNS, _columns(row), strict=True)))


def shown_from_row(row: Row) -> Job:
    """Read a job to be shown: without what this version cannot read, if need be."""
    try:
        return job_from_row(row)
    except UNREADABLE:
        return _as_far_as_possible(row)


def readable(rows: Iterable[Row]) -> tuple[Job, ...]:
    """Read jobs to work on; those that cannot be read are logged and left out."""
    found = []
    for row in rows:
        try:
            found.append(job_from_row(row))
        except UNREADABLE:
            log.error("a job cannot be read; it is left out", job_id=row["id"])
    return tuple(found)


def job_of(values: Mapping[str, Any]) -> Job:
    """Make a job of its columns' values by name."""
    # Most columns are NULL, and the field's default means the same.
    return job_of_told(
        {name: each for name, each in values.items() if each is not None}
    )


def job_of_told(told: dict[str, Any]) -> Job:
    """Make a job of its columns' values that are not NULL; changes them."""
    told["post"] = post_from_json(told["post"])
    told["status"] = _status(told["status"])
    told.setdefault("next_attempt_at", None)
    for name, read in _READ_UNLESS_NULL:
        if name in told:
            told[name] = read(told[name])
    return Job(**told)


def post_to_json(post: Post, former: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write a post for a JSON column, with what a newer version knows of ``former``."""
    # Not asdict, which copies every one of these plain values.
    written = dict(zip(_post_names, _post_values(post), strict=True))
    if post.media_type is MediaType.VIDEO:
        # Workers of before there were photos refuse a post that names them.
        for name in _ONLY_PHOTOS:
            del written[name]
    if former:
        written |= {name: former[name] for name in former.keys() - _known_in_post}
    return written


def post_from_json(data: Mapping[str, Any]) -> Post:
    """Read a post from a JSON column, ignoring what a newer version added."""
    if not data.keys() >= _always_in_post:
        raise ValueError("a post without a mode or an audience")
    # Posts stored before photos existed are videos: the field's default.
    return convert(data, Post)


def error_to_json(error: LastError | None) -> dict[str, Any] | None:
    """Write an error for a JSON column."""
    if error is None:
        return None
    return {**structs.asdict(error), "at": error.at.astimezone(UTC).isoformat()}


def error_from_json(data: Mapping[str, Any]) -> LastError:
    """Read an error from a JSON column."""
    return LastError(
        **{
            **data,
            "error_class": ErrorClass(data["error_class"]),
            "at": datetime.fromisoformat(data["at"]),
        }
    )


def readiness_to_json(readiness: Readiness | None) -> dict[str, Any] | None:
    """Write a readiness check's result for a JSON column."""
    if readiness is None:
        return None
    return {
        "checked_at": readiness.checked_at.astimezone(UTC).isoformat(),
        "problems": [problem_to_json(problem) for problem in readiness.problems],
        "video_seconds": readiness.video_seconds,
        "is_first": readiness.is_first,
        "remarks": readiness.remarks,
    }


def problem_to_json(problem: ReadinessProblem) -> dict[str, Any]:
    """Leave out a missing pointer, which an older version does not know."""
    return {
        name: value
        for name, value in structs.asdict(problem).items()
        if value is not None
    }


def readiness_from_json(data: Mapping[str, Any]) -> Readiness:
    """Read a readiness check's result from a JSON column."""
    return Readiness(
        checked_at=datetime.fromisoformat(data["checked_at"]),
        problems=tuple(ReadinessProblem(**problem) for problem in data["problems"]),
        video_seconds=data.get("video_seconds"),
        is_first=data.get("is_first", False),
        remarks=tuple(data.get("remarks", ())),
    )


def _as_far_as_possible(row: Row) -> Job:
    values: dict[str, Any] = dict(zip(JOB_COLUMNS, _columns(row), strict=True))
    values["post"] = _post_as_far_as_possible(values["post"])
    # Whatever a newer program calls it: it is in that one's hands.
    values["status"] = _or(JobStatus.PROCESSING, _status, values["status"])
    for name, empty in _UNLESS_TOLD:
        if values[name] is None:
            values[name] = empty
    for name, read in _READ_UNLESS_NULL:
        if values[name] is not None:
            values[name] = _or(_EMPTY.get(name), read, values[name])
    return UnreadableJob(**values)


def _post_as_far_as_possible(data: object) -> Post:
    if not isinstance(data, Mapping):
        return Post()
    known = {name: data[name] for name in data.keys() & _known_in_post}
    for name, read in _READ_OF_POST:
        if known.get(name) is not None and _or(None, read, known[name]) is None:
            del known[name]
    try:
        return msgspec.convert(known, Post, strict=False)
    except msgspec.ValidationError:
        return Post()


def _or(empty: T, read: Callable[[Any], T], value: object) -> T:
    try:
        return read(value)
    except UNREADABLE:
        return empty


def _members(kind: type[E]) -> Callable[[str], E]:
    """Return a look-up of an enum's members, ten times as fast as the enum."""
    return {member.value: member for member in kind}.__getitem__


_status = _members(JobStatus)
_mode = _members(PostMode)
_privacy_level = _members(PrivacyLevel)
_media_type = _members(MediaType)

# An event's payload may be older than these columns.
_UNLESS_TOLD: Final[tuple[tuple[str, Any], ...]] = (
    ("transfer", Transfer.PULL),
    ("asset_urls", ()),
    ("post_ids", ()),
    ("upload_repeats", ()),
)
_READ_UNLESS_NULL: Final[tuple[tuple[str, Callable[[Any], Any]], ...]] = (
    ("failure_reason", _members(FailureReason)),
    ("waiting_for", _members(WaitingFor)),
    ("delivery", _members(Delivery)),
    ("transfer", _members(Transfer)),
    ("asset_urls", tuple),
    ("post_ids", tuple),
    ("upload_repeats", tuple),
    ("availability", _members(Availability)),
    ("last_error", error_from_json),
    ("readiness", readiness_from_json),
)

_EMPTY: Final[Mapping[str, Any]] = dict(_UNLESS_TOLD)
_READ_OF_POST: Final[tuple[tuple[str, Callable[[Any], Any]], ...]] = (
    ("mode", _mode),
    ("privacy_level", _privacy_level),
    ("media_type", _media_type),
)


def attempt_from_row(row: Row) -> AttemptRecord:
    """Read a row of the ledger."""
    return AttemptRecord(
        **{
            **{key: value for key, value in row.items() if key != "job_id"},
            "error_class": row["error_class"] and ErrorClass(row["error_class"]),
        }
    )
