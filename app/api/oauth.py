"""Connecting an account: to TikTok's consent page, and back."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Body, Query, Response, status
from fastapi.responses import RedirectResponse
from pydantic import Field

from app.api.accounts import PLATFORM, PREFIX, ProjectId
from app.api.auth import ProjectScope
from app.api.docs import examples
from app.api.docs.declared import declared
from app.api.services import Wired
from app.domain.errors import (
    AuthorizationFailed,
    InvalidState,
    OAuthNotConfigured,
    StoreUnavailable,
    TikTokUnavailable,
)
from app.domain.redirect import MAX_URL_LENGTH, with_query
from app.schemas.accounts import AccountAnswer
from app.schemas.fields import Answer, Request, Text, Timestamp
from app.service.connect import Connected, NotConnected

router = APIRouter(tags=["Accounts"])

# The address of the way back holds a code and a state: no page, no cache gets them.
_PRIVATE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}

RedirectTo = Annotated[
    Text,
    Field(
        description="The page to come back to, on an origin of CORS_ORIGINS",
        examples=["https://app.example.com/settings"],
        json_schema_extra={"maxLength": MAX_URL_LENGTH, "format": "uri"},
    ),
]


class ConnectRequest(Request):
    """How a person is sent to TikTok."""

    redirect_to: RedirectTo | None = None
    disable_auto_auth: bool = Field(
        False, description="Always ask: needed to switch to another TikTok account"
    )


class AuthorizationAnswer(Answer):
    """Where to send the person."""

    authorize_url: str
    state: str
    expires_at: Timestamp


class ConnectedAnswer(Answer):
    """What came of it."""

    status: Literal["connected"] = "connected"
    account: AccountAnswer
    missing_scopes: list[str] = Field(description="Asked for, and not granted")


@router.post(
    f"{PREFIX}/connect",
    operation_id="connectAccount",
    summary="Begin to connect an account",
    responses=declared(
        *(400, 401, 404, 413, 415, 422), OAuthNotConfigured, StoreUnavailable
    ),
)
async def connect_account(
    project_id: ProjectId,
    services: Wired,
    scope: ProjectScope,
    body: Annotated[
        ConnectRequest | None, Body(openapi_examples=examples.CONNECTS)
    ] = None,
) -> AuthorizationAnswer:
    """Make the address of TikTok's consent page; it is good for ten minutes."""
    asked = body or ConnectRequest()
    begun = await services.connect.begin(
        project_id,
        PLATFORM,
        scope=scope,
        redirect_to=asked.redirect_to,
        disable_auto_auth=asked.disable_auto_auth,
    )
    return AuthorizationAnswer(
        authorize_url=begun.authorize_url,
        state=begun.state,
        expires_at=begun.expires_at,
    )


@router.get(
    "/oauth/tiktok/callback",
    operation_id="finishConnect",
    summary="Where TikTok sends the person back to",
    response_model=ConnectedAnswer,
    responses={
        303: {"description": "To redirectTo, with ?status=connected or error"},
        **declared(
            *(InvalidState, AuthorizationFailed, 413, 422, TikTokUnavailable),
            *(OAuthNotConfigured, StoreUnavailable),
        ),
    },
)
async def finish_connect(
    response: Response,
    services: Wired,
    code: Annotated[str | None, Query()] = None,
    state: Annotated[str | None, Query()] = None,
    error: Annotated[str | None, Query()] = None,
) -> ConnectedAnswer | Response:
    """Finish a connect; a state works once, within ten minutes."""
    response.headers.update(_PRIVATE)
    ended = await services.connect.finish(state=state, code=code, error=error)
    if ended.redirect_to is not None:
        return _back(ended.redirect_to, ended)
    if isinstance(ended, NotConnected):
        raise ended.error
    return ConnectedAnswer(
        account=AccountAnswer.of(ended.account),
        missing_scopes=list(ended.missing_scopes),
    )


def _back(redirect_to: str, ended: Connected | NotConnected) -> RedirectResponse:
    if isinstance(ended, NotConnected):
        told = {"status": "error", "code": ended.code}
    elif ended.missing_scopes:
        told = {"status": "connected", "missingScopes": ",".join(ended.missing_scopes)}
    else:
        told = {"status": "connected"}
    url = with_query(redirect_to, **told)
    return RedirectResponse(url, status.HTTP_303_SEE_OTHER, headers=_PRIVATE)
