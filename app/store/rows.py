"""Between database rows and the domain's values."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeVar

from app.domain.job import (
    AttemptRecord,
    Delivery,
    ErrorClass,
    FailureReason,
    Job,
    JobStatus,
    LastError,
    WaitingFor,
)
from app.domain.post import Post, PostMode, PrivacyLevel
from app.domain.readiness import Problem, Readiness

Row = Mapping[Any, Any]
E = TypeVar("E")

_PLAIN = (
    "id",
    "project_id",
    "platform",
    "asset_id",
    "asset_url",
    "scheduled_for",
    "post_now",
    "idempotency_key",
    "attempts",
    "max_attempts",
    "next_attempt_at",
    "created_at",
    "updated_at",
    "claim_token",
    "claimed_by",
    "claimed_at",
    "attempt_started_at",
    "attempt_number",
    "init_sent_at",
    "publish_id",
    "publish_started_at",
    "media_token",
    "confirm_at",
    "confirm_tries",
    "readiness_at",
    "post_id",
    "post_url",
    "posted_at",
)


def job_from_row(row: Row) -> Job:
    """Read a job."""
    return Job(
        **{name: row[name] for name in _PLAIN},
        post=post_from_json(row["post"]),
        status=JobStatus(row["status"]),
        failure_reason=_maybe(FailureReason, row["failure_reason"]),
        waiting_for=_maybe(WaitingFor, row["waiting_for"]),
        delivery=_maybe(Delivery, row["delivery"]),
        last_error=error_from_json(row["last_error"]),
        readiness=readiness_from_json(row["readiness"]),
    )


def post_to_json(post: Post) -> dict[str, Any]:
    """Write a post for a JSON column."""
    return asdict(post)


def post_from_json(data: Mapping[str, Any]) -> Post:
    """Read a post from a JSON column."""
    return Post(
        **{
            **data,
            "mode": PostMode(data["mode"]),
            "privacy_level": _maybe(PrivacyLevel, data["privacy_level"]),
        }
    )


def error_to_json(error: LastError | None) -> dict[str, Any] | None:
    """Write an error for a JSON column."""
    if error is None:
        return None
    return {**asdict(error), "at": error.at.astimezone(UTC).isoformat()}


def error_from_json(data: Mapping[str, Any] | None) -> LastError | None:
    """Read an error from a JSON column."""
    if data is None:
        return None
    return LastError(
        **{
            **data,
            "error_class": ErrorClass(data["error_class"]),
            "at": datetime.fromisoformat(data["at"]),
        }
    )


def readiness_to_json(readiness: Readiness | None) -> dict[str, Any] | None:
    """Write what a look ahead of time found for a JSON column."""
    if readiness is None:
        return None
    return {
        "checked_at": readiness.checked_at.astimezone(UTC).isoformat(),
        "problems": [asdict(problem) for problem in readiness.problems],
    }


def readiness_from_json(data: Mapping[str, Any] | None) -> Readiness | None:
    """Read what a look ahead of time found from a JSON column."""
    if data is None:
        return None
    return Readiness(
        checked_at=datetime.fromisoformat(data["checked_at"]),
        problems=tuple(Problem(**problem) for problem in data["problems"]),
    )


def attempt_from_row(row: Row) -> AttemptRecord:
    """Read a row of the ledger."""
    return AttemptRecord(
        **{
            **{key: value for key, value in row.items() if key != "job_id"},
            "error_class": _maybe(ErrorClass, row["error_class"]),
        }
    )


def _maybe(kind: Callable[[str], E], value: str | None) -> E | None:
    return None if value is None else kind(value)
