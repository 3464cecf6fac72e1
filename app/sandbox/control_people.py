"""The control routes about people: who there is, and who took their consent back."""

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.sandbox.oauth import end_grant, tell_of_removal
from app.sandbox.people import (
    NewAccount,
    account_to_json,
    add_account,
    change_account,
)
from app.sandbox.replies import items, nothing, object_of, problem, world_of
from app.sandbox.settings import Camel

USER_DISCONNECTED = 1


class Removal(Camel):
    """Say why access was removed, and what comes of it.

    Reasons: https://developers.tiktok.com/doc/webhooks-events
    """

    reason: int = Field(default=USER_DISCONNECTED, ge=0, le=5)
    """0 unknown, 1 disconnected, 2 account deleted, 3 age changed, 4 banned,
    5 revoked by the developer."""
    keep_grant: bool = False
    """Leave the tokens alive, as if access was given anew meanwhile."""
    tell: bool = True


def routes() -> list[Route]:
    """List the routes about accounts."""
    return [
        Route("/_sandbox/accounts", list_accounts, methods=["GET"]),
        Route("/_sandbox/accounts", put_account, methods=["POST"]),
        Route("/_sandbox/accounts/{open_id}", patch_account, methods=["PATCH"]),
        Route("/_sandbox/accounts/{open_id}/disconnect", disconnect, methods=["POST"]),
    ]


async def list_accounts(request: Request) -> Response:
    """Show the accounts, without tokens."""
    sandbox = world_of(request)
    return items(account_to_json(sandbox, account) for account in sandbox.accounts)


async def put_account(request: Request) -> Response:
    """Add or replace an account."""
    new = NewAccount.model_validate_json(await request.body() or b"{}")
    return JSONResponse(add_account(world_of(request), new), status_code=201)


async def patch_account(request: Request) -> Response:
    """Change what a person may do or is called; the tokens stay."""
    sandbox, open_id = world_of(request), request.path_params["open_id"]
    if open_id not in sandbox.accounts.people:
        return problem(404, "there is no such account")
    changes = object_of(await request.body())
    if changes is None:
        return problem(422, "body: it must be a JSON object")
    return JSONResponse(change_account(sandbox, open_id, changes))


async def disconnect(request: Request) -> Response:
    """Remove the app's access, as a user does in TikTok's own settings."""
    sandbox, open_id = world_of(request), request.path_params["open_id"]
    if open_id not in sandbox.accounts.people:
        return problem(404, "there is no such account")
    removal = Removal.model_validate_json(await request.body() or b"{}")
    if not removal.keep_grant:
        end_grant(sandbox, open_id)
    if removal.tell:
        tell_of_removal(sandbox, open_id, reason=removal.reason)
    return nothing()
