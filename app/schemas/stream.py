"""The events of the stream."""

from typing import Literal

from pydantic import Field

from app.schemas.fields import Answer
from app.schemas.job_answers import JobAnswer


class ReadyData(Answer):
    """What is known at the beginning."""

    resumed: bool = Field(description="false: read the list now")


class ResyncData(Answer):
    """Nothing: read the list."""


class StreamReadyEvent(Answer):
    """From here on nothing is missed."""

    event: Literal["ready"]
    id: str = Field(description="To resume from, as Last-Event-ID")
    retry: int = Field(description="Milliseconds to wait before connecting again")
    data: ReadyData


class StreamJobEvent(Answer):
    """A job changed; it stands as GET shows it."""

    event: Literal["job"]
    id: str
    data: JobAnswer


class StreamResyncEvent(Answer):
    """Too much changed at once: read the list."""

    event: Literal["resync"]
    id: str
    data: ResyncData
