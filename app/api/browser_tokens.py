"""Route of browser tokens."""

from typing import Annotated

from fastapi import APIRouter, Body, Request

from app.api.accounts import ProjectId
from app.api.auth import ProjectScope, caller_of
from app.api.docs import examples
from app.api.docs.declared import declared
from app.api.services import Wired
from app.domain.api_key import KeyAccess
from app.schemas.browser_tokens import BrowserTokenAnswer, BrowserTokenRequest

router = APIRouter(
    prefix="/v1/projects/{projectId}",
    tags=["Browsers"],
    responses=declared(400, 401, 404, 413, 415, 422, 503),
)


@router.post(
    "/browser-token",
    operation_id="createBrowserToken",
    summary="Make a token for a browser",
)
async def create_browser_token(
    project_id: ProjectId,
    body: Annotated[
        BrowserTokenRequest, Body(openapi_examples=examples.BROWSER_TOKENS)
    ],
    request: Request,
    services: Wired,
    _scope: ProjectScope,
) -> BrowserTokenAnswer:
    """Make a token that is good for this project alone, for an hour at most.

    A browser sends it where a key is sent. As `?token=` it is taken by the stream
    alone, for `EventSource`, if it lives ten minutes at most. It is kept nowhere and
    cannot be taken back: let it live as long as a page needs, and make another one.
    """
    made = services.browser_tokens.issue(
        project_id,
        issuer=caller_of(request),
        access=KeyAccess(body.access),
        lives=body.lives,
    )
    return BrowserTokenAnswer(token=made.token, expires_at=made.expires_at)
