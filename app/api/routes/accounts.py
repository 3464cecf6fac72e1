"""Routes of accounts: store, show, remove, and the creators' options."""

from typing import Annotated, Final

from fastapi import APIRouter, Body, Path, Query, Response, status

from app.api.dependencies import ProjectScope, Wired
from app.api.docs import examples
from app.api.docs.declared import declared
from app.api.routing import StrictRoute
from app.domain.accounts.account import PLATFORM
from app.domain.errors import (
    PostingNotAllowed,
    QuotaExhausted,
    ReconnectRequired,
    TikTokUnavailable,
)
from app.schemas.accounts import (
    AccountAnswer,
    AccountRequest,
    AccountsAnswer,
    AccountsQuery,
    CreatorInfoAnswer,
    PutAccountAnswer,
    QuotaAnswer,
)
from app.schemas.fields import Name

ACCOUNT_PATH: Final = f"/v1/projects/{{projectId}}/accounts/{PLATFORM}"

router = APIRouter(
    route_class=StrictRoute,
    prefix=ACCOUNT_PATH,
    tags=["Accounts"],
    responses=declared(400, 401, 404, 413, 422, 503),
)

list_router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/accounts",
    tags=["Accounts"],
    responses=declared(401, 422, 503),
)


@list_router.get("", summary="List accounts")
async def list_accounts(
    query: Annotated[AccountsQuery, Query()], services: Wired, scope: ProjectScope
) -> AccountsAnswer:
    """List the accounts of the key's projects, sorted by project."""
    page = await services.accounts.list(
        query.status, limit=query.limit, cursor=query.cursor, scope=scope
    )
    items = [AccountAnswer.of(account) for account in page.items]
    return AccountsAnswer(items=items, next_cursor=page.next_cursor)


ProjectId = Annotated[Name, Path(alias="projectId")]


@router.put(
    "",
    summary="Store an account with its tokens",
    responses={
        201: {"model": PutAccountAnswer, "description": "The project had none"},
        **declared(415),
    },
)
async def put_account(
    project_id: ProjectId,
    body: Annotated[AccountRequest, Body(openapi_examples=examples.ACCOUNTS)],
    response: Response,
    services: Wired,
    scope: ProjectScope,
) -> PutAccountAnswer:
    """Store a grant that was obtained elsewhere; it replaces the current one."""
    given = body.to_domain(project_id, PLATFORM)
    put = await services.accounts.put(given, scope=scope)
    if put.created:
        response.status_code = status.HTTP_201_CREATED
    return PutAccountAnswer.of_put(put)


@router.get("", summary="Show a project's account")
async def get_account(
    project_id: ProjectId, services: Wired, scope: ProjectScope
) -> AccountAnswer:
    """Show the account, without its tokens."""
    account = await services.accounts.get(project_id, PLATFORM, scope=scope)
    return AccountAnswer.of(account)


@router.get("/quota", summary="Show what is left of limits")
async def get_quota(
    project_id: ProjectId, services: Wired, scope: ProjectScope
) -> QuotaAnswer:
    """Show what was posted lately, and whether a post may begin now."""
    usage = await services.accounts.usage(project_id, PLATFORM, scope=scope)
    return QuotaAnswer.model_validate(usage)


@router.delete(
    "", summary="Remove a project's account", status_code=status.HTTP_204_NO_CONTENT
)
async def delete_account(
    project_id: ProjectId, services: Wired, scope: ProjectScope
) -> None:
    """Remove the account and revoke its grant at TikTok, if that can be reached."""
    await services.accounts.delete(project_id, PLATFORM, scope=scope)


@router.get(
    "/creator-info",
    summary="Ask TikTok what the creator may choose",
    responses=declared(
        ReconnectRequired, PostingNotAllowed, QuotaExhausted, TikTokUnavailable
    ),
)
async def get_creator_info(
    project_id: ProjectId, services: Wired, scope: ProjectScope
) -> CreatorInfoAnswer:
    """Ask TikTok, or reuse an answer that is at most a minute old."""
    info = await services.accounts.creator_info(project_id, PLATFORM, scope=scope)
    return CreatorInfoAnswer.of(info)
