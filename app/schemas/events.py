"""The events for frontends: bodies of webhooks, messages of the stream."""

from datetime import datetime
from typing import Literal, assert_never

from pydantic import Field

from app.domain.accounts.account import Account
from app.domain.events import EndpointTest, EventPayload, EventType
from app.domain.jobs.job import Job
from app.schemas.accounts import AccountAnswer
from app.schemas.fields import Answer, Timestamp
from app.schemas.job_answers import JobAnswer


class JobEvent(Answer):
    """Something happened to a job."""

    type: Literal[
        "job.posted",
        "job.failed",
        "job.unconfirmed",
        "job.retrying",
        "job.at_risk",
        "job.post_available",
        "job.post_withdrawn",
    ]
    timestamp: Timestamp = Field(description="When it happened")
    data: JobAnswer = Field(
        description="The job as `GET /v1/jobs/{id}` showed it at that moment"
    )


class AccountEvent(Answer):
    """An account has to be connected again, or another person is connected now."""

    type: Literal["account.reconnect_required", "account.changed"]
    timestamp: Timestamp = Field(description="When it happened")
    data: AccountAnswer = Field(description="The account, without its tokens")


class TestData(Answer):
    """Only whose endpoint it is."""

    project_id: str
    message: str = "This is a test; nothing happened."


class TestEvent(Answer):
    """Sent on request, to see whether the endpoint works."""

    type: Literal["webhook.test"]
    timestamp: Timestamp
    data: TestData


def body_of(
    kind: EventType, at: datetime, told: EventPayload, *, run_by_cron: bool = False
) -> bytes:
    """Render an event's body; the same event always gives the same bytes."""
    return _event(kind, at, told, run_by_cron).model_dump_json(by_alias=True).encode()


def _event(
    kind: EventType,
    at: datetime,
    told: EventPayload,
    run_by_cron: bool,
) -> Answer:
    match told:
        case Job():
            shown = JobAnswer.of(told, run_by_cron=run_by_cron, now=at)
            return JobEvent.model_validate(
                {"type": str(kind), "timestamp": at, "data": shown}
            )
        case Account():
            shows = AccountAnswer.of(told)
            return AccountEvent.model_validate(
                {"type": str(kind), "timestamp": at, "data": shows}
            )
        case EndpointTest(project_id=project_id):
            data = TestData(project_id=project_id)
            return TestEvent(type="webhook.test", timestamp=at, data=data)
        case _:
            assert_never(told)


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
    """A job changed; the data is what GET shows."""

    event: Literal["job"]
    id: str
    data: JobAnswer


class StreamResyncEvent(Answer):
    """Too much changed at once: read the list."""

    event: Literal["resync"]
    id: str
    data: ResyncData
