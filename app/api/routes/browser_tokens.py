"""Route of browser tokens, with its request and answer."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Body
from fastapi import Request as HttpRequest
from pydantic import Field

from app.api.dependencies import ProjectScope, Wired, caller_of
from app.api.docs import examples
from app.api.docs.declared import declared
from app.api.routes.accounts import ProjectId
from app.api.routing import StrictRoute
from app.domain.api_key import KeyAccess
from app.schemas.fields import Answer, Request, Timestamp

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/projects/{projectId}",
    tags=["Browsers"],
    responses=declared(400, 401, 404, 413, 415, 422, 503),
)


class BrowserTokenRequest(Request):
    """What a browser may do, and for how long."""

    ttl_seconds: Annotated[int, Field(ge=1, le=3600)]
    access: Literal["read", "compose"] = Field(
        description="read: look and watch. compose: also ask what the creator may"
        " choose, and validate, schedule, change, cancel and retry jobs"
    )


class BrowserTokenAnswer(Answer):
    """A token; whoever has it can use it until it expires."""

    token: str = Field(repr=False)
    expires_at: Timestamp


@router.post("/browser-token", summary="Make a token for a browser")
async def create_browser_token(
    project_id: ProjectId,
    body: Annotated[
        BrowserTokenRequest, Body(openapi_examples=examples.BROWSER_TOKENS)
    ],
    request: HttpRequest,
    services: Wired,
    _scope: ProjectScope,
) -> BrowserTokenAnswer:
    """Make a token for this project only, valid for an hour at most.

    It expires no later than the key it is made with.

    A browser sends it instead of a key. Only the stream accepts it as `?token=`, for
    `EventSource`, if it is valid for ten minutes at most. It is stored nowhere and
    cannot be revoked: let it live only as long as a page needs it.
    """
    made = services.browser_tokens.issue(
        project_id,
        issuer=caller_of(request),
        access=KeyAccess(body.access),
        lives=timedelta(seconds=body.ttl_seconds),
    )
    return BrowserTokenAnswer.model_validate(made)
