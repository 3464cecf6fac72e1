"""The events as the OpenAPI document tells of them; nothing here is ever called."""

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header

from app.api.webhook_bodies import AccountEvent, JobEvent, TestEvent
from app.domain.events import EventType

EventId = Annotated[
    str, Header(alias="webhook-id", description="The same at every try of an event")
]
SentAt = Annotated[
    int, Header(alias="webhook-timestamp", description="Of this try, in Unix seconds")
]
Signature = Annotated[
    str,
    Header(
        alias="webhook-signature",
        description="`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64;"
        " several of them, with spaces between, while a replaced secret signs along",
    ),
]

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Any 2xx is a receipt; what else it says is not read"},
    410: {"description": "Never call this address again"},
}
_JOB_EVENTS: Final = {
    EventType.JOB_POSTED: "TikTok has published the post, or put it into the inbox",
    EventType.JOB_FAILED: "A job is over without a post, for whatever reason",
    EventType.JOB_UNCONFIRMED: "Nobody knows whether a failed job was posted",
    EventType.JOB_RETRYING: "An attempt failed, and the next one has its time",
    EventType.JOB_AT_RISK: "Something would keep a scheduled job from being posted",
}


def job_event(
    body: JobEvent,
    webhook_id: EventId,
    webhook_timestamp: SentAt,
    webhook_signature: Signature,
) -> None:
    """Hear of a job; its `data` is what `GET /v1/jobs/{id}` showed at that moment."""


def account_event(
    body: AccountEvent,
    webhook_id: EventId,
    webhook_timestamp: SentAt,
    webhook_signature: Signature,
) -> None:
    """Hear that nothing can be posted until the person connects TikTok again."""


def test_event(
    body: TestEvent,
    webhook_id: EventId,
    webhook_timestamp: SentAt,
    webhook_signature: Signature,
) -> None:
    """Hear from `POST /v1/projects/{projectId}/webhook/test`."""


def _documented() -> APIRouter:
    events = APIRouter()

    def tell(kind: EventType, endpoint: Callable[..., None], summary: str) -> None:
        events.add_api_route(
            kind,
            endpoint,
            methods=["POST"],
            tags=["Webhooks"],
            operation_id=f"hear_{kind.replace('.', '_')}",
            summary=summary,
            responses=dict(_ANSWERS),
        )

    for kind, summary in _JOB_EVENTS.items():
        tell(kind, job_event, summary)
    tell(
        EventType.ACCOUNT_RECONNECT_REQUIRED,
        account_event,
        "An account has to be connected again",
    )
    tell(EventType.TEST, test_event, "A test that was asked for")
    return events


EVENTS: Final = _documented()
"""For FastAPI's ``webhooks``."""
