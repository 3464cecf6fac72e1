"""Routes of webhooks to frontends: the endpoint and its events."""

from typing import Annotated, Final

from fastapi import APIRouter, Body, Query, Response, status

from app.api.dependencies import ProjectScope, Wired
from app.api.docs.declared import declared
from app.api.routes.accounts import ProjectId
from app.api.routing import StrictRoute
from app.domain.errors import TooManyRequests
from app.schemas.webhooks import (
    EventsAnswer,
    LastDelivery,
    ReplayAnswer,
    ReplayRequest,
    TestAnswer,
    WebhookPut,
    WebhookRequest,
    WebhookState,
)

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/projects/{projectId}/webhook",
    tags=["Webhooks"],
    responses=declared(400, 401, 404, 413, 422, 503),
)


_EXAMPLE: Final = {"url": "https://app.example.com/hooks/tiktok"}
_BY_ID: Final = {"eventId": "0196a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"}
_BY_TIME: Final = {"since": "2026-04-09T12:00:00.000Z", "failedOnly": True}


@router.put(
    "",
    summary="Set a project's webhook",
    responses={
        201: {"model": WebhookPut, "description": "The project had none"},
        **declared(415),
    },
)
async def put_webhook(
    project_id: ProjectId,
    body: Annotated[
        WebhookRequest, Body(openapi_examples={"new": {"value": _EXAMPLE}})
    ],
    response: Response,
    services: Wired,
    scope: ProjectScope,
) -> WebhookPut:
    """Set the endpoint; a disabled one is enabled.

    Deliveries are signed as in the Standard Webhooks specification. A replaced
    secret also signs for 24 hours.
    """
    done = await services.webhooks.put(
        project_id, url=body.url, secret=body.secret, scope=scope
    )
    if done.created:
        response.status_code = status.HTTP_201_CREATED
    return WebhookPut.of(done)


@router.get("", summary="Show a project's webhook")
async def get_webhook(
    project_id: ProjectId, services: Wired, scope: ProjectScope
) -> WebhookState:
    """Show the endpoint, whether it is called, and how the newest delivery went."""
    endpoint, last = await services.webhooks.get(project_id, scope=scope)
    return WebhookState(
        **WebhookState.fields_of(endpoint),
        last_delivery=None if last is None else LastDelivery.of(last),
    )


@router.delete(
    "", summary="Remove a project's webhook", status_code=status.HTTP_204_NO_CONTENT
)
async def delete_webhook(
    project_id: ProjectId, services: Wired, scope: ProjectScope
) -> None:
    """Delete the endpoint, its secret and its events."""
    await services.webhooks.delete(project_id, scope=scope)


@router.post("/secret", summary="Make a new secret")
async def rotate_webhook_secret(
    project_id: ProjectId, services: Wired, scope: ProjectScope
) -> WebhookPut:
    """Show a new secret once; the current one also signs for 24 hours."""
    return WebhookPut.of(await services.webhooks.rotate(project_id, scope=scope))


@router.post(
    "/test", summary="Send a test event", responses=declared(TooManyRequests(1.0))
)
async def test_webhook(
    project_id: ProjectId, services: Wired, scope: ProjectScope
) -> TestAnswer:
    """Send `webhook.test` now and show what came back; it is not tried again.

    429 while another test of the project is under way.
    """
    return TestAnswer.of(*await services.webhooks.test(project_id, scope=scope))


@router.get("/events", summary="List events")
async def list_webhook_events(
    project_id: ProjectId,
    services: Wired,
    scope: ProjectScope,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> EventsAnswer:
    """List events that were sent or will be, newest first; kept for 30 days."""
    page = await services.webhooks.events(
        project_id, limit=limit, cursor=cursor, scope=scope
    )
    return EventsAnswer.model_validate(page)


@router.post(
    "/replay",
    summary="Send events again",
    status_code=status.HTTP_202_ACCEPTED,
    responses=declared(409, 415),
)
async def replay_webhook_events(
    project_id: ProjectId,
    body: Annotated[
        ReplayRequest,
        Body(
            openapi_examples={
                "one": {"value": _BY_ID},
                "what failed since": {"value": _BY_TIME},
            }
        ),
    ],
    services: Wired,
    scope: ProjectScope,
) -> ReplayAnswer:
    """Send one event again, or those of a period, each with its own id."""
    count = await services.webhooks.replay(project_id, body.to_domain(), scope=scope)
    return ReplayAnswer(replayed=count)
