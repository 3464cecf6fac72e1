"""Routes to connect an account: to TikTok's consent page and back, with its pages."""

from hashlib import sha256
from html import escape
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Body, Query, Response, status
from fastapi import Request as HttpRequest
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import Field

from app.api.dependencies import ProjectScope, Wired
from app.api.docs import examples
from app.api.docs.declared import declared
from app.api.problems import problem_of
from app.api.routes.accounts import ACCOUNT_PATH, ProjectId
from app.api.routing import StrictRoute
from app.domain.accounts.account import PLATFORM
from app.domain.errors import (
    AuthorizationFailed,
    InvalidState,
    NotYourBrowser,
    OAuthNotConfigured,
    SchedulerError,
    StoreUnavailable,
    TikTokUnavailable,
)
from app.domain.redirect import MAX_URL_LENGTH, with_query
from app.schemas.accounts import AccountAnswer
from app.schemas.fields import Answer, Request, Text, Timestamp
from app.service.accounts.connect import STATE_LIVES, Connected, NotConnected

router = APIRouter(tags=["Accounts"])  # TikTok may add to the query of its way back
connect_router = APIRouter(route_class=StrictRoute, tags=["Accounts"])

# The callback's URL holds a code and a state: no other page and no cache may see it.
_PRIVATE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}

_CSP: Final = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
</main>
</body>
</html>
"""

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
    bind: bool = Field(
        False,
        description="Let only the browser finish that went through startUrl: nobody can"
        " then be tricked into connecting their account to somebody else's project",
    )


class AuthorizationAnswer(Answer):
    """Where to send the person."""

    authorize_url: str
    state: str
    expires_at: Timestamp
    start_url: str | None = Field(
        description="Where to send the browser if `bind` was asked for, else null"
    )


class ConnectedAnswer(Answer):
    """What came of it."""

    status: Literal["connected"] = "connected"
    account: AccountAnswer
    missing_scopes: list[str] = Field(description="Asked for, and not granted")
    account_changed: bool = Field(description="Another person was connected before")


@connect_router.post(
    f"{ACCOUNT_PATH}/connect",
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
        bind=asked.bind,
    )
    return AuthorizationAnswer(
        authorize_url=begun.authorize_url,
        state=begun.state,
        expires_at=begun.expires_at,
        start_url=begun.start_url,
    )


@router.get(
    "/oauth/tiktok/start",
    summary="Begin a bound sign-in in the person's browser",
    status_code=status.HTTP_303_SEE_OTHER,
    response_class=RedirectResponse,
    responses={
        303: {"description": "To TikTok's consent page"},
        **declared(InvalidState, 413, 422, OAuthNotConfigured, StoreUnavailable),
    },
)
async def start_connect(
    request: HttpRequest,
    services: Wired,
    state: Annotated[str | None, Query()] = None,
) -> Response:
    """Set a cookie in this browser, and redirect to TikTok."""
    try:
        url = await services.connect.start(state)
    except SchedulerError as error:
        return _told(request, error)
    back = RedirectResponse(url, status.HTTP_303_SEE_OTHER, headers=_PRIVATE)
    back.set_cookie(
        _cookie(state or ""),
        state or "",
        max_age=int(STATE_LIVES.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",  # the browser comes back from TikTok's site
    )
    return back


@router.get(
    "/oauth/tiktok/callback",
    summary="Where TikTok sends the person back to",
    response_model=ConnectedAnswer,
    responses={
        200: {"content": {"text/html": {}}},
        303: {"description": "To redirectTo, with ?status=connected or error"},
        **declared(
            *(InvalidState, AuthorizationFailed, NotYourBrowser, 413, 422),
            *(TikTokUnavailable, OAuthNotConfigured, StoreUnavailable),
        ),
    },
)
async def finish_connect(
    request: HttpRequest,
    response: Response,
    services: Wired,
    code: Annotated[str | None, Query()] = None,
    state: Annotated[str | None, Query()] = None,
    error: Annotated[str | None, Query()] = None,
    scopes: Annotated[str | None, Query(max_length=1000)] = None,
) -> ConnectedAnswer | Response:
    """Finish a connect; a state works once, within ten minutes.

    Without redirectTo a browser gets a page, and everybody else JSON.
    """
    response.headers.update(_PRIVATE)
    started = bool(state) and request.cookies.get(_cookie(state or "")) == state
    try:
        ended = await services.connect.finish(
            state=state, code=code, error=error, started=started, scopes=scopes
        )
    except SchedulerError as refusal:
        return _told(request, refusal)
    if ended.redirect_to is not None:
        return _back(ended.redirect_to, ended)
    if isinstance(ended, NotConnected):
        return _told(request, ended.error)
    if _wants_page(request):
        return _connected_page(ended)
    return ConnectedAnswer(
        account=AccountAnswer.of(ended.account),
        missing_scopes=list(ended.missing_scopes),
        account_changed=ended.changed,
    )


def _told(request: HttpRequest, error: SchedulerError) -> Response:
    """Answer with an error: a page for a person, a problem for a program."""
    problem = problem_of(error)
    if _wants_page(request):
        return _error_page(error, status=problem.status_code)
    problem.headers.update(_PRIVATE)
    return problem


def _cookie(state: str) -> str:
    """Return the cookie's name of one sign-in; several may run at once.

    https://developer.mozilla.org/docs/Web/HTTP/Headers/Set-Cookie#cookie_prefixes
    """
    digest = sha256(state.encode("utf-8", "surrogatepass")).hexdigest()
    return f"__Host-connect-{digest[:16]}"


def _back(redirect_to: str, ended: Connected | NotConnected) -> RedirectResponse:
    if isinstance(ended, NotConnected):
        told = {"status": "error", "code": ended.code}
    else:
        told = {"status": "connected"}
        if ended.missing_scopes:
            told["missingScopes"] = ",".join(ended.missing_scopes)
        if ended.changed:
            told["accountChanged"] = "true"
    url = with_query(redirect_to, **told)
    return RedirectResponse(url, status.HTTP_303_SEE_OTHER, headers=_PRIVATE)


def _wants_page(request: HttpRequest) -> bool:
    """Tell whether a browser asks: it accepts HTML by name."""
    return "text/html" in request.headers.get("accept", "")


def _connected_page(ended: Connected) -> HTMLResponse:
    """Return the page that names the account and the scopes not granted."""
    account = ended.account
    text = f"{account.display_name or account.open_id} is connected. "
    if ended.missing_scopes:
        names = ", ".join(ended.missing_scopes)
        text += f"You did not allow: {names}. Connect again to allow it. "
    return _page(200, "Connected", f"{text}You can close this window.")


def _error_page(error: SchedulerError, *, status: int) -> HTMLResponse:
    """Return the page that says why no account was connected."""
    return _page(status, "Not connected", str(error))


def _page(status: int, title: str, text: str) -> HTMLResponse:
    content = _PAGE.format(title=escape(title), text=escape(text))
    more = {"Content-Security-Policy": _CSP, "X-Content-Type-Options": "nosniff"}
    return HTMLResponse(content, status, headers={**_PRIVATE, **more})
