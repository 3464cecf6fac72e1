"""Requests and answers of the webhook routes."""

from typing import Any, Self

from pydantic import Field, model_validator

from app.domain.events import EventStatus, EventType
from app.domain.posts.asset_url import MAX_URL_LENGTH
from app.domain.webhook_endpoint import (
    DeliveryResult,
    DisabledReason,
    EndpointStatus,
    EventRecord,
    WebhookEndpoint,
)
from app.schemas.fields import Answer, Moment, Request, Text, Timestamp
from app.service.webhook_endpoints import PutWebhook, ReplayFilter


class WebhookRequest(Request):
    """Where a project receives its events."""

    url: Text = Field(
        min_length=1,
        max_length=MAX_URL_LENGTH,
        description="https, a public host name, port 443; no redirect is followed",
    )
    secret: Text | None = Field(
        None,
        min_length=1,
        max_length=200,
        repr=False,
        description="24 to 64 bytes in base64, with or without `whsec_` before it. Left"
        " out: the current one stays, or a new one is made and shown once",
    )


class LastDelivery(Answer):
    """The newest event that was sent, and how that went."""

    event_id: str
    type: EventType
    at: Timestamp
    status: EventStatus
    response_status: int | None
    error: str | None

    @classmethod
    def of(cls, event: EventRecord) -> Self | None:
        """Show a delivery, if there was a try."""
        if event.last_attempt_at is None:
            return None
        return cls(
            event_id=event.id,
            type=event.type,
            at=event.last_attempt_at,
            status=event.status,
            response_status=event.last_status,
            error=event.last_error,
        )


class WebhookAnswer(Answer):
    """A project's endpoint, without its secret."""

    project_id: str
    url: str
    status: EndpointStatus
    disabled_reason: DisabledReason | None = Field(
        description="`gone`: it answered 410. `failing`: every try failed for days"
    )
    disabled_at: Timestamp | None
    failing_since: Timestamp | None = Field(description="null while deliveries succeed")
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def fields_of(cls, endpoint: WebhookEndpoint) -> dict[str, Any]:
        """Return the fields that are shown of an endpoint."""
        names = WebhookAnswer.model_fields
        return {name: getattr(endpoint, name) for name in names}


class WebhookState(WebhookAnswer):
    """A project's endpoint, and how its newest delivery went."""

    last_delivery: LastDelivery | None


class WebhookPut(WebhookAnswer):
    """The endpoint that was set."""

    secret: str | None = Field(
        repr=False, description="Only if it was just made; store it"
    )

    @classmethod
    def of(cls, done: PutWebhook) -> Self:
        """Show the endpoint that was set."""
        return cls(**cls.fields_of(done.endpoint), secret=done.secret)


class TestAnswer(Answer):
    """The result of a test."""

    event_id: str
    delivered: bool = Field(description="The receiver answered 2xx")
    response_status: int | None
    error: str | None

    @classmethod
    def of(cls, event_id: str, sent: DeliveryResult) -> Self:
        """Show a test's result."""
        return cls(
            event_id=event_id,
            delivered=sent.error is None,
            response_status=sent.status,
            error=sent.error,
        )


class EventAnswer(Answer):
    """One event and its delivery."""

    id: str = Field(description="The webhook-id, the same at every try")
    type: EventType
    job_id: str | None
    created_at: Timestamp
    status: EventStatus
    attempts: int = Field(description="Tries since it was written or replayed")
    next_attempt_at: Timestamp | None
    last_attempt_at: Timestamp | None
    last_status: int | None = Field(description="What the receiver answered")
    last_error: str | None


class EventsAnswer(Answer):
    """A page of events, newest first."""

    items: list[EventAnswer]
    next_cursor: str | None = Field(description="null on the last page")


class ReplayRequest(Request):
    """Which events are sent again: one by its id, or those of a period."""

    event_id: Text | None = Field(None, max_length=100)
    since: Moment | None = Field(None, description="Inclusive")
    until: Moment | None = Field(None, description="Exclusive")
    failed_only: bool = Field(False, description="Leave out delivered events")

    @model_validator(mode="after")
    def _names_some(self) -> Self:
        if (self.event_id is None) == (self.since is None):
            raise ValueError("name either eventId or since")
        if self.event_id is not None and self.until is not None:
            raise ValueError("until goes with since")
        return self

    def to_domain(self) -> ReplayFilter:
        """Return the choice as a domain value."""
        return ReplayFilter(**dict(self))


class ReplayAnswer(Answer):
    """How many events are sent again."""

    replayed: int
