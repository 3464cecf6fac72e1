"""Holds in requests and answers."""

from typing import Annotated, Self

from pydantic import Field

from app.domain.jobs.hold import MAX_REASON_LENGTH, Hold
from app.schemas.fields import Answer, Moment, Request, Text, Timestamp

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

    @classmethod
    def of(cls, hold: Hold) -> Self:
        """Show a hold."""
        return cls(reason=hold.reason, until=hold.until)
