"""Requests and answers of jobs' actions: retry many, cancel, hold, rebind, history."""

from typing import Annotated, Any, Literal

from pydantic import Field

from app.domain.jobs.hold import MAX_REASON_LENGTH, Hold
from app.schemas.fields import Answer, Moment, Request, Text, Timestamp
from app.schemas.job_answers import AttemptAnswer
from app.schemas.job_requests import ExternalId


class RetryFailedRequest(Request):
    """Which failed jobs are started again."""

    failure_reason: Literal[
        "auth", "permanent", "max_attempts", "unconfirmed", "missed", "cancelled"
    ] = Field(
        description="`unconfirmed` ones are all skipped: whether to risk a second post"
        " is decided for each job"
    )
    include_overdue: bool = Field(
        False, description="Also jobs that are more than a day late"
    )


class RetriedAnswer(Answer):
    """What became of the project's failed jobs."""

    retried: int
    skipped: int = Field(
        description="Overdue, perhaps at TikTok, past their publishBy, or replaced by a"
        " newer Post Now"
    )


class ReboundAnswer(Answer):
    """What became of the jobs that were made for another account."""

    moved: int
    skipped: int = Field(description="At TikTok, or claimed by a worker")


class CancelRequest(Request):
    """Which of a project's jobs are cancelled: all that fit."""

    scheduled_from: Moment | None = Field(None, description="Inclusive")
    scheduled_to: Moment | None = Field(None, description="Exclusive")
    external_id: ExternalId | None = None
    dry_run: bool = Field(False, description="Only count")


class CancelledAnswer(Answer):
    """How many were cancelled; jobs that had ended are not counted."""

    cancelled: int
    skipped: int = Field(description="TikTok may have them")


Reason = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=MAX_REASON_LENGTH,
        description="For people: why nothing is posted",
    ),
]


class HoldRequest(Request):
    """How long due jobs wait, and why."""

    reason: Reason
    until: Moment | None = Field(
        None, description="In the future; left out or null: until DELETE"
    )

    def to_domain(self, project_id: str | None) -> Hold:
        """Return the hold as a domain value."""
        return Hold(project_id=project_id, reason=self.reason, until=self.until)


class HoldAnswer(Answer):
    """A hold that is in force."""

    reason: str
    until: Timestamp | None = Field(description="null: until it is released")


class ActorAnswer(Answer):
    """The API key that something was done with."""

    id: str = Field(validation_alias="key_id")
    name: str = Field(validation_alias="key_name")


class HistoryItemAnswer(Answer):
    """One thing that happened to a job."""

    at: Timestamp
    kind: str = Field(examples=["accepted", "attempt", "put_off", "available"])
    text: str = Field(description="For the person")
    by: ActorAnswer | None = Field(description="Who did it; null: the service itself")
    data: dict[str, Any] | None = Field(description="Details")
    attempt: AttemptAnswer | None = Field(
        description="The ledger's row, if it is an attempt"
    )


class HistoryAnswer(Answer):
    """A job's history, oldest first."""

    items: list[HistoryItemAnswer]
